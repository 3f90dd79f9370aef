"""Write an image set shard by shard, so that a kill loses some seconds at most.

The shard under way grows on disk, see `_growing`. After each shard a checkpoint
``progress/00000.json`` records its checksum, its manifest rows, the accounts of the units finished
since the shard before, and where to go on. ``dataset.json``, written last, commits the set; then
``progress/`` is removed. The result of a run that was killed and resumed equals, byte for byte,
that of a run that was not.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import (
    make_folder,
    sha256_of_file,
    write_bytes,
    write_text,
    writing_to,
)
from likeness.datasets import layout
from likeness.datasets._growing import GrowingShard, read_mark
from likeness.datasets._table import dtype_name
from likeness.datasets.accounting import Accounting, LeftOut
from likeness.datasets.manifest import ManifestRow, SourceRow, write_table
from likeness.datasets.units import UnitReport
from likeness.errors import ImageMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.types import Image


_READERS: Final = 2
"""Shards whose checksums are computed at once when an interrupted run goes on."""


@dataclass
class Checkpoint:
    """How far the writing has come."""

    rows: list[ManifestRow] = field(default_factory=list)
    reports: list[UnitReport] = field(default_factory=list)
    shard_rows: list[int] = field(default_factory=list)
    shard_sha256: list[str] = field(default_factory=list)
    next_unit: int = 0
    images_done: int = 0
    """Images of unit `next_unit` that are in a shard already."""
    image_type: tuple[int | str, ...] | None = None
    """C, H, W and the name of the number type."""


class SetWriter:
    """Collects images into shards and makes them durable."""

    def __init__(self, folder: Path, checkpoint: Checkpoint, *, first_shard: int = 0) -> None:
        self._folder = folder
        self._first_shard = first_shard
        self.checkpoint = checkpoint
        self._rows: list[ManifestRow] = []
        self._new_reports: list[UnitReport] = []
        self._shard: GrowingShard | None = None
        make_folder(folder / layout.IMAGES, private=True)
        make_folder(folder / layout.PROGRESS, private=True)
        self._resume()

    def add(self, unit: int, position: int, pixels: Image, row: ManifestRow) -> None:
        """Add image number `position` of a unit.

        Raises
        ------
        ImageMismatchError
            If it has another shape or number type than the images before.
        """
        found = (*pixels.shape, dtype_name(pixels.dtype))
        if self.checkpoint.image_type is None:
            self.checkpoint.image_type = found
        if found != self.checkpoint.image_type:
            msg = (
                f"Image {row.image_id!r} is {found}; the images before it are "
                f"{self.checkpoint.image_type} (channels, rows, columns, number type). All images "
                "of a set must agree."
            )
            raise ImageMismatchError(msg)
        if self._shard is None:
            self._shard = self._growing(pixels.shape, pixels.dtype)
        number = self._first_shard + len(self.checkpoint.shard_rows)
        self._shard.add(pixels)
        self._rows.append(row.at(number, len(self._rows)))
        if len(self._rows) == layout.shard_capacity(pixels.nbytes):
            self._flush(unit, position + 1)
        elif self._shard.is_due:
            self._shard.mark(self._content(unit, position + 1))

    def finish_unit(self, report: UnitReport) -> None:
        """Take the account of a unit whose images have all been added."""
        self._new_reports.append(report)
        if self._shard is not None and self._shard.is_due:
            self._shard.mark(self._content(report.index + 1, 0))

    def finish(self, num_units: int) -> None:
        """Make the last, shorter shard durable."""
        if self._rows or self._new_reports:
            self._flush(num_units, 0)

    def close(self) -> None:
        """Close the shard under way; a later run goes on with what was marked."""
        if self._shard is not None:
            self._shard.close()

    def _growing(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> GrowingShard:
        capacity = layout.shard_capacity(int(np.prod(shape)) * dtype.itemsize)
        return GrowingShard(self._folder / layout.PROGRESS, shape, dtype, capacity)

    def _resume(self) -> None:
        """Go on in the middle of a shard, where an interrupted run left one."""
        state = self.checkpoint
        mark = read_mark(self._folder / layout.PROGRESS)
        if mark is None or mark.get("number") != len(state.shard_rows):
            return
        try:
            rows = [_manifest_row(entry) for entry in mark["rows"]]
            reports = [_unit_report(entry) for entry in mark["reports"]]
            *shape, dtype = mark["image_type"]
            shard = self._growing(tuple(shape), np.dtype(dtype))
            if len(rows) != mark["count"] or not shard.resume(mark):
                return
            where = int(mark["next_unit"]), int(mark["images_done"])
        except (ValueError, KeyError, TypeError):
            return
        self._shard, self._rows, self._new_reports = shard, rows, reports
        state.next_unit, state.images_done = where
        state.image_type = (*shape, dtype)

    def _content(self, next_unit: int, images_done: int) -> dict[str, Any]:
        return {
            "number": len(self.checkpoint.shard_rows),
            "rows": [vars(row) for row in self._rows],
            "reports": [
                {**vars(report), "left_out": [vars(item) for item in report.left_out]}
                for report in self._new_reports
            ],
            "next_unit": next_unit,
            "images_done": images_done,
            "image_type": self.checkpoint.image_type,
        }

    def _flush(self, next_unit: int, images_done: int) -> None:
        state = self.checkpoint
        number = len(state.shard_rows)
        content = {**self._content(next_unit, images_done), "sha256": ""}
        if self._rows and self._shard is not None:
            name = self._folder / layout.shard_name(self._first_shard + number)
            content["sha256"] = self._shard.finish(name)
            state.shard_rows.append(len(self._rows))
            state.shard_sha256.append(content["sha256"])
        # Not indented: Python's own encoder is ten times faster without.
        text = json.dumps(content, allow_nan=False)
        write_bytes(_checkpoint_path(self._folder, number), text.encode(), private=True)
        if self._shard is not None:
            self._shard.forget_mark()
        state.rows += self._rows
        state.reports += self._new_reports
        state.next_unit, state.images_done = next_unit, images_done
        self._rows = []
        self._new_reports = []


def load_checkpoint(folder: Path, *, first_shard: int = 0) -> Checkpoint:
    """Bring back how far an interrupted run had come, and drop what it left half done.

    A shard whose bytes do not fit its checksum ends the part that is kept.

    Parameters
    ----------
    first_shard
        Number of the first shard that the run made.
    """
    state = Checkpoint()
    remove_partial_files(folder)
    entries = _readable_checkpoints(folder)
    shards = [
        (folder / layout.shard_name(first_shard + number), entry)
        for number, entry in enumerate(entries)
    ]
    with ThreadPoolExecutor(_READERS) as pool:
        sound = pool.map(lambda each: _is_sound(*each), shards)
        for entry, is_sound in zip(entries, sound, strict=True):
            if not is_sound:
                pool.shutdown(wait=False, cancel_futures=True)
                break
            state.rows += entry.rows
            state.reports += entry.reports
            state.next_unit, state.images_done = entry.next_unit, entry.images_done
            state.image_type = entry.image_type
            state.shard_rows += entry.shard_rows
            state.shard_sha256 += entry.shard_sha256
    return state


def _readable_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return what each shard's checkpoint adds, up to the first that cannot be read."""
    entries: list[Checkpoint] = []
    while (path := _checkpoint_path(folder, len(entries))).is_file():
        try:
            content = json.loads(path.read_bytes())
            rows = [_manifest_row(entry) for entry in content["rows"]]
            image_type = content["image_type"]
            entries.append(
                Checkpoint(
                    rows=rows,
                    reports=[_unit_report(entry) for entry in content["reports"]],
                    shard_rows=[len(rows)] if rows else [],
                    shard_sha256=[str(content["sha256"])] if rows else [],
                    next_unit=int(content["next_unit"]),
                    images_done=int(content["images_done"]),
                    image_type=None if image_type is None else tuple(image_type),
                )
            )
        except (ValueError, KeyError, TypeError):
            break
        if not rows:  # only accounts of files: nothing follows
            break
    return entries


