"""Write the shards of an image set, so that a kill loses some seconds at most.

The shard under way grows on disk, see `_growing`; a finished one is recorded, see `checkpoints`.
``dataset.json``, written last, commits the set, see `committing`; then ``progress/`` is removed.
The result of a run that was killed and resumed equals, byte for byte, that of a run that was not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._files import make_folder
from likeness.datasets import layout
from likeness.datasets._growing import GrowingShard, read_mark
from likeness.datasets._table import dtype_name
from likeness.datasets.checkpoints import Checkpoint, Part, write_part
from likeness.errors import ImageMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.datasets.manifest import ManifestRow
    from likeness.datasets.units import UnitReport
    from likeness.types import Image


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
            self._mark(self._shard, unit, position + 1)

    def finish_unit(self, report: UnitReport) -> None:
        """Take the account of a unit whose images have all been added."""
        self._new_reports.append(report)
        if self._shard is not None and self._shard.is_due:
            self._mark(self._shard, report.index + 1, 0)

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
            part = Part.read(mark)
            *shape, dtype = mark["image_type"]
            shard = self._growing(tuple(shape), np.dtype(dtype))
            if len(part.rows) != mark["count"] or not shard.resume(mark, self._next_file()):
                return
        except (ValueError, KeyError, TypeError):
            return
        self._shard, self._rows, self._new_reports = shard, list(part.rows), list(part.reports)
        state.next_unit, state.images_done = part.next_unit, part.images_done
        state.image_type = part.image_type

    def _next_file(self) -> Path:
        number = self._first_shard + len(self.checkpoint.shard_rows)
        return self._folder / layout.shard_name(number)

    def _mark(self, shard: GrowingShard, next_unit: int, images_done: int) -> None:
        number = len(self.checkpoint.shard_rows)
        shard.mark({**self._part(next_unit, images_done).content(), "number": number})

    def _part(self, next_unit: int, images_done: int) -> Part:
        image_type = self.checkpoint.image_type
        return Part(self._rows, self._new_reports, next_unit, images_done, image_type)

    def _flush(self, next_unit: int, images_done: int) -> None:
        state = self.checkpoint
        number, part = len(state.shard_rows), self._part(next_unit, images_done)
        file, sha256 = None, ""
        if self._rows and self._shard is not None:
            file = self._next_file()
            sha256 = self._shard.finish(file)
        write_part(self._folder, number, part, shard=file, sha256=sha256)
        if self._shard is not None:
            self._shard.forget_mark()
        state.add(part, sha256)
        self._rows, self._new_reports = [], []
