"""The pairs of images that an audit stored as evidence, as the report reads them.

`pairs.json` holds what is known of each pair, `pairs.npz` the pixels. Whatever is absent or damaged
becomes a sentence; the pixels are read pair by pair.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likeness.types import Image

DAMAGED: Final = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError)

_PAIR_COUNTS: Final = (
    "baseline_above",
    "baseline_size",
    "baseline_correlation_above",
    "baseline_correlation_size",
)
_PAIR_NUMBERS: Final = (
    "p_value",
    "p_conservative",
    "q_value",
    "contrast",
    "similarity",
    "second_similarity",
    "correlation",
    "correlation_mean",
    "correlation_registered",
    "overlap",
    "masked_correlation",
    "structural_similarity",
    "mutual_information",
    "residual",
)


@dataclass(frozen=True)
class Pair:
    """One synthetic image and its closest training image; see `likeness._findings.Copy`."""

    image_id: str
    match_id: str
    patient_id: str | None
    flagged: bool
    unusual: bool
    family: str
    alteration: str
    transform: str
    p_value: float | None
    p_conservative: float | None
    extrapolated: bool
    q_value: float | None
    contrast: float | None
    similarity: float | None
    second_patient_id: str | None
    second_similarity: float | None
    baseline_above: int
    baseline_size: int
    baseline_correlation_above: int
    baseline_correlation_size: int
    correlation: float | None
    correlation_mean: float | None
    correlation_per_channel: list[float | None]
    correlation_registered: float | None
    overlap: float | None
    masked_correlation: float | None
    structural_similarity: float | None
    mutual_information: float | None
    residual: float | None
    previous_id: str | None
    next_id: str | None
    structural_rank: int | None
    """Place of the training image among the nearest by structural similarity, from 1."""
    structural_candidates: int | None
    channels: list[str] = field(default_factory=list)
    """Names of the channels compared; empty where they are not known."""


@dataclass(frozen=True)
class PairPixels:
    """The pictures of one pair, each (C, H, W)."""

    synthetic: Image
    """Already turned as the pair's transform says, and laid on the training image where the
    registered family decided."""
    train: Image
    previous: Image | None
    next: Image | None
    residual: Image | None = None
    """What the fitted training image leaves of the synthetic one, in units of the synthetic image's
    range; NaN outside the overlap. None where it was not stored."""


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
        residuals: Iterator[Image | None] = repeat(None, len(has_previous))
        if "residual.npy" in archive.namelist():
            residuals = _rows(archive, "residual")
        for index, row in enumerate(zip(*columns, residuals, strict=True)):
            synthetic, train, previous, following, residual = row
            yield PairPixels(
                synthetic,
                train,
                previous if has_previous[index] else None,
                following if has_next[index] else None,
                residual,
            )


def read_pairs(path: Path, problems: list[str]) -> list[Pair]:
    """Read `pairs.json`; a sentence goes to `problems` where that is not possible."""
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
        flagged=bool(record["flagged"]),
        unusual=bool(record.get("unusual") or record["flagged"]),
        family=str(record.get("family") or ""),
        alteration=str(record.get("alteration") or ""),
        transform=str(record["transform"]),
        extrapolated=bool(record.get("extrapolated")),
        second_patient_id=_text(record.get("second_patient_id")),
        correlation_per_channel=[_number(r) for r in record.get("correlation_per_channel") or []],
        previous_id=_text(record.get("previous_id")),
        next_id=_text(record.get("next_id")),
        structural_rank=_whole(record.get("structural_rank")),
        structural_candidates=_whole(record.get("structural_candidates")),
        channels=[str(name) for name in record.get("channels") or []],
        **{name: int(record.get(name) or 0) for name in _PAIR_COUNTS},
        **{name: _number(record.get(name)) for name in _PAIR_NUMBERS},  # type: ignore[arg-type]
    )


def _text(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else str(value)


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if value is None or not math.isfinite(value) else float(value)


def pictures_fit(path: Path, num_pairs: int, problems: list[str]) -> bool:
    """Whether the arrays of `pairs.npz` are there and agree with each other and with the list."""
    if not path.is_file():
        problems.append("'evidence/pairs.npz' is missing: the pairs are listed without pictures.")
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = ["synthetic", "train", "previous", "next"]
            has_residual = "residual.npy" in archive.namelist()
            shapes = [_header(archive, name)[0] for name in [*names, *["residual"] * has_residual]]
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
    if not has_residual:
        problems.append(
            "'evidence/pairs.npz' has no 'residual': the difference of the pairs is not shown."
        )
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


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int) and value > 0 else None
