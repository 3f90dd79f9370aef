"""The files of an audit folder, as the report reads them.

Only `findings.json` must be there. Whatever else is absent or damaged becomes a sentence in
`AuditFiles.problems`, which the report prints: a page without pictures is better than none, and a
page that does not say that pictures are missing is worse than none.
"""

from __future__ import annotations

import csv
import json
import math
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from likeness._findings import Comparison, Findings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likeness.types import Flags, Floats, Image

COMPARISONS: Final[tuple[Comparison, ...]] = get_args(Comparison)

ERROR_COLUMNS: Final = ("set", "path", "stage", "code", "reason", "bytes", "sha256")
MAX_ERROR_ROWS: Final = 200


@dataclass(frozen=True)
class Scores:
    """The highest correlation of every query image in one comparison, undefined ones left out."""

    correlation_identity: Floats
    """Highest r_cat without flips and turns, (n,): the paper's number."""
    score: Floats
    """Highest decision score, (n,)."""
    flagged: Flags
    """(n,), beside `score`."""
    left_out: Flags
    """(n,), beside `score`: not used as a yardstick, for example a copy within the real data."""


@dataclass(frozen=True)
class Pair:
    """One synthetic image and its closest training image; see `likeness._findings.Copy`."""

    image_id: str
    match_id: str
    patient_id: str | None
    transform: str
    correlation: float | None
    correlation_mean: float | None
    correlation_per_channel: list[float | None]
    score: float | None
    baseline_above: int
    baseline_size: int
    previous_id: str | None
    next_id: str | None
    flagged: bool
    channels: list[str] = field(default_factory=list)
    """Names of the channels compared; empty where they are not known."""


@dataclass(frozen=True)
class PairPixels:
    """The pictures of one pair, each (C, H, W)."""

    synthetic: Image
    """Already turned as the pair's transform says."""
    train: Image
    previous: Image | None
    next: Image | None


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
    pairs = _read_pairs(folder / "evidence" / "pairs.json", problems)
    pictures = folder / "evidence" / "pairs.npz"
    fits = bool(pairs) and _pictures_fit(pictures, len(pairs), problems)
    return AuditFiles(
        findings=findings,
        scores=scores,
        pairs=pairs,
        pictures=pictures if fits else None,
        left_out=_read_errors(folder / "errors.csv", problems),
        problems=problems,
    )


def iter_pixels(path: Path) -> Iterator[PairPixels]:
    """Read the pictures of `pairs.npz` pair by pair, holding one pair in memory.

    Raises
    ------
    ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error
        Where the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        has_previous, has_next = (
            np.concatenate([np.atleast_1d(row) for row in _rows(archive, name)])
            for name in ("has_previous", "has_next")
        )
        columns = [_rows(archive, name) for name in ("synthetic", "train", "previous", "next")]
        for index, (synthetic, train, previous, following) in enumerate(zip(*columns, strict=True)):
            yield PairPixels(
                synthetic,
                train,
                previous if has_previous[index] else None,
                following if has_next[index] else None,
            )


DAMAGED: Final = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError)


def _read_scores(path: Path, problems: list[str]) -> dict[Any, Scores]:
    """Read one Parquet file; the key is its `comparison`, or None where it has no such column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        problems.append(f"'{path.name}' is missing: its distributions cannot be drawn.")
        return {}
    wanted = ["correlation_identity", "score", "flagged"]
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            if file.metadata.num_rows == 0:
                return {}
            has_comparison = "comparison" in there
            optional = [name for name in ("comparison", "left_out") if name in there]
            table = file.read(columns=[*wanted, *optional])
        identity, score = (_as_floats(table, name) for name in wanted[:2])
        flagged = _as_flags(table, "flagged")
        left_out = (
            _as_flags(table, "left_out") if "left_out" in there else np.zeros(len(score), bool)
        )
        names = np.array(table["comparison"].to_pylist() if has_comparison else [], object)
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError):
        problems.append(f"'{path.name}' cannot be read: its distributions cannot be drawn.")
        return {}
    rows = {name: names == name for name in dict.fromkeys(names)}
    if not has_comparison:
        rows = {None: np.ones(len(score), bool)}
    found = {}
    for name, of in rows.items():
        defined = of & np.isfinite(score)
        found[name] = Scores(
            correlation_identity=identity[defined & np.isfinite(identity)],
            score=score[defined],
            flagged=flagged[defined],
            left_out=left_out[defined],
        )
    return found


