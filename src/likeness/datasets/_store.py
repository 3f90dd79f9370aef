"""Where the pixels of an image set lie: arrays in memory, or NPY shards on disk.

Shards are read with ordinary reads (seek, then read into a fresh array). A memory map would be
shorter, but a file that shrinks under it kills the process, and its pages count as memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from likeness.errors import DamagedSetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.types import Images, Integers


class PixelStore(Protocol):
    """Images by row number. Both methods return fresh arrays."""

    image_shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        """Return the number of images."""

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1, (stop - start, C, H, W)."""

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given, (n, C, H, W)."""


class ArrayStore:
    """Images that are in memory already; the array is not copied."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.image_shape = (images.shape[1], images.shape[2], images.shape[3])
        self.dtype = images.dtype

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1."""
        return self._images[start:stop].copy()

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given."""
        return self._images[rows]


@dataclass(frozen=True)
class Shard:
    """One NPY file of an image set."""

    path: Path
    num_rows: int
    offset: int
    """Bytes of the NPY header before the first pixel."""


class ShardStore:
    """Images in NPY shards of equal image shape and number type."""

    def __init__(
        self, shards: list[Shard], image_shape: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> None:
        self.image_shape = image_shape
        self.dtype = dtype
        self._shards = shards
        self._starts = np.cumsum([0, *(shard.num_rows for shard in shards)])
        self._image_bytes = int(np.prod(image_shape)) * dtype.itemsize

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1.

        Raises
        ------
        DamagedSetError
            If a shard has become shorter since it was opened, or is gone.
        """
        images = np.empty((stop - start, *self.image_shape), self.dtype)
        done = 0
        while done < len(images):
            number = int(np.searchsorted(self._starts, start + done, side="right")) - 1
            first = start + done - int(self._starts[number])
            count = min(self._shards[number].num_rows - first, len(images) - done)
            self._read_run(number, first, images[done : done + count])
            done += count
        return images

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given, reading each run of neighbouring rows at once.

        Raises
        ------
        DamagedSetError
            If a shard has become shorter since it was opened, or is gone.
        """
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        images = np.empty((len(rows), *self.image_shape), self.dtype)
        breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
        for run in np.split(np.arange(len(rows)), breaks):
            if len(run):
                first = int(wanted[run[0]])
                images[order[run]] = self.read(first, first + len(run))
        return images

    def _read_run(self, number: int, first: int, target: NDArray[Any]) -> None:
        shard = self._shards[number]
        view = target.reshape(-1).view(np.uint8).data
        try:
            with shard.path.open("rb", buffering=0) as stream:
                stream.seek(shard.offset + first * self._image_bytes)
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
