"""Can this audit be trusted? The rows that concern the data."""

from __future__ import annotations

from collections import Counter

from likeness._audit.comparisons import Highest
from likeness._audit.duplicates import Contamination
from likeness._audit.inputs import Inputs
from likeness._cluster import ClusterOutcome
from likeness._findings import Check, CheckStatus, Counts, DuplicatePair
from likeness.datasets import ImageSet

MANY_UNKNOWN = 0.05
"""Share of images without a patient above which the number of people is not known."""

MOST_CONTAMINATED = 0.05
"""Share of test images found in train above which there is no held-out set to speak of."""

FEW_PATIENTS = 20

MANY_SYNTHETIC = 1000
"""Images recommended for a statement on the generator."""


def data_checks(
    inputs: Inputs,
    duplicates: list[DuplicatePair],
    highest: Highest,
    counts: Counts,
    outcome: ClusterOutcome | None = None,
) -> list[Check]:
    """Return one row per property of the sets that a reader must know.

    Parameters
    ----------
    outcome
        Of the cluster that compared them; None where there was none.
    """
    return [
        _every_file_used(inputs),
        _complete_search(highest, counts)
        if outcome is None or outcome.complete
        else _incomplete_search(outcome),
        _patients_known(inputs),
        *_duplicates_rows(duplicates),
        _enough_images(counts),
        _undefined(counts),
    ]


def obstacles_to_clearance(inputs: Inputs, contamination: Contamination | None) -> list[str]:
    """Return what forbids the verdict `NO_COPY_DETECTED`, in sentences; it fails closed."""
    obstacles = []
    skipped = inputs.accounts["train"].num_skipped
    if skipped:
        obstacles.append(
            f"{skipped} training files could not be read, so copies of them cannot be found; "
            "mend or remove them."
        )
    unknown = num_unknown(inputs.train)
    if unknown > MANY_UNKNOWN * len(inputs.train):
        obstacles.append(
            f"The patients of {unknown} of {len(inputs.train)} training images are not known, so "
            "another slice of the same person hides a copy; give --patient-id."
        )
    if contamination is not None and contamination.share > MOST_CONTAMINATED:
        obstacles.append(
            f"{contamination.num_found} of {len(contamination.images)} test images are also "
            "training images, almost equal to one, or of a training patient; hold out patients "
            "that the generator has not seen."
        )
    return obstacles


def real_set_checks(
    inputs: Inputs, contamination: Contamination | None, merged: list[list[str]]
) -> list[Check]:
    """Return the rows on the test set and on patients that count as one person."""
    rows = []
    if contamination is None:
        rows.append(
            Check(
                "Test set",
                "WARN",
                "none given; the verdict speaks of copies only",
                "Hold out at least 20 % of the patients before training.",
            )
        )
    else:
        removed = int(contamination.images.sum())
        detail = f"{removed} of {len(contamination.images)} test images are not used as held-out"
        if contamination.shared_patients:
            detail += f"; {len(contamination.shared_patients)} patients are also in train"
        too_many = contamination.share > MOST_CONTAMINATED
        status: CheckStatus = "FAIL" if too_many else "WARN" if removed else "PASS"
        advice = "They are marked left_out in baseline.parquet and listed under duplicates."
        if too_many:
            advice = "Hold out patients that are not in train; the set-level test is not available."
        rows.append(Check("Test set", status, detail, advice if removed else ""))
    if merged:
        number = sum(len(names) for names in merged)
        rows.append(
            Check(
                "One person, one id",
                "WARN",
                f"{number} patient ids share an equal image with another id and count as "
                f"{len(merged)} {'person' if len(merged) == 1 else 'persons'}",
                "Correct the ids if you know better.",
            )
        )
    else:
        rows.append(Check("One person, one id", "PASS", "no image stands under two patient ids"))
    few = inputs.train.num_patients < FEW_PATIENTS
    rows.append(
        Check(
            "Enough training patients",
            "WARN" if few else "PASS",
            f"{inputs.train.num_patients}",
            f"With fewer than {FEW_PATIENTS} people, what chance can reach hangs on a few."
            if few
            else "",
        )
    )
    return rows


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
    images = len(highest.query_ids)
    missing = images * counts.train - counts.pairs
    detail = f"{counts.pairs} pairs compared = {images} synthetic x {counts.train} training images"
    if missing:
        detail += f" less {missing} pairs with a constant image, which has no correlation"
    return Check("Complete search", "PASS", f"{detail}; exact search")


def _incomplete_search(outcome: ClusterOutcome) -> Check:
    first = outcome.quarantined[0]
    return Check(
        "Complete search",
        "FAIL",
        f"{len(outcome.quarantined)} of {outcome.num_tasks} parts of the work failed twice and "
        f"were left out; the first: {first.what}: {first.reason} (it reads "
        f"{', '.join(first.files)})",
        "Mend what is named and run the same command again: it computes these parts only.",
    )


def _patients_known(inputs: Inputs) -> Check:
    advice = "Give --patient-id; see `likeness inspect`."
    missing = []
    unknown = num_unknown(inputs.train)
    if unknown:
        missing.append(
            f"{unknown} of {len(inputs.train)} training images have no patient id: each counts as "
            "a patient of its own, so another slice of the same person hides a copy"
        )
    unknown = 0 if inputs.test is None else num_unknown(inputs.test)
    if inputs.test is not None and unknown:
        missing.append(
            f"{unknown} of {len(inputs.test)} test images have no patient id: each counts as a "
            "person of its own, and a patient in both sets is not seen"
        )
    if missing:
        return Check("Patients known", "WARN", "; ".join(missing), advice)
    known = f"{len(inputs.train)} training images of {inputs.train.num_patients} patients"
    if inputs.test is not None:
        known += f", {len(inputs.test)} test images of {inputs.test.num_patients}"
    return Check("Patients known", "PASS", known)


def num_unknown(images: ImageSet) -> int:
    """Return how many images have no patient."""
    return sum(patient is None for patient in images.patient_ids)


def _duplicates_rows(duplicates: list[DuplicatePair]) -> list[Check]:
    kinds = Counter(
        (pair.kind, pair.first_set, pair.second_set, _whose(pair)) for pair in duplicates
    )
    if not kinds:
        return [
            Check("Duplicates", "PASS", "no equal and no almost equal images where none belong")
        ]
    words = []
    spoils = False
    for (kind, first, second, who), number in sorted(kinds.items()):
        real = "synthetic" not in {first, second}
        spoils |= real and (first != second or who == "of different patients")
        where = f"within {first}" if first == second else f"across {first} and {second}"
        patients = f" {who}" if real and who else ""
        words.append(f"{number} {'equal' if kind == 'exact' else 'almost equal'} {where}{patients}")
    advice = "They are listed under duplicates."
    if spoils:
        advice += (
            " A real image belongs to one patient and one set: correct the patient ids, or take "
            "it out of one of the sets."
        )
    return [Check("Duplicates", "WARN" if spoils else "PASS", "; ".join(words), advice)]


def _whose(pair: DuplicatePair) -> str:
    """Say whether both images are of one patient, as far as that is known."""
    if pair.first_patient is None or pair.second_patient is None:
        return ""
    return (
        "of one patient" if pair.first_patient == pair.second_patient else "of different patients"
    )


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
        f"{counts.undefined} of {counts.synthetic} synthetic images are constant, at full size or "
        "at block means, in every channel that could be compared: they have no score and were not "
        "judged",
        "Look at them; a working generator makes none.",
    )
