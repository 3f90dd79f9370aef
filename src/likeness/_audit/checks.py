"""Can this audit be trusted? The rows that concern the data."""

from __future__ import annotations

from collections import Counter

from likeness._audit.comparisons import Highest
from likeness._audit.inputs import Inputs
from likeness._findings import Baseline, Check, Counts, DuplicatePair

MANY_SYNTHETIC = 1000
"""Images recommended for a statement on the generator."""


def data_checks(
    inputs: Inputs, duplicates: list[DuplicatePair], highest: Highest, counts: Counts
) -> list[Check]:
    """Return one row per property of the sets that a reader must know."""
    return [
        _every_file_used(inputs),
        _complete_search(highest, counts),
        _patients_known(inputs),
        *_duplicates_rows(duplicates),
        _enough_images(counts),
        _undefined(counts),
    ]


def obstacles_to_clearance(inputs: Inputs, baseline: Baseline) -> list[str]:
    """Return what forbids the verdict `NO_COPY_DETECTED`, in sentences; it fails closed."""
    obstacles = []
    skipped = inputs.accounts["train"].num_skipped
    if skipped:
        obstacles.append(
            f"{skipped} training files could not be read, so copies of them cannot be found; "
            "mend or remove them."
        )
    if baseline.comparison == "train->train" and not inputs.train.has_patient_ids:
        obstacles.append(
            "the patients of the training images are not known, so the baseline meets the same "
            "person again; give --patient-id."
        )
    return obstacles


def _every_file_used(inputs: Inputs) -> Check:
    detail = "; ".join(f"{role}: {account.summary()}" for role, account in inputs.accounts.items())
    skipped = {role: account.num_skipped for role, account in inputs.accounts.items()}
    if not any(skipped.values()):
        return Check("Every file used", "PASS", detail)
    advice = "See errors and left-out files."
    if skipped["train"]:
        advice += " A copy of a training image that was left out cannot be found."
    return Check("Every file used", "FAIL" if skipped["train"] else "WARN", detail, advice)


def _complete_search(highest: Highest, counts: Counts) -> Check:
    detail = (
        f"{counts.pairs} pairs compared = {len(highest.query_ids)} synthetic x {counts.train} "
        "training images; exact search, nothing skipped"
    )
    return Check("Complete search", "PASS", detail)


def _patients_known(inputs: Inputs) -> Check:
    if inputs.train.has_patient_ids:
        return Check(
            "Patients known",
            "PASS",
            f"{len(inputs.train)} training images of {inputs.train.num_patients} patients",
        )
    return Check(
        "Patients known",
        "WARN",
        "no patient ids: every training image counts as a patient of its own, and the baseline "
        "train -> train meets the same person again",
        "Give --patient-id; see `likeness inspect`.",
    )


def _duplicates_rows(duplicates: list[DuplicatePair]) -> list[Check]:
    kinds = Counter(
        (pair.kind, pair.first_set, pair.second_set, _same_patient(pair)) for pair in duplicates
    )
    if not kinds:
        return [
            Check("Duplicates", "PASS", "no equal and no almost equal images where none belong")
        ]
    words = []
    spoils = False
    for (kind, first, second, same), number in sorted(kinds.items()):
        spoils |= not same and "synthetic" not in {first, second}
        where = f"within {first}" if first == second else f"across {first} and {second}"
        who = "" if first != second else (" of one patient" if same else " of different patients")
        words.append(f"{number} {'equal' if kind == 'exact' else 'almost equal'} {where}{who}")
    advice = "They are listed under duplicates."
    if spoils:
        advice += " Different patients with one image are probably one person under two names."
    return [Check("Duplicates", "WARN" if spoils else "PASS", "; ".join(words), advice)]


def _same_patient(pair: DuplicatePair) -> bool:
    return pair.first_patient is not None and pair.first_patient == pair.second_patient


def _enough_images(counts: Counts) -> Check:
    if counts.synthetic >= MANY_SYNTHETIC:
        return Check("Enough synthetic images", "PASS", f"{counts.synthetic}")
    return Check(
        "Enough synthetic images",
        "WARN",
        f"{counts.synthetic}; {MANY_SYNTHETIC} are recommended for a statement on the generator",
        "Audit more images if you can.",
    )


def _undefined(counts: Counts) -> Check:
    if not counts.undefined:
        return Check("Images without variance", "PASS", "none among the synthetic images")
    return Check(
        "Images without variance",
        "WARN",
        f"{counts.undefined} synthetic images are constant: they have no correlation and were "
        "not ranked",
        "Look at them; a working generator makes none.",
    )