def _is_sound(shard: Path, entry: Checkpoint) -> bool:
    """Tell whether a shard has the bytes that its checkpoint speaks of."""
    if not entry.rows:
        return True
    return shard.is_file() and sha256_of_file(shard) == entry.shard_sha256[0]


def commit(
    folder: Path,
    state: Checkpoint,
    *,
    sources: Sequence[SourceRow],
    accounting: Accounting,
    record: dict[str, Any],
) -> None:
    """Write the tables, the checksums and, last of all, ``dataset.json``."""
    names = [layout.shard_name(number) for number in range(len(state.shard_rows))]
    *shape, dtype = state.image_type or ()
    content = {
        **record,
        "dtype": dtype,
        "image_shape": shape,
        "num_images": len(state.rows),
        "shard_rows": state.shard_rows,
    }
    shards = {
        name: file_entry(folder / name, digest)
        for name, digest in zip(names, state.shard_sha256, strict=True)
    }
    write_tables(folder, state.rows, sources, accounting)
    write_record(folder, shards, content)
    remove_progress(folder)


def write_tables(
    folder: Path,
    rows: Sequence[ManifestRow],
    sources: Sequence[SourceRow],
    accounting: Accounting,
) -> None:
    """Write what is known about images, source files and what was left out."""
    write_table(folder / layout.MANIFEST, rows, ManifestRow)
    write_table(folder / layout.SOURCES, sources, SourceRow)
    accounting.write_csv(folder / layout.LEFT_OUT)