def _as_floats(table: Any, name: str) -> Floats:  # noqa: ANN401
    values = table[name].to_pylist()
    return np.array([math.nan if value is None else float(value) for value in values], np.float64)


def _as_flags(table: Any, name: str) -> Flags:  # noqa: ANN401
    return np.array([bool(value) for value in table[name].to_pylist()], bool)


def _read_pairs(path: Path, problems: list[str]) -> list[Pair]:
    if not path.is_file():
        problems.append("'evidence/pairs.json' is missing: no pairs of images can be shown.")
        return []
    try:
        return [_pair(record) for record in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        problems.append("'evidence/pairs.json' cannot be read: no pairs of images can be shown.")
        return []


def _pair(record: dict[str, Any]) -> Pair:
    return Pair(
        image_id=str(record["image_id"]),
        match_id=str(record["match_id"]),
        patient_id=_text(record["patient_id"]),
        transform=str(record["transform"]),
        correlation=_number(record["correlation"]),
        correlation_mean=_number(record["correlation_mean"]),
        correlation_per_channel=[_number(v) for v in record["correlation_per_channel"] or []],
        score=_number(record["score"]),
        baseline_above=int(record["baseline_above"] or 0),
        baseline_size=int(record["baseline_size"] or 0),
        previous_id=_text(record["previous_id"]),
        next_id=_text(record["next_id"]),
        flagged=bool(record["flagged"]),
        channels=[str(name) for name in record.get("channels") or []],
    )


def _text(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else str(value)


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if value is None or not math.isfinite(value) else float(value)


def _pictures_fit(path: Path, num_pairs: int, problems: list[str]) -> bool:
    """Whether the arrays of `pairs.npz` are there and agree with each other and with the list."""
    if not path.is_file():
        problems.append("'evidence/pairs.npz' is missing: the pairs are listed without pictures.")
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = [
                _header(archive, name)[0] for name in ("synthetic", "train", "previous", "next")
            ]
            flags = [_header(archive, name)[0] for name in ("has_previous", "has_next")]
    except DAMAGED:
        problems.append(
            "'evidence/pairs.npz' cannot be read: the pairs are listed without pictures."
        )
        return False
    same = len(set(shapes)) == 1 and len(shapes[0]) == 4 and math.prod(shapes[0][1:]) > 0
    if not same or shapes[0][0] != num_pairs or flags != [(num_pairs,)] * 2:
        problems.append(
            "'evidence/pairs.npz' does not belong to 'evidence/pairs.json': the pairs are listed "
            "without pictures."
        )
        return False
    return True


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    with archive.open(f"{name}.npy") as stream:
        return _read_header(stream)


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:  # noqa: ANN401
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        header = np.lib.format.read_array_header_2_0(stream)
    else:
        msg = f"NPY version {version} holds no pictures"
        raise ValueError(msg)
    if header[2].kind not in "buif":
        msg = f"pixels have the type {header[2]}"
        raise ValueError(msg)
    return header


def _rows(archive: zipfile.ZipFile, name: str) -> Iterator[Image]:
    """Yield the rows of one array of an .npz file, one in memory at a time."""
    with archive.open(f"{name}.npy") as stream:
        shape, fortran_order, dtype = _read_header(stream)
        if fortran_order:  # a row is then spread over the whole array
            content = np.frombuffer(stream.read(), dtype)
            yield from np.ascontiguousarray(content.reshape(shape, order="F"))
            return
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        for _ in range(shape[0]):
            content = np.frombuffer(stream.read(row_bytes), dtype)
            yield content.reshape(shape[1:]) if shape[1:] else content


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
