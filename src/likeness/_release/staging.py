"""The folder of a release while it is being made: written, then read back as a receiver would.

The staging folder lies beside the final one and becomes it by one rename. Whatever goes wrong
before, the staging folder is removed and there is no release.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._files import make_folder, sha256_of_file, sync_folder, write_bytes, writing_to
from likeness._progress import SILENT, Progress
from likeness._release.audit_folder import NotProvenError
from likeness._release.encoding import Layout, encode, file_name
from likeness.datasets import ImageSet
from likeness.errors import OptionError, OutputError, UnreadableImageError
from likeness.readers import ReadOptions, read_pages

if TYPE_CHECKING:
    from likeness.types import Image, Images, Integers

IMAGES: Final = "images"
CHECKSUMS: Final = "SHA256SUMS"
FIXED_TIME: Final = 946_684_800
"""2000-01-01 00:00 UTC: the time of every file, so that no time is told."""
_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Staged:
    """The images that were written."""

    folder: Path
    rows: Integers
    """(n,) row of each released image in the synthetic set; entry k is number k + 1."""
    layout: Layout

    def paths(self, position: int) -> list[Path]:
        """Return the files of the image with this position, from 0."""
        endings = (part.ending for part in self.layout.parts)
        return [self.folder / IMAGES / file_name(position + 1, ending) for ending in endings]

    def read(self, position: int) -> Image:
        """Read an image (C, H, W) back from its files.

        Raises
        ------
        UnreadableImageError
            If a file cannot be read.
        """
        options = ReadOptions(array_layout="chw", strict=True)
        pages = [list(read_pages(path, options)) for path in self.paths(position)]
        if any(len(found) != 1 for found in pages):
            path = self.paths(position)[0]
            raise UnreadableImageError(path, "no_images", "one image per file was written")
        return np.concatenate([found[0].pixels for found in pages])


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Make a folder beside `out`; it is removed unless it was moved away.

    Raises
    ------
    OptionError
        If `out` exists.
    OutputError
        If nothing can be written there.
    """
    refuse_existing(out)
    make_folder(out.parent)
    with writing_to(out):
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".staging", dir=out.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_existing(out: Path) -> None:
    """Raise if there is anything of that name, a dangling link included.

    Raises
    ------
    OptionError
        Saying so.
    """
    if os.path.lexists(out):
        msg = f"--out {str(out)!r} exists already. A release is never written over; choose another."
        raise OptionError(msg)


def write_images(
    folder: Path,
    synthetic: ImageSet,
    rows: Integers,
    layout: Layout,
    *,
    progress: Progress = SILENT,
) -> Staged:
    """Encode the images anew, numbered in the order of `rows`.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    make_folder(folder / IMAGES)
    staged = Staged(folder, rows, layout)
    with progress.task("write", len(rows)) as task:
        for position, row in enumerate(rows):
            pixels = synthetic.take([int(row)])[0]
            for part, path in zip(layout.parts, staged.paths(position), strict=True):
                write_bytes(path, encode(pixels[list(part.channels)], layout.format))
            task.advance()
    return staged


def read_back(staged: Staged, synthetic: ImageSet) -> Iterator[tuple[Integers, ImageSet]]:
    """Read the staged images from disk, some at a time, and compare every pixel.

    Yields
    ------
    tuple
        Rows of the synthetic set, and the images as they lie on disk.

    Raises
    ------
    NotProvenError
        If a file does not hold the pixels that were to be released, or there is another file.
    """
    count = len(staged.rows)
    expected = {path.name for position in range(count) for path in staged.paths(position)}
    there = {path.name for path in (staged.folder / IMAGES).iterdir()}
    if there != expected:
        msg = f"{len(there ^ expected)} files too many or too few were written; nothing comes out."
        raise NotProvenError(msg)
    for start in range(0, count, _AT_ONCE):
        rows = staged.rows[start : start + _AT_ONCE]
        pixels = np.stack(_read_all(staged, range(start, start + len(rows))))
        images = ImageSet.from_arrays(pixels, channels=synthetic.channels)
        meant = [synthetic.pixel_hashes[int(row)] for row in rows]
        if list(images.pixel_hashes) != meant:
            msg = (
                "An image read back from the release does not have the pixels that were audited; "
                "nothing comes out. Run the same command again; if it happens again, the disk or "
                "the memory of this machine is damaged."
            )
            raise NotProvenError(msg)
        yield rows, images


def _read_all(staged: Staged, positions: range) -> list[Images]:
    try:
        return [staged.read(position) for position in positions]
    except UnreadableImageError as error:
        msg = f"An image of the release cannot be read back ({error.reason}); nothing comes out."
        raise NotProvenError(msg) from error


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over everything in the folder, as ``sha256sum --check`` reads it."""
    lines = [f"{digest}  {name}\n" for name, digest in checksums_of(folder).items()]
    write_bytes(folder / CHECKSUMS, "".join(lines).encode())


def checksums_of(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of every file in a folder, sorted by name."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return {name: sha256_of_file(folder / name) for name in names}


def publish(folder: Path, out: Path) -> None:
    """Give the staged folder its name: the one step that makes a release.

    Raises
    ------
    OptionError
        If there is something of that name by now.
    OutputError
        If it cannot be renamed.
    """
    with writing_to(out):
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (FIXED_TIME, FIXED_TIME))
        refuse_existing(out)
        folder.rename(out)
    # The release is there; a folder that cannot be flushed does not take it back.
    with suppress(OSError, OutputError):
        sync_folder(out.parent)
