"""Divide patients into a training and a test set: by patient, never by image.

Two images of one patient on both sides of a split would make every memory of the patient look
like a coincidence, so files without a known patient cannot be split.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import folder_lock, hash_of_json, make_folder, write_json
from likeness._progress import SILENT, Progress
from likeness.datasets.accounting import Accounting, LeftOut
from likeness.datasets.building import Prepared, build
from likeness.datasets.layout import LEFT_OUT, LOCK, RECORD, SPLIT_RECORD
from likeness.datasets.names import path_text
from likeness.datasets.output_folder import check_out, refuse_foreign
from likeness.datasets.processes import processes_started
from likeness.datasets.scanning import remembered_headers
from likeness.datasets.set_plan import SetPlan
from likeness.errors import ManifestError, NoImagesError, OptionError, SplitOverlapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from likeness.datasets.image_set import ImageSet
    from likeness.datasets.options import RunOptions

TRAIN, TEST = "train", "test"

_PATIENT_COLUMNS: Final = ("patient_id", "patient", "participant_id", "subject")
_PATH_COLUMNS: Final = ("path", "file", "filename", "image_id")
_SET_COLUMNS: Final = ("split", "set", "part")


@dataclass(frozen=True)
class SplitRule:
    """How patients are divided: a number, a share, or a table. Exactly one of the three.

    Raises
    ------
    OptionError
        If none or several are given, or a value is out of range.
    """

    test_patients: int | None = None
    """Number of patients held out, for example 56. At least 1."""
    test_share: float | None = None
    """Share of the patients held out, in (0, 1)."""
    table: Path | None = None
    """CSV with a column ``patient_id`` or ``path`` and a column ``split``."""
    seed: int = 0
    """Decides which patients, whatever the order of the files."""

    def __post_init__(self) -> None:
        """Check the values."""
        given = [self.test_patients, self.test_share, self.table]
        if sum(value is not None for value in given) != 1:
            msg = "A split needs either --test-patients (a number or a share) or --split FILE."
            raise OptionError(msg)
        if self.test_patients is not None and self.test_patients < 1:
            msg = f"--test-patients is {self.test_patients}; expected at least 1."
            raise OptionError(msg)
        if self.test_share is not None and not 0 < self.test_share < 1:
            msg = f"--test-patients is {self.test_share}; expected a number, or a share below 1."
            raise OptionError(msg)


def choose_patients(patients: Iterable[str], rule: SplitRule) -> dict[str, str]:
    """Say for each patient whether it is ``train`` or ``test``.

    Parameters
    ----------
    patients
        Names, in any order and with repetitions.
    rule
        With a number or a share.

    Raises
    ------
    OptionError
        If no patient would be left on one side.
    """
    names = sorted(set(patients))
    count = rule.test_patients
    if count is None:
        count = round((rule.test_share or 0.0) * len(names))
    if not 0 < count < len(names):
        msg = (
            f"{count} of {len(names)} patients would be held out for testing; expected at least "
            "one on each side."
        )
        raise OptionError(msg)
    order = np.random.default_rng(rule.seed).permutation(len(names))
    held_out = {names[index] for index in order[:count].tolist()}
    return {name: TEST if name in held_out else TRAIN for name in names}


def refuse_overlap(sets: dict[str, ImageSet]) -> None:
    """Raise if a patient is in two of the sets.

    Raises
    ------
    SplitOverlapError
        With the patients.
    """
    owners: dict[str, str] = {}
    shared: dict[str, set[str]] = {}
    for name, images in sets.items():
        for patient in {p for p in images.patient_ids if p is not None}:
            other = owners.setdefault(patient, name)
            if other != name:
                shared.setdefault(patient, {other}).add(name)
    if shared:
        patient, where = min(shared.items())
        msg = (
            f"{len(shared):,} patients are in more than one set, for example {patient!r} in "
            f"{' and '.join(sorted(where))}. Put all images of a patient on one side."
        )
        raise SplitOverlapError(msg)


def prepare(
    source: Path,
    out: Path,
    make_plan: Callable[[Path], SetPlan],
    *,
    run: RunOptions,
    split: SplitRule | None,
    progress: Progress,
) -> Prepared:
    """Make one set, or with `split` its parts: what every preparation does.

    Parameters
    ----------
    make_plan
        Reads names and headers of `source`; called once `out` is known to be fit.

    Raises
    ------
    LikenessError
        As `building.build` and `build_split`.
    """
    check_out(source, out)
    parts = sorted(path for path in out.iterdir() if path.is_dir()) if out.is_dir() else []
    finished = any((folder / RECORD).is_file() for folder in (out, *parts))
    with processes_started(1 if finished else run.jobs, make_plan.__module__):
        with remembered_headers([out, *parts]):
            plan = make_plan(source)
        if split is None:
            return build(out, plan, run=run, progress=progress)
        return build_split(out, plan, split, run=run, progress=progress)


def build_split(
    out: Path,
    plan: SetPlan,
    rule: SplitRule,
    *,
    run: RunOptions,
    progress: Progress = SILENT,
) -> Prepared:
    """Make the sets ``out/train`` and ``out/test`` (or those that the table names).

    Raises
    ------
    OptionError
        If the patient of a file is not known.
    SplitOverlapError
        If the table puts a patient on two sides.
    LikenessError
        As `building.build`.
    """
    parts = split_plan(plan, rule)
    refuse_foreign(out, {*parts, SPLIT_RECORD, LEFT_OUT, LOCK}, run)
    make_folder(out, private=True)
    with folder_lock(out):
        sets: dict[str, ImageSet] = {}
        accounts: list[Accounting] = []
        tallies: dict[str, int] = {}
        for name, part in parts.items():
            made = build(out / name, part, run=run, progress=progress)
            sets[name] = made.image_set
            accounts.append(made.accounting)
            for key, count in made.tallies.items():
                tallies[key] = tallies.get(key, 0) + count
        refuse_overlap(sets)
        accounting = _together(plan, parts, accounts)
        accounting.write_csv(out / LEFT_OUT)
        write_json(out / SPLIT_RECORD, _record(rule, sets, accounting), private=True)
    return Prepared(sets, accounting, tallies)


def split_plan(plan: SetPlan, rule: SplitRule) -> dict[str, SetPlan]:
    """Divide a plan by patient; nothing is written.

    Raises
    ------
    OptionError
        If the patient of a file is not known, or no patient would be left on one side.
    """
    unknown = [unit.key for unit in plan.units if unit.patient_id is None]
    if unknown:
        msg = (
            f"The patient of {len(unknown):,} of {len(plan.units):,} files is not known, for "
            f"example of {unknown[0]!r}. A split is made by patient, never by image: say with "
            "--patient-id how the patient is found."
        )
        raise OptionError(msg)
    patients = [unit.patient_id or "" for unit in plan.units]
    if rule.table is None:
        sides = choose_patients(patients, rule)
    else:
        sides = _sides_from_table(plan, rule.table)
    names = sorted(set(sides.values()), key=lambda name: (name != TRAIN, name))
    parts = {}
    for name in names:
        units = [unit for unit in plan.units if sides.get(unit.patient_id or "") == name]
        chosen = sorted({unit.patient_id or "" for unit in units})
        if not units:
            msg = f"The split {name!r} would be empty."
            raise NoImagesError(msg)
        split = {"name": name, "num_patients": len(chosen), "patients": hash_of_json(chosen)}
        parts[name] = replace(
            plan,
            units=units,
            left_out=(),
            settings={**plan.settings, "split": split},
            record={
                **plan.record,
                "patients": _own_examples(plan.record.get("patients", {}), set(chosen)),
                "split": {**split, **_rule_record(rule)},
            },
        )
    return parts


def _own_examples(patients: dict[str, Any], chosen: set[str]) -> dict[str, Any]:
    """Return what a part says about its patients: it names none of another part."""
    if "examples" not in patients:
        return patients
    own = [example for example in patients["examples"] if example[1] in chosen]
    return {**patients, "examples": own}


def _sides_from_table(plan: SetPlan, table: Path) -> dict[str, str]:
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--split {str(table)!r} cannot be read as UTF-8 text: {error}."
        raise ManifestError(msg) from error
    reader = csv.DictReader(lines, delimiter=max(",;\t", key=(lines or [""])[0].count))
    names = list(reader.fieldnames or [])
    set_column = next((name for name in _SET_COLUMNS if name in names), None)
    by_patient = next((name for name in _PATIENT_COLUMNS if name in names), None)
    by_path = next((name for name in _PATH_COLUMNS if name in names), None)
    if set_column is None or (by_patient is None and by_path is None):
        msg = (
            f"--split {str(table)!r} has the columns {names}; expected 'split' and one of "
            f"{', '.join((*_PATIENT_COLUMNS, *_PATH_COLUMNS))}."
        )
        raise ManifestError(msg)
    patient_of = {unit.key: unit.patient_id or "" for unit in plan.units}
    patient_of.update({f.text: u.patient_id or "" for u in plan.units for f in u.files})
    sides: dict[str, str] = {}
    for row in reader:
        side = (row[set_column] or "").strip()
        if by_patient is not None:
            patient: str | None = (row[by_patient] or "").strip()
        else:
            patient = patient_of.get(path_text((row[by_path or ""] or "").strip()))
        if not side or not patient:
            continue
        if not side.isidentifier():
            msg = f"--split {str(table)!r} names the set {side!r}; expected a word such as 'train'."
            raise ManifestError(msg)
        if sides.setdefault(patient, side) != side:
            msg = (
                f"--split {str(table)!r} puts the patient {patient!r} into {sides[patient]!r} and "
                f"{side!r}. Put all images of a patient on one side."
            )
            raise SplitOverlapError(msg)
    missing = sorted({unit.patient_id or "" for unit in plan.units}.difference(sides))
    if missing:
        msg = (
            f"--split {str(table)!r} does not name {len(missing):,} patients, for example "
            f"{missing[0]!r}."
        )
        raise ManifestError(msg)
    present = set(patient_of.values())
    return {patient: side for patient, side in sides.items() if patient in present}


def _together(plan: SetPlan, parts: dict[str, SetPlan], accounts: list[Accounting]) -> Accounting:
    left_out: list[LeftOut] = list(plan.left_out)
    for account in accounts:
        left_out += account.left_out
    ordered = tuple(sorted(left_out, key=lambda item: (item.path, item.code)))
    found = len(plan.left_out) + sum(account.found for account in accounts)
    return Accounting(found, sum(account.used for account in accounts), ordered)


def _rule_record(rule: SplitRule) -> dict[str, Any]:
    if rule.table is not None:
        return {"rule": "table"}
    return {
        "rule": "random",
        "test_patients": rule.test_patients,
        "test_share": rule.test_share,
        "seed": rule.seed,
    }


def _record(rule: SplitRule, sets: dict[str, ImageSet], accounting: Accounting) -> dict[str, Any]:
    return {
        "format_name": "likeness split",
        "format_version": 1,
        "rule": _rule_record(rule),
        "summary": accounting.summary(),
        "sets": {
            name: {
                "num_images": len(images),
                "num_patients": images.num_patients,
                "fingerprint": images.fingerprint,
                "patients": sorted(images.patient_names),
            }
            for name, images in sets.items()
        },
    }