def write_record(
    folder: Path, shards: dict[str, dict[str, Any]], content: dict[str, Any]
) -> dict[str, Any]:
    """Write ``SHA256SUMS`` and then ``dataset.json``, with which the tables beside it count.

    Parameters
    ----------
    shards
        Size and SHA-256 of every shard by name; `folder` need not hold them.
    content
        The record but for what is known here.
    """
    files = {**shards, **{name: file_entry(folder / name) for name in layout.TABLES}}
    lines = [f"{files[name]['sha256']}  {name}\n" for name in sorted(files)]
    write_text(folder / layout.CHECKSUMS, "".join(lines), private=True)
    files[layout.CHECKSUMS] = file_entry(folder / layout.CHECKSUMS)
    sealed = layout.sealed(
        {
            **content,
            "format_name": layout.FORMAT_NAME,
            "format_version": layout.FORMAT_VERSION,
            "files": files,
        }
    )
    write_bytes(folder / layout.RECORD, layout.record_bytes(sealed), private=True)
    return sealed


def file_entry(path: Path, sha256: str | None = None) -> dict[str, Any]:
    """Return what the record says about a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256 or sha256_of_file(path)}


def remove_partial_files(folder: Path) -> None:
    """Remove the files that a killed run was writing; `folder` holds nothing but an image set."""
    with writing_to(folder):
        for leftover in (*folder.glob("*.partial"), *folder.glob("*/*.partial")):
            leftover.unlink()


def remove_progress(folder: Path) -> None:
    """Remove what only an interrupted run needs."""
    with writing_to(folder):
        if (folder / layout.PROGRESS).is_dir():
            shutil.rmtree(folder / layout.PROGRESS)


def remove_set(folder: Path) -> None:
    """Remove an image set, finished or not, ``dataset.json`` first."""
    with writing_to(folder):
        for name in (layout.RECORD, layout.CHECKSUMS, *layout.TABLES):
            (folder / name).unlink(missing_ok=True)
        for name in (layout.IMAGES, layout.DERIVED, layout.BASELINES, layout.NEXT, layout.PROGRESS):
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
    remove_partial_files(folder)


def _checkpoint_path(folder: Path, number: int) -> Path:
    return folder / layout.PROGRESS / f"{number:05d}.json"


def _manifest_row(entry: dict[str, Any]) -> ManifestRow:
    lists = {name: tuple(entry[name]) for name in ("sources", "source_sha256", "notes")}
    return ManifestRow(**{**entry, **lists})


def _unit_report(entry: dict[str, Any]) -> UnitReport:
    left_out = [LeftOut(**item) for item in entry["left_out"]]
    return UnitReport(**{**entry, "left_out": left_out})
