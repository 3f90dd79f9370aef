r"""Whose image is it? Rules that read the patient from a path or a table.

==================  ===============================================================
``bids``            ``sub-01`` in ``sub-01/anat/sub-01_T1w.nii.gz``: ``01``
``brats``           ``BraTS20_Training_001``, ``BraTS2021_00000``, ``BraTS-GLI-00000``
                    (of ``BraTS-GLI-00000-000``: the last number is the visit)
``cxr``             ``person23_bacteria``, ``person23_virus`` (another child), ``IM-0115``,
                    ``NORMAL2-IM-0027``
``parent-folder``   the folder the file is in
``regex:PATTERN``   the first group, or the group named ``patient``, searched in the path
``column:NAME``     that column of a table (``--manifest``)
``none``            unknown: every image counts as a patient of its own
``auto``            the first of bids, brats, cxr, parent-folder that covers 95 % of the files;
                    parent-folder only where files begin with the name of their folder
                    and the folders have digits in their names (``NORMAL`` is no patient)
==================  ===============================================================
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness.datasets.names import path_text
from likeness.errors import ManifestError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_COVERAGE: Final = 0.95
"""Share of the files that a rule found by ``auto`` must cover."""

_PRESETS: Final = {
    "bids": r"(?:^|/)sub-([A-Za-z0-9]+)(?=[_/])",
    "brats": (
        r"(?:^|/)(BraTS\d{2}_(?:Training|Validation|Testing)_\d+|BraTS20\d\d_\d{5}"
        r"|BraTS-[A-Z]{2,4}-\d{4,5})(?![0-9])"
    ),
    "cxr": r"(?:^|/)(person\d+_(?:bacteria|virus)|NORMAL2-IM-\d+|IM-\d+)(?=[-_.])[^/]*$",
}
_NAMES: Final = ("auto", "none", "parent-folder", *_PRESETS)
_PATH_COLUMNS: Final = ("image_id", "path", "file", "filename", "image")


@dataclass(frozen=True)
class PatientRule:
    """How the patient of a file is found. Made by `parse_patient_rule`."""

    text: str
    """As it is written on the command line."""
    pattern: re.Pattern[str] | None = None
    """What is searched in the path."""
    table: dict[str, str] = field(default_factory=dict)
    """Path to patient, for ``column:``."""

    def patient_of(self, path: str, other: str | None = None) -> str | None:
        """Return the patient of a relative path, or None where the rule does not say.

        Parameters
        ----------
        path
            Of the file; for an image of several files what their paths have in common.
        other
            The path of one of the files, asked where `path` says nothing. Its folder may be that
            of a sequence, so ``parent-folder`` does not ask it.
        """
        found = self._patient_of(path)
        if found is None and other is not None and self.text != "parent-folder":
            return self._patient_of(other)
        return found

    def _patient_of(self, path: str) -> str | None:
        if self.text == "parent-folder":
            folders = path.split("/")[:-1]
            return folders[-1] if folders else None
        if self.text.startswith("column:"):
            return self.table.get(path) or self.table.get(path.rsplit("/", 1)[-1])
        if self.pattern is None or (match := self.pattern.search(path)) is None:
            return None
        group: str | int = "patient" if "patient" in self.pattern.groupindex else 1
        return match.group(group) or None


@dataclass(frozen=True)
class PatientIds:
    """The patients of a list of paths."""

    rule: PatientRule
    """The rule that was used; never ``auto``."""
    ids: tuple[str | None, ...]
    """One per path; None where the rule does not say."""
    examples: tuple[tuple[str, str], ...]
    """Up to three paths with their patients."""
    paths: tuple[str, ...]
    """What the rule was asked about."""

    @property
    def coverage(self) -> float:
        """Share of the paths whose patient is known, in [0, 1]."""
        known = sum(patient is not None for patient in self.ids)
        return known / len(self.ids) if self.ids else 0.0

    @property
    def uncovered(self) -> str | None:
        """The first path whose patient the rule does not say, or None."""
        return next((p for p, who in zip(self.paths, self.ids, strict=True) if who is None), None)

    def refuse_useless(self) -> None:
        """Refuse a rule that was asked for and finds no patient at all.

        Raises
        ------
        OptionError
            With a name that the rule does not fit.
        """
        if self.rule.text == "none" or self.uncovered is None or self.coverage > 0:
            return
        named = next(iter(self.rule.table), None)
        table = f" (the table names, for example, {named!r})" if named is not None else ""
        msg = (
            f"--patient-id {self.rule.text!r} finds no patient in any of {len(self.ids):,} names, "
            f"for example not in {self.uncovered!r}{table}. Try rules with: likeness inspect "
            "FOLDER --patient-id RULE."
        )
        raise OptionError(msg)

    @property
    def num_patients(self) -> int:
        """Number of distinct patients."""
        return len({patient for patient in self.ids if patient is not None})

    def to_record(self) -> dict[str, object]:
        """Return what ``dataset.json`` says about the patients."""
        return {
            "rule": self.rule.text,
            "coverage": self.coverage,
            "examples": [list(example) for example in self.examples],
        }


def parse_patient_rule(text: str, *, manifest: Path | None = None) -> PatientRule:
    """Read a rule as it is written on the command line.

    Parameters
    ----------
    text
        See the head of this module.
    manifest
        CSV table (comma, semicolon or tab) with a column ``path``, ``file`` or ``image_id``; for
        ``column:NAME``.

    Raises
    ------
    OptionError
        If there is no such rule.
    ManifestError
        If the table lacks the column, or names one file twice with different patients.
    """
    kind, _, value = text.partition(":")
    if manifest is not None and kind != "column":
        msg = (
            f"--manifest {str(manifest)!r} is given, but --patient-id is {text!r}; name the column "
            "that holds the patient: --patient-id column:NAME."
        )
        raise OptionError(msg)
    if text in _PRESETS:
        return PatientRule(text, re.compile(_PRESETS[text]))
    if text in _NAMES:
        return PatientRule(text)
    if kind == "regex" and value:
        return PatientRule(text, _compiled(value))
    if kind == "column" and value:
        if manifest is None:
            msg = f"--patient-id {text!r} needs the table that has the column: --manifest FILE."
            raise OptionError(msg)
        return PatientRule(text, table=_read_column(manifest, value))
    rules = ", ".join(map(repr, _NAMES))
    msg = (
        f"--patient-id {text!r} is no rule. Expected one of {rules}, 'regex:(PATTERN)' or "
        "'column:NAME' (with --manifest FILE)."
    )
    raise OptionError(msg)


def assign_patients(
    rule: PatientRule, paths: Sequence[str], others: Sequence[str] | None = None
) -> PatientIds:
    """Find the patient of every path; ``auto`` chooses the rule.

    Parameters
    ----------
    rule
        From `parse_patient_rule`.
    paths
        Relative paths with ``/``, or image ids.
    others
        A second name of each, asked where the first says nothing; see `PatientRule.patient_of`.
    """
    if rule.text != "auto":
        return _assigned(rule, paths, others)
    for name in (*_PRESETS, "parent-folder"):
        if name == "parent-folder" and not _named_by_folder(paths):
            continue
        found = _assigned(parse_patient_rule(name), paths, others)
        if found.coverage >= MIN_COVERAGE:
            return found
    return _assigned(parse_patient_rule("none"), paths, None)


def _assigned(rule: PatientRule, paths: Sequence[str], others: Sequence[str] | None) -> PatientIds:
    seconds = paths if others is None else others
    ids = tuple(rule.patient_of(*both) for both in zip(paths, seconds, strict=True))
    examples: dict[str, str] = {}
    for path, patient in zip(paths, ids, strict=True):
        if patient is not None and patient not in examples and len(examples) < 3:
            examples[patient] = path
    shown = tuple((path, patient) for patient, path in examples.items())
    return PatientIds(rule, ids, shown, tuple(paths))


def _named_by_folder(paths: Sequence[str]) -> bool:
    """Whether files begin with the name of their folder, as in ``P7/P7_t1.nii.gz``."""
    hits = 0
    for path in paths:
        parts = path.split("/")
        numbered = len(parts) > 1 and any(letter.isdigit() for letter in parts[-2])
        hits += numbered and parts[-1].startswith(parts[-2])
    return bool(paths) and hits >= MIN_COVERAGE * len(paths)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        msg = f"--patient-id 'regex:{pattern}' is no regular expression: {error}."
        raise OptionError(msg) from error
    if compiled.groups == 0:
        msg = (
            f"--patient-id 'regex:{pattern}' has no group. Put the part that names the patient in "
            "round brackets, for example 'regex:(P[0-9]+)_'."
        )
        raise OptionError(msg)
    return compiled


def _read_column(manifest: Path, column: str) -> dict[str, str]:
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"--manifest {str(manifest)!r} cannot be read: {error.strerror}."
        raise ManifestError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"--manifest {str(manifest)!r} is no UTF-8 text: {error}. Save it as UTF-8 CSV."
        raise ManifestError(msg) from error
    lines = text.splitlines()
    first = lines[0] if lines else ""
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(lines, delimiter=delimiter)
    names = list(reader.fieldnames or [])
    path_column = next((name for name in _PATH_COLUMNS if name in names), None)
    if column not in names or path_column is None:
        msg = (
            f"--manifest {str(manifest)!r} has the columns {names}; expected {column!r} and one of "
            f"{', '.join(_PATH_COLUMNS)}."
        )
        raise ManifestError(msg)
    table: dict[str, str] = {}
    for row in reader:
        name, patient = row[path_column], (row[column] or "").strip()
        if not name or not patient:
            continue
        key = name.strip()
        if path_column != "image_id":  # ids are texts already
            key = path_text(key)
        if table.setdefault(key, patient) != patient:
            msg = (
                f"--manifest {str(manifest)!r} names {name!r} twice, with the patients "
                f"{table[key]!r} and {patient!r}."
            )
            raise ManifestError(msg)
    return table
