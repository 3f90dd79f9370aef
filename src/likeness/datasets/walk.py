"""Find the files below a folder: every entry once, in an order that depends on names alone.

Links are not followed: one that leads out of the folder could bring in anything, and one that
leads back would bring in everything twice. Pipes and devices are never opened (opening a pipe
waits for ever). All that is not a plain readable file is listed with the reason.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness.datasets.accounting import LeftOut
from likeness.datasets.names import path_text
from likeness.errors import InputError, NoImagesError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 20
"""Levels of folders that are entered."""


@dataclass(frozen=True)
class SourceFile:
    """A plain file of the source."""

    path: Path
    text: str
    """The path relative to the source, as `names.path_text` shows it."""
    num_bytes: int
    mtime_ns: int
    content: bytes | None = field(default=None, repr=False, compare=False)
    """Its bytes while it is being decoded; None where it is to be read from the disk."""

    @property
    def name(self) -> str:
        """The last part of `text`."""
        return self.text.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Listing:
    """All entries below a source."""

    root: Path
    files: tuple[SourceFile, ...]
    """In the order of the bytes of their relative paths."""
    left_out: tuple[LeftOut, ...]

    @property
    def num_found(self) -> int:
        """Number of entries."""
        return len(self.files) + len(self.left_out)


def find_files(source: Path) -> Listing:
    """List a folder and all below it, or one file.

    Raises
    ------
    InputError
        If `source` does not exist or is neither a folder nor a plain file.
    NoImagesError
        If the folder is empty.
    """
    try:
        status = source.stat()
    except OSError as error:
        msg = f"{str(source)!r} cannot be read: {error.strerror}."
        raise InputError(msg) from error
    if stat.S_ISREG(status.st_mode):
        file = SourceFile(source, path_text(source.name), status.st_size, status.st_mtime_ns)
        return Listing(source, (file,), ())
    if not stat.S_ISDIR(status.st_mode):
        msg = f"{str(source)!r} is neither a folder nor a plain file."
        raise InputError(msg)
    entries = sorted(
        _entries(source, source.resolve(), "", MAX_DEPTH), key=lambda entry: os.fsencode(entry[0])
    )
    if not entries:
        msg = f"The folder {str(source)!r} is empty."
        raise NoImagesError(msg)
    return Listing(
        source,
        tuple(entry for _, entry in entries if isinstance(entry, SourceFile)),
        tuple(entry for _, entry in entries if isinstance(entry, LeftOut)),
    )


def _entries(
    folder: Path, root: Path, prefix: str, levels: int
) -> Iterator[tuple[str, SourceFile | LeftOut]]:
    """Yield every entry with its path relative to the root."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        where = prefix.rstrip("/") or "."
        yield where, _left_out(where, "unreadable", f"the folder: {error.strerror}")
        return
    for entry in entries:
        relative = prefix + entry.name
        try:
            status = os.lstat(entry.path)  # on Windows the entry's own has no inode and may be old
        except OSError as error:
            yield relative, _left_out(relative, "unreadable", str(error.strerror))
            continue
        path = folder / entry.name
        if stat.S_ISDIR(status.st_mode) and levels > 1:
            yield from _entries(path, root, relative + "/", levels - 1)
        else:
            yield relative, _entry(path, relative, status, root)


def _entry(path: Path, relative: str, status: os.stat_result, root: Path) -> SourceFile | LeftOut:
    if stat.S_ISDIR(status.st_mode):
        reason = f"folders are entered {MAX_DEPTH} levels deep only"
        return _left_out(relative, "too_deep", reason)
    if stat.S_ISLNK(status.st_mode):
        return _left_out(relative, *_about_link(path, root))
    if not stat.S_ISREG(status.st_mode):
        return _left_out(relative, "not_a_file", "a pipe, socket or device: it is not opened")
    if not os.access(path, os.R_OK):
        return _left_out(relative, "unreadable", "permission is denied", status.st_size)
    return SourceFile(path, path_text(relative), status.st_size, status.st_mtime_ns)


def _about_link(path: Path, root: Path) -> tuple[str, str]:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "dangling_link", "a link to nothing, or in a circle"
    if target.is_relative_to(root):
        return "link", "a link to something that is in the folder anyway"
    return "link_outside", "a link out of the folder: links are not followed; copy the file here"


def _left_out(relative: str, code: str, reason: str, num_bytes: int | None = None) -> LeftOut:
    return LeftOut(path_text(relative), "find", code, reason, num_bytes)
