"""A set at the scale of decisions, as 8-bit pictures that the search can take.

Each channel of the 64 x 64 block means of each image is stretched to 0..255 and rounded.
Correlations per channel do not see the stretching. The rounding turns the centred vector of each
channel by an angle, which is measured here for every image; so a search among these pictures finds
*candidates*, and how far a candidate can be from the truth is known (see `near`).

Pictures of a set of 91,271 images with 4 channels take 1.5 GB of disk and no memory: they are
written once, piece by piece, into the working folder, and read from there. A killed run goes on
with the pieces that are there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import hash_of_json, make_folder, write_bytes
from likeness._progress import SILENT, Progress
from likeness.errors import DamagedSetError
from likeness.search.source import read_images
from likeness.similarity._sums import relative_spread
from likeness.similarity.blocks import BlockGrid

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.datasets import ImageSet
    from likeness.types import Flags, Floats, Image, Images, Integers

GRID: Final = 64
FORMAT_VERSION: Final = 1
_PIECE: Final = 1024
"""Images per file."""
_READ_AT_ONCE: Final = 32
_TOP: Final = 255


@dataclass(frozen=True)
class BlockImages:
    """Block means of n images on disk; an `ImageSource`."""

    images: ImageSet
    """The images themselves, in the same order."""
    channel_indices: tuple[int, ...]
    """Which of their channels are compared."""
    folder: Path
    angle: Floats
    """(n,) by how much rounding turns the worst channel, in radians."""
    varies: Flags
    """(n, C) False where a channel has no variance; its picture is 0 everywhere."""
    rows: Integers | None = None
    """Where each image lies in the files; None for the same order."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, rows, columns) of the block means."""
        blocks = self.blocks
        return len(self.channel_indices), blocks.rows, blocks.columns

    @property
    def blocks(self) -> BlockGrid:
        """How the pictures are cut."""
        _, height, width = self.images.image_shape
        return BlockGrid(height, width, GRID)

    @property
    def dtype(self) -> np.dtype[Any]:
        """8-bit."""
        return np.dtype(np.uint8)

    @property
    def patient_codes(self) -> NDArray[np.int32]:
        """(n,) as in `images`."""
        return self.images.patient_codes

    @property
    def num_patients(self) -> int:
        """As in `images`."""
        return self.images.num_patients

    @property
    def fingerprint(self) -> str:
        """Hash of all that is in the set."""
        return _key(self.images, self.channel_indices)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, start: int, stop: int) -> Images:
        """Return pictures `start` to `stop` as a fresh array (n, C, rows, columns)."""
        if self.rows is None:
            return self._read_run(start, stop)
        wanted = self.rows[start:stop]
        out = np.empty((len(wanted), *self.image_shape), dtype=np.uint8)
        cuts = np.flatnonzero(np.diff(wanted) != 1) + 1
        for part in np.split(np.arange(len(wanted)), cuts):
            if len(part):
                first = int(wanted[part[0]])
                out[part] = self._read_run(first, first + len(part))
        return out

    def subset(self, rows: Integers) -> BlockImages:
        """Return some of the pictures; nothing is read or written."""
        return replace(
            self,
            images=self.images.subset(rows),
            angle=self.angle[rows],
            varies=self.varies[rows],
            rows=rows if self.rows is None else self.rows[rows],
        )

    def _read_run(self, start: int, stop: int) -> Images:
        out = np.empty((stop - start, *self.image_shape), dtype=np.uint8)
        size = int(np.prod(self.image_shape))
        position = start
        while position < stop:
            piece, inside = divmod(position, _PIECE)
            count = min(stop - position, _PIECE - inside)
            path = _piece_path(self.folder, piece)
            values = np.fromfile(path, np.uint8, count * size, offset=inside * size)
            if values.size != count * size:
                msg = f"{str(path)!r} was changed during the run. Run the same command again."
                raise DamagedSetError(msg)
            out[position - start : position - start + count] = values.reshape(
                count, *self.image_shape
            )
            position += count
        return out


