"""Audits beside each other: a row for each, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._compare.differences import differing, refuse_unlike
from likeness._compare.notices import notices_of
from likeness._compare.reading import Audited, read_audit
from likeness._compare.rows import Row, row_of
from likeness._versions import package_version
from likeness.errors import InputError, OptionError
from likeness.types import Floats

FORMAT: Final = "likeness comparison"
VERSION: Final = 1
MEANING: Final = {
    "interval": "95 %: synthetic images drawn one by one, real images by patient; of copy_rate "
    "exact",
    "r": "highest Pearson correlation over all compared channels and pixels, without flips and "
    "turns",
    "above": "share of synthetic images above the 99th percentile of the baseline",
    "with_test": "a maximum over another number of patients than mean; not to be held against it",
    "equal_size": "as the audit stored it: mean channel correlation of block means over flips and "
    "turns, at equal numbers of patients",
}


@dataclass(frozen=True)
class Comparison:
    """Any number of audits."""

    rows: tuple[Row, ...]
    differences: dict[str, list[str]]
    """What is not the same in all of them: its name, and a value per audit."""
    notices: tuple[str, ...]
    """What must not be concluded from these rows, in sentences."""
    lists: tuple[tuple[Floats, Floats], ...]
    """Per audit: highest correlations of synthetic and of baseline images, each sorted."""
    folders: tuple[Path, ...]
    """Of the audits; nothing is written there."""

    def to_json(self) -> dict[str, Any]:
        """Return rows, differences and notices as JSON values; lists and folders are left out."""
        return {
            "format_name": FORMAT,
            "format_version": VERSION,
            "likeness": package_version("likeness"),
            "meaning": MEANING,
            "audits": [asdict(row) for row in self.rows],
            "differences": self.differences,
            "notices": list(self.notices),
        }


def compare_audits(
    folders: Sequence[Path | str], *, names: Sequence[str] | None = None, different: bool = False
) -> Comparison:
    """Put finished audits beside each other.

    Parameters
    ----------
    folders
        Of audits, one or more.
    names
        As many, all different; None for the names of the folders. They go into what is written, so
        they must not name a patient.
    different
        Whether audits of images with other shapes or channels may stand in one table.

    Raises
    ------
    OptionError
        If there is no folder, or the names do not fit.
    InputError
        If an audit is not finished, was changed since, or is there twice.
    ImageMismatchError
        If images have other shapes or channels, and `different` is not set.
    """
    paths = [Path(one) for one in folders]
    if not paths:
        msg = "Give the folder of at least one audit."
        raise OptionError(msg)
    chosen = _names(paths, names)
    audits = [read_audit(path, name) for path, name in zip(paths, chosen, strict=True)]
    _refuse_twice(paths, audits)
    differences = differing(audits)
    if not different:
        refuse_unlike(differences)
    rows = tuple(row_of(one) for one in audits)
    return Comparison(
        rows=rows,
        differences=differences,
        notices=notices_of(rows, differences),
        lists=tuple((np.sort(one.synthetic), np.sort(one.baseline)) for one in audits),
        folders=tuple(paths),
    )


def _refuse_twice(paths: Sequence[Path], audits: Sequence[Audited]) -> None:
    """Refuse a folder that is given twice, and a copy of an audit beside itself."""
    seen: dict[tuple[str, str, str], Path] = {}
    for path, audited in zip(paths, audits, strict=True):
        run = audited.findings.provenance
        first = seen.setdefault((run.run_id, run.started, run.settings_hash), path)
        if first is path:
            continue
        if first.resolve() == path.resolve():
            msg = f"The audit {str(path)!r} is given twice."
        else:
            msg = f"{str(first)!r} and {str(path)!r} are the same audit, given twice."
        raise InputError(msg)


def _names(paths: Sequence[Path], names: Sequence[str] | None) -> list[str]:
    """Return the given names, or as much of the end of each path as tells them apart."""
    if names is not None:
        if (
            len(names) != len(paths)
            or len(set(names)) != len(names)
            or not all(name.strip() for name in names)
        ):
            msg = f"Give {len(paths)} different --name, one per audit, in their order; got {names}."
            raise OptionError(msg)
        return list(names)
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        chosen = ["/".join(one[-length:]).removeprefix("//") for one in parts]
        if len(set(chosen)) == len(chosen):
            return chosen
    return [path.resolve().name for path in paths]  # one folder twice, which is refused later
