"""The files of an audit folder, as the report reads them.

Only `findings.json` must be there. Whatever else is absent or damaged becomes a sentence in
`AuditFiles.problems`, which the report prints: a page without pictures is better than none, and a
page that does not say that pictures are missing is worse than none.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from likeness._findings import Comparison, Family, Findings
from likeness.report.pair_files import Pair, pictures_fit, read_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.types import Flags, Floats

COMPARISONS: Final[tuple[Comparison, ...]] = get_args(Comparison)
FAMILIES: Final[tuple[Family, ...]] = get_args(Family)

_NUMBERS: Final = ("correlation_identity", "correlation", *(f"contrast_{f}" for f in FAMILIES))
_COLUMNS: Final = ("comparison", *_NUMBERS, "flagged", "unusual", "left_out")
_FLAGS: Final = ("flagged", "unusual", "left_out")

ERROR_COLUMNS: Final = ("set", "path", "stage", "code", "reason", "bytes", "sha256")
MAX_ERROR_ROWS: Final = 200


@dataclass(frozen=True)
class Contrasts:
    """How far every query image stands out in one family, images without a value left out."""

    values: Floats
    """artanh r(1) - artanh r(2), (n,)."""
    flagged: Flags
    """(n,) listed as a copy; whichever family decided."""
    unusual: Flags
    """(n,) listed at the wider rate of the gate; contains `flagged`."""
    num_left_out: int
    """Images not used as a yardstick, for example a copy within the real data."""


@dataclass(frozen=True)
class Scores:
    """The closest images of every query image in one comparison, undefined ones left out."""

    correlation_identity: Floats
    """Highest r_cat without flips and turns, (n,): the paper's number."""
    correlation: Floats
    """Highest r_cat over flips and turns, (n,), where it was compared and not left out."""
    contrasts: dict[Family, Contrasts]
    """Only families that have a value."""


@dataclass(frozen=True)
class LeftOut:
    """The files that could not be used: the first rows of `errors.csv`, and how many there are."""

    rows: list[dict[str, str]]
    total: int
    by_set: dict[str, int]


@dataclass(frozen=True)
class AuditFiles:
    """What an audit folder holds."""

    findings: Findings
    scores: dict[Comparison, Scores]
    pairs: list[Pair]
    """Worst first."""
    pictures: Path | None
    """`pairs.npz`, if it fits `pairs`."""
    left_out: LeftOut
    problems: list[str] = field(default_factory=list)
    """What is absent or damaged, a sentence each."""


def read_audit(folder: Path) -> AuditFiles:
    """Read an audit folder.

    Raises
    ------
    InputError
        If there are no findings.
    FormatVersionError
        If the findings have another format.
    """
    findings = Findings.read(folder)
    problems: list[str] = []
    scores: dict[Comparison, Scores] = {}
    synthetic = _read_scores(folder / "images.parquet", problems)
    if None in synthetic:
        scores["synthetic->train"] = synthetic[None]
    baselines = _read_scores(folder / "baseline.parquet", problems)
    scores.update({name: baselines[name] for name in COMPARISONS[1:] if name in baselines})
    pairs = read_pairs(folder / "evidence" / "pairs.json", problems)
    pictures = folder / "evidence" / "pairs.npz"
    fits = bool(pairs) and pictures_fit(pictures, len(pairs), problems)
    return AuditFiles(
        findings=findings,
        scores=scores,
        pairs=pairs,
        pictures=pictures if fits else None,
        left_out=_read_errors(folder / "errors.csv", problems),
        problems=problems,
    )


def _read_scores(path: Path, problems: list[str]) -> dict[Any, Scores]:
    """Read one Parquet file; the key is its `comparison`, or None where it has no such column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        problems.append(f"'{path.name}' is missing: its distributions cannot be drawn.")
        return {}
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows == 0:
                return {}
            there = file.schema_arrow.names
            table = file.read(columns=[name for name in _COLUMNS if name in there])
        columns = {name: table[name].to_pylist() for name in table.column_names}
        found = _scores_by_comparison(columns, table.num_rows)
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError):
        problems.append(f"'{path.name}' cannot be read: its distributions cannot be drawn.")
        return {}
    missing = [name for name in _NUMBERS if name not in columns]
    if missing:
        problems.append(
            f"'{path.name}' has no column {', '.join(repr(name) for name in missing)}: what "
            "rests on it cannot be drawn."
        )
    return found


def _scores_by_comparison(columns: dict[str, list[Any]], num_rows: int) -> dict[Any, Scores]:
    numbers = {name: _as_floats(columns.get(name), num_rows) for name in _NUMBERS}
    flags = {name: _as_flags(columns.get(name), num_rows) for name in _FLAGS}
    names = np.array(columns.get("comparison") or [None] * num_rows, object)
    found = {}
    for name in dict.fromkeys(names):
        of = names == name
        used = of & ~flags["left_out"]
        contrasts = {}
        for family in FAMILIES:
            values = numbers[f"contrast_{family}"]
            there = used & np.isfinite(values)
            if there.any():
                contrasts[family] = Contrasts(
                    values=values[there],
                    flagged=flags["flagged"][there],
                    unusual=flags["unusual"][there],
                    num_left_out=int((of & flags["left_out"] & np.isfinite(values)).sum()),
                )
        identity, correlation = numbers["correlation_identity"], numbers["correlation"]
        found[name] = Scores(
            correlation_identity=identity[of & np.isfinite(identity)],
            correlation=correlation[used & np.isfinite(correlation)],
            contrasts=contrasts,
        )
    return found


def _as_floats(values: list[Any] | None, num_rows: int) -> Floats:
    if values is None:
        return np.full(num_rows, np.nan)
    return np.array([math.nan if value is None else float(value) for value in values], np.float64)


def _as_flags(values: list[Any] | None, num_rows: int) -> Flags:
    return np.array([bool(value) for value in values or [False] * num_rows], bool)


def _read_errors(path: Path, problems: list[str]) -> LeftOut:
    if not path.is_file():
        problems.append("'errors.csv' is missing: files that were left out cannot be listed.")
        return LeftOut([], 0, {})
    rows: list[dict[str, str]] = []
    by_set: Counter[str] = Counter()
    try:
        with path.open(encoding="utf-8", errors="backslashreplace", newline="") as stream:
            for row in csv.DictReader(stream):
                by_set[row.get("set") or ""] += 1
                if len(rows) < MAX_ERROR_ROWS:
                    rows.append({name: row.get(name) or "" for name in ERROR_COLUMNS})
    except (csv.Error, OSError):
        problems.append("'errors.csv' cannot be read to its end: the list below is not complete.")
    return LeftOut(rows, sum(by_set.values()), dict(by_set))
