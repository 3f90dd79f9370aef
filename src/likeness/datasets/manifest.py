"""The tables of an image set: one row per image, and one row per source file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import atomic_write
from likeness.datasets._table import ImageTable
from likeness.datasets.layout import MANIFEST, place
from likeness.errors import DamagedSetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class ManifestRow:
    """What the manifest says about one image."""

    image_id: str
    patient_id: str | None
    volume: str | None
    slice_index: int | None
    class_name: str | None
    sources: tuple[str, ...]
    """The files it was made of, in the order of its channels."""
    source_sha256: tuple[str, ...]
    member: str | None
    pixels_sha256: str
    """See `_table.pixel_hash`."""
    shard: int
    row: int
    num_channels: int
    height: int
    width: int
    minimum: float
    maximum: float
    mean: float
    notes: tuple[str, ...]

    def at(self, shard: int, row: int) -> ManifestRow:
        """Return this row with its place in the set."""
        # Not by `dataclasses.replace`, which looks at every field: this is done for every image.
        return ManifestRow(**{**vars(self), "shard": shard, "row": row})


@dataclass(frozen=True)
class SourceRow:
    """What became of one source file."""

    path: str
    num_bytes: int | None
    mtime_ns: int | None
    sha256: str | None
    status: str
    """``used``, or the code of why it was left out."""
    stage: str | None = None
    reason: str | None = None


_TYPES: Final = {
    "str": "string",
    "str | None": "string",
    "int": "int64",
    "int | None": "int64",
    "float": "double",
}


def write_table(path: Path, rows: Sequence[Any], row_type: type) -> None:
    """Write dataclass rows as Parquet, readable by its owner only."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for field in fields(row_type):
        kind = str(field.type)
        arrow = pa.list_(pa.string()) if kind.startswith("tuple") else _TYPES[kind]
        values = [getattr(row, field.name) for row in rows]
        columns[field.name] = pa.array(values, type=arrow)
    with atomic_write(path, private=True) as stream:
        pq.write_table(pa.table(columns), stream, compression="zstd")


def read_table(path: Path, columns: list[str] | None = None) -> dict[str, list[Any]]:
    """Read columns of a Parquet file as lists.

    Raises
    ------
    DamagedSetError
        If it is no Parquet file or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # From memory and in this thread alone: a path would be mapped or taken for a data set, and
        # a thread of Arrow that lets go of a Python object while the interpreter ends aborts it.
        content = pa.BufferReader(path.read_bytes())
        with pq.ParquetFile(content, pre_buffer=False) as file:
            table = file.read(columns=columns, use_threads=False)
        return {name: table.column(name).to_pylist() for name in columns or table.column_names}
    except (OSError, pa.ArrowException, KeyError) as error:
        msg = f"{str(path)!r} cannot be read: {error}. Prepare the set again."
        raise DamagedSetError(msg) from error


def read_manifest_rows(folder: Path) -> list[ManifestRow]:
    """Read the whole manifest of a finished image set."""
    columns = read_table(place(folder, MANIFEST))
    lists = ("sources", "source_sha256", "notes")
    rows = []
    for values in zip(*columns.values(), strict=True):
        entry = dict(zip(columns, values, strict=True))
        entry.update({name: tuple(entry[name]) for name in lists})
        rows.append(ManifestRow(**entry))
    return rows


def read_image_table(path: Path) -> ImageTable:
    """Read from the manifest what an `ImageSet` holds in memory."""
    names = ["image_id", "patient_id", "volume", "slice_index", "class_name", "pixels_sha256"]
    columns = read_table(path, names)
    positions = [-1 if value is None else value for value in columns["slice_index"]]
    return ImageTable(
        image_ids=tuple(columns["image_id"]),
        patient_ids=tuple(columns["patient_id"]),
        volumes=tuple(columns["volume"]),
        slice_indices=np.array(positions, np.int32),
        classes=tuple(columns["class_name"]),
        pixel_hashes=tuple(columns["pixels_sha256"]),
    )
