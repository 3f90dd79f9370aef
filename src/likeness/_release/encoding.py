"""Pixels to files that hold nothing but pixels, the same bytes for the same pixels.

PNG: the chunks IHDR, (PLTE never,) IDAT, IEND; one grey file per channel, or one RGB file.
NIfTI: one gzipped volume of one slice per channel, a header of zeros apart from shape and type; no
orientation, for a made-up image has none. NPZ: one array ``image`` (C, H, W) per image, in a ZIP
without times. No file carries a time, a text, a comment or the name of anything.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from likeness.errors import OptionError

if TYPE_CHECKING:
    from likeness.datasets import ImageSet
    from likeness.types import Image

Format: TypeAlias = Literal["png", "nifti", "npz"]
Choice: TypeAlias = Literal["keep", "png", "nifti", "npz"]

SUFFIX: Final[dict[Format, str]] = {"png": ".png", "nifti": ".nii.gz", "npz": ".npz"}
_RGB: Final = ("red", "green", "blue")
_KNOWN_CHANNELS: Final = frozenset(
    {"t1", "t1ce", "t1gd", "t2", "flair", "seg", "pd", "adc", "dwi", "ct", "pet", "grey", *_RGB}
)
"""Channel names that may appear in file names. Others may come from the user's file names."""
_PNG_TYPES: Final = ("uint8", "uint16")
_NIFTI_TYPES: Final = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"
)  # fmt: skip
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP can state."""


@dataclass(frozen=True)
class FilePart:
    """One file of an image: which channels it holds and how its name ends."""

    ending: str
    """After the number of the image, for example ``_t1.png``."""
    channels: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How the images of a set are written."""

    format: Format
    parts: tuple[FilePart, ...]
    channels: tuple[str, ...]
    """Names as they may be shown."""


def choose_layout(images: ImageSet, choice: str) -> Layout:
    """Choose format and file names for a set.

    Parameters
    ----------
    choice
        ``keep`` takes the format of the source files where it is one of the three and can hold
        the pixels, else PNG, else NPZ.

    Raises
    ------
    OptionError
        If the format is unknown or cannot hold pixels of this type without changing them.
    """
    if choice not in get_args(Choice):
        msg = f"--format is {choice!r}; expected one of {', '.join(get_args(Choice))}."
        raise OptionError(msg)
    dtype = images.dtype.name
    kind: Format = _kept(images) if choice == "keep" else choice  # type: ignore[assignment]
    if not _can_hold(kind, images.dtype):
        able = [name for name in get_args(Format) if _can_hold(name, images.dtype)]
        msg = (
            f"--format {kind} cannot hold pixels of the type {dtype} without changing them; "
            f"choose {' or '.join(able)}."
        )
        raise OptionError(msg)
    names = shown_channels(images.channels)
    every = tuple(range(len(names)))
    suffix = SUFFIX[kind]
    is_rgb = kind == "png" and images.channels == _RGB and dtype == "uint8"
    if kind == "npz" or is_rgb or len(names) == 1:
        return Layout(kind, (FilePart(suffix, every),), names)
    parts = tuple(FilePart(f"_{name}{suffix}", (index,)) for index, name in enumerate(names))
    return Layout(kind, parts, names)


def shown_channels(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of channels that cannot give anything away."""
    return tuple(
        name.lower() if name.lower() in _KNOWN_CHANNELS else f"channel{number}"
        for number, name in enumerate(names)
    )


def encode(pixels: Image, format: Format) -> bytes:  # noqa: A002 - the word of the flag
    """Return the bytes of a file.

    Parameters
    ----------
    pixels
        (C, H, W); for NIfTI C is 1, for PNG 1 or 3.
    """
    return {"png": _png, "nifti": _nifti, "npz": _npz}[format](np.ascontiguousarray(pixels))


def file_name(number: int, ending: str) -> str:
    """Return the name of a file, for example ``synthetic_000001_t1.png``."""
    return f"synthetic_{number:06d}{ending}"


def _kept(images: ImageSet) -> Format:
    wanted: Format = "png"
    if images.path is not None:
        from likeness.datasets.manifest import read_table

        names = [
            str(p).lower() for p in read_table(images.path / "sources.parquet", ["path"])["path"]
        ]
        if names and all(name.endswith((".nii", ".nii.gz", ".hdr", ".img")) for name in names):
            wanted = "nifti"
        elif names and all(name.endswith((".npz", ".npy")) for name in names):
            wanted = "npz"
    return wanted if _can_hold(wanted, images.dtype) else "npz"


def _can_hold(kind: str, dtype: np.dtype[Any]) -> bool:
    if kind == "png":
        return dtype.name in _PNG_TYPES
    return kind == "npz" or dtype.name in _NIFTI_TYPES


def _png(pixels: Image) -> bytes:
    from PIL import Image as Picture

    plane = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)
    stream = io.BytesIO()
    Picture.fromarray(np.ascontiguousarray(plane)).save(stream, format="PNG")
    return stream.getvalue()


def _nifti(pixels: Image) -> bytes:
    import nibabel

    # Rows are the second stored axis of a volume without orientation, columns the first.
    voxels = np.ascontiguousarray(pixels[0].T[:, :, np.newaxis])
    image = nibabel.Nifti1Image(voxels, None, dtype=voxels.dtype)
    return gzip.compress(image.to_bytes(), mtime=0)


def _npz(pixels: Image) -> bytes:
    array, stream = io.BytesIO(), io.BytesIO()
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    np.lib.format.write_array(array, little, allow_pickle=False)
    with zipfile.ZipFile(stream, "w") as archive:
        member = zipfile.ZipInfo("image.npy", _NO_TIME)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.create_system = 3  # the same byte on every system
        archive.writestr(member, array.getvalue())
    return stream.getvalue()
