"""What every reader gives, takes and promises.

`Page` is one picture, `Header` what can be said without decoding, `Volume` a whole scan,
`ReadOptions` the few decisions that a file cannot make for itself, and `ImageReader` the contract
that `likeness.testing.readers.ImageReaderTests` checks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, get_type_hints

import numpy as np

from likeness.errors import OptionError, UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.types import Floats, Image

HEAD_BYTES = 4096
"""How much of the start of a file `ImageReader.recognises` may look at."""

ArrayLayout = Literal["auto", "hw", "hwc", "chw", "nhw", "nhwc", "nchw"]


@dataclass(frozen=True, eq=False)
class Page:
    """One picture out of a file."""

    pixels: Image
    """(C, H, W), the number type of the file, C-contiguous, native byte order, writable, and owned
    by whoever receives the page."""
    member: str | None = None
    """Which part of the file it is: the member of an archive, the row of a batch or the page of a
    TIFF, counted from 0; ``member::row`` for a part of a part. None where the file is the image."""
    slice_index: int | None = None
    """Position from the lowest axial slice, from 0; None where there is no volume."""
    notes: tuple[str, ...] = ()
    """What a reader of the report should know, for example ``EXIF orientation 6 applied``."""


@dataclass(frozen=True)
class Header:
    """What the headers of a file say. Nothing was decoded: a damaged file may still have one."""

    reader: str
    """Name of the reader, for example ``png``."""
    shape: tuple[int, int, int]
    """(C, H, W) of the pages, as `ImageReader.read` would give them; of the first page where the
    members of an archive differ. C counts the alpha channel out."""
    dtype: str
    """NumPy name of the number type of the pages, for example ``uint16``."""
    num_images: int
    """How many pages `ImageReader.read` would give."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Volume:
    """A whole NIfTI scan in RAS+ order, or in stored order where the file has no orientation."""

    voxels: NDArray[Any]
    """(I, J, K): I towards the patient's right, J anterior, K superior. The number type of the file
    where it is unscaled, else float64 after slope and intercept."""
    affine: Floats
    """(4, 4), voxel index of `voxels` -> mm, RAS+."""
    axcodes: tuple[str, str, str] | None
    """Directions of the axes as they lie in the file, for example ``('L', 'P', 'S')``. None where
    neither sform nor qform is set: then nothing was turned."""
    spacing_mm: tuple[float, float, float]
    """Size of a voxel along I, J, K."""
    notes: tuple[str, ...] = ()

    def axial_slice(self, index: int) -> NDArray[Any]:
        """Return slice `index` (0 = lowest) as a fresh (H, W) picture; see `axial_view`."""
        return np.array(self.axial_view(index), order="C")

    def axial_view(self, index: int) -> NDArray[Any]:
        """Return slice `index` (0 = lowest) as a view (H, W) of the voxels, anterior at the top.

        The patient's right is on the left, as radiologists look at it: rows are J downwards from
        its end, columns I from its end. Without orientation nothing is turned about: rows are J and
        columns I from their start.
        """
        plane = self.voxels[:, :, index].T
        return plane if self.axcodes is None else plane[::-1, ::-1]


@dataclass(frozen=True)
class ReadOptions:
    """Decisions that a file cannot make for itself. The defaults refuse rather than guess.

    Raises
    ------
    OptionError
        If a value is not one of those listed.
    """

    max_pixels: int = 64_000_000
    """Largest H * W of one page that is decoded. At least 1."""
    max_values: int = 1_000_000_000
    """Most numbers that are decoded into memory at once: a volume, or all channels of one page.
    At least 1."""
    nan: Literal["refuse", "zero"] = "refuse"
    """NaN and infinities: refuse the file, or write 0 there and note how many."""
    frames: Literal["single", "all"] = "single"
    """Animations and bursts of frames: refuse them, or one page per frame."""
    tiff_pages: Literal["ask", "channels", "images"] = "ask"
    """Several pages in a TIFF: refuse, stack them as channels, or one image each."""
    array_layout: ArrayLayout = "auto"
    """Order of the axes of NPY and NPZ arrays: n = images, c = channels, h = rows, w = columns.
    ``auto`` takes the only possible axis of length 8 or less as the channels and refuses where
    that does not decide."""
    array_name: str | None = None
    """Which array of an NPZ holds the images; None where only one can."""
    volume_index: int | None = None
    """Which volume of a 4-D NIfTI, from 0; None refuses if there are several."""
    alpha: Literal["black", "white", "refuse"] = "black"
    """Transparency: lay the image on black or on white and note it, or refuse. An alpha channel
    that is opaque everywhere is dropped whatever is said here."""
    strict: bool = False
    """Refuse what is otherwise read and noted: a missing end mark, bytes after the end, a name that
    promises another format."""

    def __post_init__(self) -> None:
        """Check the values."""
        hints = get_type_hints(type(self))
        for field in fields(self):
            allowed, value = get_args(hints[field.name]), getattr(self, field.name)
            if allowed and isinstance(allowed[0], str) and value not in allowed:
                flag = "--" + field.name.replace("_", "-")
                msg = f"{flag} is {value!r}; expected one of {', '.join(map(repr, allowed))}."
                raise OptionError(msg)
        for name, least in (("max_pixels", 1), ("max_values", 1), ("volume_index", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                flag = "--" + name.replace("_", "-")
                msg = f"{flag} is {value}; expected at least {least}."
                raise OptionError(msg)


class ImageReader(Protocol):
    """Turns the files of one format into pages.

    The contract:

    - `recognises` decides by content and from nothing but `head`, the first 4,096 bytes of the
      file. It opens nothing and raises nothing. No two readers recognise the same bytes.
    - `describe` reads headers only and agrees with `read` about shape, type and number of pages.
    - `read` gives the pages in the order of the file, equal on every call.
    - Pixels are the numbers of the file: nothing is resized, reduced to fewer bits, scaled to a
      range, or turned to grey. One bit becomes 0 and 255.
    - Every page is C-contiguous, writable, in native byte order, and shares no memory with another.
    - A header that promises more than `ReadOptions.max_pixels` is refused before any pixel is
      decoded or memory allocated for it.
    - Whatever is wrong with a file is an `UnreadableImageError` with a code of
      `likeness.readers.CODES` and a reason in plain words. No other exception leaves a reader.
    - Damage to the file as a whole is *raised*; pages yielded before do not count then. Damage to
      one part that leaves the others whole (a member of an archive) is *yielded* in its place, its
      path being ``file::member``, and reading goes on.
    - Checksums that the format has are checked before the first page they cover is yielded.
    - Nothing global is left changed, nothing is written, nothing in the file is executed.
    """

    name: str
    """Short, lower case, for example ``png``."""
    suffixes: tuple[str, ...]
    """Usual ends of file names, lower case with the dot. For looking through folders only."""

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the file that starts with `head` is one of this reader's."""

    def describe(self, path: Path, options: ReadOptions) -> Header:
        """Return what the headers say."""

    def read(self, path: Path, options: ReadOptions) -> Iterator[Page | UnreadableImageError]:
        """Yield the pages."""