def write_block_images(
    images: ImageSet, channels: tuple[int, ...], work: Path, *, progress: Progress = SILENT
) -> BlockImages:
    """Reduce a set to block means below a working folder, or finish what is there.

    Raises
    ------
    InputError
        If a pixel is not finite.
    OutputError
        If the disk is full or the like.
    """
    folder = work / f"blocks-{_key(images, channels)[:16]}"
    make_folder(folder, private=True)
    made = BlockImages(
        images,
        channels,
        folder,
        angle=np.zeros(len(images)),
        varies=np.zeros((len(images), len(channels)), dtype=np.bool_),
    )
    with progress.task("reduce", len(images)) as task:
        for piece, start in enumerate(range(0, len(images), _PIECE)):
            stop = min(start + _PIECE, len(images))
            if not _load_piece(made, piece, start, stop):
                _write_piece(made, piece, start, stop)
            task.advance(stop - start)
    return made


def stretched_bytes(
    blocks: BlockGrid, image: Image, limit: float
) -> tuple[NDArray[np.uint8], Floats, Flags]:
    """Return one image as 8-bit block means, (C,) angles of rounding, and (C,) which vary.

    Parameters
    ----------
    limit
        Spread, relative to the largest value, up to which a channel counts as constant.
    """
    means = blocks.means(image)
    low = means.min(axis=(1, 2), keepdims=True)
    spread = means.max(axis=(1, 2), keepdims=True) - low
    varies = spread > limit * np.abs(means).max(axis=(1, 2), keepdims=True)
    scale = np.divide(_TOP, spread, out=np.zeros_like(spread), where=varies)
    exact = (means - low) * scale
    rounded = np.rint(exact)
    angle = np.zeros(len(means))
    for channel in np.flatnonzero(varies):
        # Chord of the unit circle; for small angles far more precise than an arc cosine.
        chord = np.linalg.norm(_unit(exact[channel]) - _unit(rounded[channel]))
        angle[channel] = 2.0 * np.arcsin(min(1.0, float(chord) / 2.0))
    return rounded.astype(np.uint8), angle, varies[:, 0, 0]


def _unit(values: Floats) -> Floats:
    centred: Floats = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length


def _write_piece(made: BlockImages, piece: int, start: int, stop: int) -> None:
    images = made.images
    limit = relative_spread(images.dtype, made.blocks.pixels_per_block)
    values = np.empty((stop - start, *made.image_shape), dtype=np.uint8)
    for first in range(start, stop, _READ_AT_ONCE):
        last = min(first + _READ_AT_ONCE, stop)
        for row, image in enumerate(read_images(images, first, last, made.channel_indices), first):
            values[row - start], angle, made.varies[row] = stretched_bytes(
                made.blocks, image, limit
            )
            made.angle[row] = angle.max()
    write_bytes(_piece_path(made.folder, piece), values.tobytes(), private=True)
    notes = np.concatenate(
        [made.angle[start:stop, None], made.varies[start:stop].astype(np.float64)], axis=1
    )
    # Written after the pictures: where it is, they are.
    write_bytes(_notes_path(made.folder, piece), notes.tobytes(), private=True)


def _load_piece(made: BlockImages, piece: int, start: int, stop: int) -> bool:
    """Take over what an earlier run wrote; False where it is missing or has another size."""
    pictures, notes = _piece_path(made.folder, piece), _notes_path(made.folder, piece)
    count, channels = stop - start, len(made.channel_indices)
    if not pictures.is_file() or not notes.is_file():
        return False
    if pictures.stat().st_size != count * int(np.prod(made.image_shape)):
        return False
    values = np.fromfile(notes, np.float64)
    if values.size != count * (1 + channels):
        return False
    table = values.reshape(count, 1 + channels)
    made.angle[start:stop] = table[:, 0]
    made.varies[start:stop] = table[:, 1:] > 0
    return True


def _key(images: ImageSet, channels: tuple[int, ...]) -> str:
    return hash_of_json(
        {
            "format": FORMAT_VERSION,
            "images": images.fingerprint,
            "channels": list(channels),
            "grid": GRID,
        }
    )


def _piece_path(folder: Path, piece: int) -> Path:
    return folder / f"{piece:05}.bin"


def _notes_path(folder: Path, piece: int) -> Path:
    return folder / f"{piece:05}.notes"
