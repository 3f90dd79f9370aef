"""Where the pixels of an image set lie: arrays in memory, or NPY shards on disk.

Shards are read with ordinary reads (seek, then read into a fresh array). A memory map would be
shorter, but a file that shrinks under it kills the process, and its pages count as memory.

The rows of a shard are images here, but nothing depends on that: rows derived from images
(`derived`) lie in shards of the same kind.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from likeness.errors import DamagedSetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.types import Images, Integers


class PixelStore(Protocol):
    """Images by row number. Both methods return fresh arrays."""

    dtype: np.dtype[Any]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W."""

    def __len__(self) -> int:
        """Return the number of images."""

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1, (stop - start, C, H, W)."""

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read the rows start to stop - 1 into `out`."""

    def read_ahead(self, start: int, stop: int) -> None:
        """Be told that the rows start to stop - 1 will be read soon. Changes no result."""

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given, (n, C, H, W)."""


class ArrayStore:
    """Images that are in memory already; the array is not copied."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.dtype = images.dtype

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        return self._images.shape[1], self._images.shape[2], self._images.shape[3]

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1."""
        return self._images[start:stop].copy()

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Copy the rows start to stop - 1 into `out`."""
        out[...] = self._images[start:stop]

    def read_ahead(self, start: int, stop: int) -> None:
        """Do nothing: they are in memory."""

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given."""
        return self._images[rows]


Stamp: TypeAlias = tuple[int, int]
"""Bytes and time of the last change of a file: what tells that it was replaced."""


@dataclass(frozen=True)
class Shard:
    """One NPY file."""

    path: Path
    num_rows: int
    offset: int
    """Bytes of the NPY header before the first row."""
    stamp: Stamp
    """When it was opened: a file that has changed since would give the rows of others."""


@dataclass(frozen=True)
class Stored:
    """Where the images of a set lie."""

    store: PixelStore
    rows: Integers | None
    """Rows of the store, in order; None for all."""
    channel_rows: tuple[int, ...] | None
    """Channels of the store, in order; None for all."""


class ShardStore:
    """Rows in NPY shards of equal row shape and number type."""

    def __init__(
        self, shards: list[Shard], row_shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.row_shape = row_shape
        self.dtype = dtype
        self.shards = tuple(shards)
        self._starts = np.cumsum([0, *(shard.num_rows for shard in shards)])
        self._row_bytes = int(np.prod(row_shape, dtype=np.int64)) * dtype.itemsize

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W, where the rows are images."""
        channels, height, width = self.row_shape
        return channels, height, width

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1.

        Raises
        ------
        IndexError
            If not 0 <= start <= stop <= len.
        DamagedSetError
            If a shard was changed since it was opened, or is gone.
        """
        if not 0 <= start <= stop <= len(self):
            msg = f"rows {start} to {stop} of {len(self)}"
            raise IndexError(msg)
        images = np.empty((stop - start, *self.row_shape), self.dtype)
        self.read_into(start, stop, images)
        return images

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read the rows start to stop - 1 into `out`, contiguous, of their shape and number type.

        For large pieces again and again: fresh memory costs as much time as the reading.

        Raises
        ------
        DamagedSetError
            As `read`.
        """
        done = 0
        while done < len(out):
            number = int(np.searchsorted(self._starts, start + done, side="right")) - 1
            first = start + done - int(self._starts[number])
            count = min(self.shards[number].num_rows - first, len(out) - done)
            self._read_run(number, first, out[done : done + count])
            done += count

    def read_ahead(self, start: int, stop: int) -> None:
        """Let the system begin to read the rows start to stop - 1, as far as there are so many.

        Where it can; nothing is checked, for the reading itself will be.
        """
        if not hasattr(os, "posix_fadvise"):
            return
        for number, shard in enumerate(self.shards):
            first = max(0, start - int(self._starts[number]))
            last = min(shard.num_rows, stop - int(self._starts[number]))
            if first < last:
                with suppress(OSError), shard.path.open("rb", buffering=0) as stream:
                    os.posix_fadvise(
                        stream.fileno(),
                        shard.offset + first * self._row_bytes,
                        (last - first) * self._row_bytes,
                        os.POSIX_FADV_WILLNEED,
                    )

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given, reading each run of neighbouring rows at once.

        Raises
        ------
        DamagedSetError
            If a shard was changed since it was opened, or is gone.
        """
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        images = np.empty((len(rows), *self.row_shape), self.dtype)
        breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
        for run in np.split(np.arange(len(rows)), breaks):
            if len(run):
                first = int(wanted[run[0]])
                images[order[run]] = self.read(first, first + len(run))
        return images

    def _read_run(self, number: int, first: int, target: NDArray[Any]) -> None:
        shard = self.shards[number]
        view = target.reshape(-1).view(np.uint8).data
        try:
            with shard.path.open("rb", buffering=0) as stream:
                if stamp_of(os.fstat(stream.fileno())) != shard.stamp:
                    msg = (
                        f"{str(shard.path)!r} was changed since the image set was opened. Open it "
                        "again: run the command once more."
                    )
                    raise DamagedSetError(msg)
                stream.seek(shard.offset + first * self._row_bytes)
                while view:
                    count = stream.readinto(view)
                    if not count:
                        break
                    view = view[count:]
        except FileNotFoundError as error:
            msg = f"{str(shard.path)!r} is gone since the image set was opened."
            raise DamagedSetError(msg) from error
        if view:
            msg = (
                f"{str(shard.path)!r} ends {len(view)} bytes early: it was changed since the image "
                "set was opened. Prepare the set again."
            )
            raise DamagedSetError(msg)


def open_shard(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Shard:
    """Open one NPY file of rows, of which shape and number type are known.

    Raises
    ------
    DamagedSetError
        If it is something else.
    """
    try:
        with path.open("rb") as stream:
            stamp = stamp_of(os.fstat(stream.fileno()))
            np.lib.format.read_magic(stream)
            found_shape, fortran, found_dtype = np.lib.format.read_array_header_1_0(stream)
            offset = stream.tell()
    except (OSError, ValueError) as error:
        msg = f"{str(path)!r} is not a readable shard: {error}. Prepare the set again."
        raise DamagedSetError(msg) from error
    expected = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if (found_shape, fortran, found_dtype, stamp[0]) != (shape, False, dtype, expected):
        msg = (
            f"{str(path)!r} holds {found_shape} {found_dtype} in {stamp[0]:,} bytes; the record "
            f"says {shape} {dtype} in {expected:,}. Prepare the set again."
        )
        raise DamagedSetError(msg)
    return Shard(path, shape[0], offset, stamp)


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells one content of a file from another without reading it."""
    return status.st_size, status.st_mtime_ns
