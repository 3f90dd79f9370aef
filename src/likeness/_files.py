"""Writing that a kill cannot spoil, checksums, and a lock on a folder.

All files that Likeness writes go through `atomic_write`: the bytes go to ``NAME.partial`` in the
same folder, are flushed to the disk, and take their place by one rename. At any moment there is
the old complete file or the new complete file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import secrets
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from likeness.errors import LockedError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE_MODE = 0o600
"""For files that hold patient images or ids."""

_PARTIAL = ".partial"
_CHUNK = 1 << 20


@contextmanager
def atomic_write(
    path: Path, *, private: bool = False, several_writers: bool = False
) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears complete or not at all.

    Parameters
    ----------
    path
        The final path. Its folder must exist.
    private
        Readable by its owner only.
    several_writers
        Other processes may be writing the same file: each writes beside it under a name of its own,
        and the last one stays. What a killed one leaves, `remove_partial_files` removes.

    Raises
    ------
    OutputError
        If the disk is full, the folder read-only, or the like. Nothing is left behind.
    """
    own = f"-{os.getpid()}-{secrets.token_hex(4)}" if several_writers else ""
    partial = path.with_name(f"{path.name}{own}{_PARTIAL}")
    try:
        with writing_to(path):
            mode = PRIVATE_MODE if private else 0o644
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                if private:  # also where an older, public file is replaced
                    partial.chmod(PRIVATE_MODE)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
            sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a whole file atomically."""
    with atomic_write(path, private=private) as stream:
        stream.write(content)


def write_text(path: Path, content: str, *, private: bool = False) -> None:
    """Write a whole UTF-8 file atomically. Lone surrogates of odd file names are escaped."""
    write_bytes(path, content.encode("utf-8", "backslashreplace"), private=private)


def write_json(path: Path, content: Any, *, private: bool = False) -> None:  # noqa: ANN401
    """Write JSON atomically: sorted keys, ASCII, no NaN, so that equal content is equal bytes."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_text(path, text, private=private)


def remove_partial_files(folder: Path, *, hours: float = 0, ending: str = _PARTIAL) -> None:
    """Remove what killed processes left below a folder, if nobody wrote to it for some hours."""
    for path in folder.rglob(f"*{ending}"):
        with contextlib.suppress(OSError):  # somebody else removed it, or we may not
            if time.time() - path.stat().st_mtime >= hours * 3600:
                path.unlink()


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the system's "cannot write" errors into an `OutputError` that says what to do."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "the disk is full; free some space and run the same command again",
            errno.EDQUOT: "the quota is used up; free some space and run the same command again",
            errno.EROFS: "the file system is read-only; choose another --out",
            errno.EACCES: "permission is denied; choose another --out",
            errno.EPERM: "permission is denied; choose another --out",
            errno.EFBIG: "the file would be larger than this system allows",
            errno.EIO: "the disk reports an error",
            errno.ENOTDIR: "a part of the path is a file, not a folder; choose another --out",
            errno.EISDIR: "there is a folder of that name; choose another --out",
            errno.EEXIST: "there is a file of that name; choose another --out",
            errno.ENAMETOOLONG: "the name is too long; choose a shorter --out",
            errno.ELOOP: "the path leads through links in a circle; choose another --out",
        }.get(error.errno or 0)
        if advice is None:
            raise
        msg = f"Cannot write {str(path)!r}: {advice}."
        raise OutputError(msg) from error


def make_folder(path: Path, *, private: bool = False) -> None:
    """Make a folder and its parents."""
    with writing_to(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)


def sync_folder(path: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename survives a power cut."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hash_of_json(content: Any) -> str:  # noqa: ANN401
    """Return a SHA-256 of a JSON value that does not depend on the order of its keys."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies below it, links resolved."""
    return path.resolve().is_relative_to(folder.resolve())


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder against a second writer.

    The lock belongs to this process: the system drops it when the process ends, however it ends,
    so a killed run leaves no stale lock. The file ``.lock`` names the holder and stays.

    Raises
    ------
    LockedError
        If another run holds it.
    """
    make_folder(folder)
    path = folder / ".lock"
    with writing_to(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
    with os.fdopen(descriptor, "r+") as stream:
        if not try_lock(stream.fileno()):
            msg = (
                f"{str(folder)!r} is in use by another run ({_holder(path)}). "
                "Wait for it to end, or choose another --out."
            )
            raise LockedError(msg)
        stream.truncate()
        stream.write(json.dumps({"machine": platform.node(), "process": os.getpid()}))
        stream.flush()
        yield


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process, or say that another one holds it; never wait."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}:
            return False
        raise
    return True


def _holder(path: Path) -> str:
    try:
        owner = json.loads(path.read_text())
        return f"process {owner['process']} on {owner['machine']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its lock file cannot be read"
