"""Image sets as ordinary files: PNG or NIfTI, one file per image and channel.

::

    flat    sample-000017.png, or with several channels sample-000017_flair.png
    paper   FLAIR/sample-000017flair.png: a folder per channel, as in the files of Akbar et al.

Files are written one by one, each whole or not at all; a later call writes what is missing. Pixels
are as in the set: no value changes, nothing of its record is written.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from likeness._files import make_folder, write_bytes
from likeness._progress import SILENT, Progress
from likeness.errors import OptionError
from likeness.types import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness.datasets.image_set import ImageSet

FileFormat = Literal["png", "nifti"]
FileLayout = Literal["flat", "paper"]

_ENDINGS: Final = {"png": ".png", "nifti": ".nii.gz"}
_PAPER_NAMES: Final = {"t1": "T1", "t2": "T2", "t1ce": "T1ce"}
"""As the authors spell them at the end of a file's name; others are in small letters there."""
_PAPER_FOLDERS: Final = {"seg": "Seg"}
"""And of a folder; others are in capitals."""
_BLOCK: Final = 64


def export_images(
    images: ImageSet,
    folder: Path,
    *,
    file_format: FileFormat = "png",
    layout: FileLayout = "flat",
    progress: Progress = SILENT,
) -> list[Path]:
    """Write an image set as files.

    Parameters
    ----------
    images
        8 bits, or 16 without sign.
    folder
        Is made if it is not there. Files that are there under the right name are written again
        only if their content differs.
    file_format
        ``png``: grey. ``nifti``: one slice, compressed, with the orientation that
        `likeness prepare` gives slices (anterior at the top, the patient's right on the left) and
        voxels of 1 mm, since a set does not know their size.
    layout
        See the module.

    Returns
    -------
    list of Path
        All files, in the order of images, then channels.

    Raises
    ------
    OptionError
        If an option is unknown, the pixels are not whole numbers of at most 16 bits, two images
        would have the same file, or the folder holds other files.
    OutputError
        If it cannot be written.
    """
    if file_format not in get_args(FileFormat) or layout not in get_args(FileLayout):
        msg = (
            "Files are 'png' or 'nifti', laid out 'flat' or 'paper'; not "
            f"{file_format!r}, {layout!r}."
        )
        raise OptionError(msg)
    if images.dtype not in (np.uint8, np.uint16):
        msg = f"Files are written of 8-bit and 16-bit pixels; these are {images.dtype}."
        raise OptionError(msg)
    names = [
        [folder / name for name in _names(image_id, images.channels, file_format, layout)]
        for image_id in images.image_ids
    ]
    paths = [path for row in names for path in row]
    if len(set(paths)) != len(paths):
        msg = "Two images would have the same file: their ids differ only in signs like '/'."
        raise OptionError(msg)
    others = sorted({path for path in folder.rglob("*") if path.is_file()} - {*paths})
    if others:  # whoever takes the folder would take them for images of this set
        msg = (
            f"{str(folder)!r} holds {len(others)} files that are not of this set, for example "
            f"{others[0].name!r}. Move them away; nothing was written."
        )
        raise OptionError(msg)
    for parent in sorted({path.parent for path in paths}):
        make_folder(parent)
    with progress.task("export", len(images)) as task:
        for start in range(0, len(images), _BLOCK):
            block = images.read(start, min(start + _BLOCK, len(images)))
            for image, row in zip(block, names[start : start + len(block)], strict=True):
                for channel, path in zip(image, row, strict=True):
                    content = png_bytes(channel) if file_format == "png" else nifti_bytes(channel)
                    if not (path.is_file() and path.read_bytes() == content):
                        write_bytes(path, content)
                task.advance()
    return paths


def png_bytes(channel: Image) -> bytes:
    """Return one channel (H, W) as a grey PNG file."""
    from PIL import Image as PillowImage

    stream = io.BytesIO()
    PillowImage.fromarray(channel).save(stream, format="PNG")
    return stream.getvalue()


def nifti_bytes(channel: Image) -> bytes:
    """Return one channel (H, W) as a compressed NIfTI file of one slice."""
    import nibabel

    # Columns run to the patient's left, rows to the back.
    voxels = np.ascontiguousarray(channel.T[:, :, None])
    image: Any = nibabel.Nifti1Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]))
    # No time in the header: equal images are equal files.
    return gzip.compress(image.to_bytes(), mtime=0)


def _names(
    image_id: str, channels: tuple[str, ...], file_format: str, layout: str
) -> Iterator[str]:
    stem = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in image_id)
    ending = _ENDINGS[file_format]
    for name in channels:
        if layout == "paper":
            small = name.lower()
            parent = _PAPER_FOLDERS.get(small, name.upper())
            yield f"{parent}/{stem}{_PAPER_NAMES.get(small, small)}{ending}"
        else:
            yield f"{stem}{ending}" if len(channels) == 1 else f"{stem}_{name}{ending}"
