"""The two tables of an audit that the gate decides by, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from likeness._findings import Family
from likeness.errors import InputError
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
CONTROL: Final = "test->train"
"""Real images of people the generator has not seen: what the gate does to the innocent."""


@dataclass(frozen=True)
class ImagesTable:
    """One entry per synthetic image; NaN where there is no value."""

    image_ids: tuple[str, ...]
    patient_ids: tuple[str | None, ...]
    """Training patient each image is nearest to."""
    transforms: tuple[str | None, ...]
    """Flip or quarter turn in the deciding family."""
    p_value: Floats
    flagged: Flags
    unusual: Flags
    undefined: Flags
    similarity: Mapping[Family, Floats]
    contrast: Mapping[Family, Floats]
    angle: Floats
    shift: Floats
    """Larger of the two shifts of the registered family, absolute."""

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, rows: Integers) -> ImagesTable:
        """Return some rows, in the order given."""
        return ImagesTable(
            image_ids=tuple(self.image_ids[row] for row in rows),
            patient_ids=tuple(self.patient_ids[row] for row in rows),
            transforms=tuple(self.transforms[row] for row in rows),
            p_value=self.p_value[rows],
            flagged=self.flagged[rows],
            unusual=self.unusual[rows],
            undefined=self.undefined[rows],
            similarity={family: values[rows] for family, values in self.similarity.items()},
            contrast={family: values[rows] for family, values in self.contrast.items()},
            angle=self.angle[rows],
            shift=self.shift[rows],
        )


@dataclass(frozen=True)
class BaselineTable:
    """One entry per real image in one comparison, those left out of the baseline dropped."""

    patients: tuple[str, ...]
    similarity: Mapping[Family, Floats]
    contrast: Mapping[Family, Floats]

    def __len__(self) -> int:
        return len(self.patients)


def images_from(content: bytes) -> ImagesTable:
    """Read ``images.parquet``.

    Raises
    ------
    InputError
        If it cannot be read or lacks a column.
    """
    shifts = ["shift_down", "shift_right"]
    names = ["image_id", "patient_id", "transform", "p_value", "flagged", "unusual", "undefined",
             "angle", *shifts, *_scores()]  # fmt: skip
    columns = _columns(content, names, "images.parquet")
    down, right = (np.abs(_floats(columns[name])) for name in shifts)
    return ImagesTable(
        image_ids=tuple(columns["image_id"]),
        patient_ids=tuple(columns["patient_id"]),
        transforms=tuple(columns["transform"]),
        p_value=_floats(columns["p_value"]),
        flagged=np.array(columns["flagged"], dtype=np.bool_),
        unusual=np.array(columns["unusual"], dtype=np.bool_),
        undefined=np.array(columns["undefined"], dtype=np.bool_),
        similarity={family: _floats(columns[f"similarity_{family}"]) for family in FAMILIES},
        contrast={family: _floats(columns[f"contrast_{family}"]) for family in FAMILIES},
        angle=_floats(columns["angle"]),
        shift=np.fmax(down, right),
    )


def baseline_from(content: bytes, comparison: str | None, *, null: bool) -> BaselineTable:
    """Read rows of one comparison of ``baseline.parquet``; none for the comparison None.

    Those that p-values are held against, or, unless `null`, the others; never those that are left
    out of everything.

    Raises
    ------
    InputError
        If it cannot be read or lacks a column.
    """
    names = ["comparison", "patient", "left_out", "in_null", *_scores()]
    columns = _columns(content, names, "baseline.parquet")
    rows = [
        row
        for row, (name, left_out, in_null) in enumerate(
            zip(columns["comparison"], columns["left_out"], columns["in_null"], strict=True)
        )
        if name == comparison and not left_out and in_null == null
    ]
    return BaselineTable(
        patients=tuple(str(columns["patient"][row]) for row in rows),
        similarity={f: _floats(columns[f"similarity_{f}"])[rows] for f in FAMILIES},
        contrast={f: _floats(columns[f"contrast_{f}"])[rows] for f in FAMILIES},
    )


def _scores() -> list[str]:
    return [f"{what}_{family}" for what in ("similarity", "contrast") for family in FAMILIES]


def _columns(content: bytes, names: list[str], where: str) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                msg = (
                    f"{where!r} has no column {missing[0]!r}: another version of Likeness wrote "
                    "it. Run the audit again."
                )
                raise InputError(msg)
            table = file.read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError, EOFError) as error:
        msg = f"{where!r} cannot be read: {error}. Run the audit again."
        raise InputError(msg) from error
    return {name: table.column(name).to_pylist() for name in names}


def _floats(values: list[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
