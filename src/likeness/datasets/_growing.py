"""A shard that is being filled: its images go to disk as they come, so that a kill costs seconds.

``progress/growing.npy`` is the shard with the header of a full one. ``progress/growing.json``,
written now and then, says how many of its images count and what their checksum is. Neither waits
for the disk: a kill takes nothing from the system, and if the power fails the checksum tells, and
the work goes on from the last whole shard. NumPy leaves room in its headers, so the true number of
rows takes its place at the end. The mark stays until the shard is in its place and known to be
whole: if the run is killed in between, the next one takes the shard back.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import PRIVATE_MODE, sync_folder, writing_to
from likeness._pace import Pace
from likeness.datasets._npy import bytes_of

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.types import Image

_CHUNK: Final = 1 << 20


class GrowingShard:
    """The shard under way.

    Parameters
    ----------
    folder
        ``progress`` of the set.
    shape
        (C, H, W) of the images.
    capacity
        Images of a full shard.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], capacity: int
    ) -> None:
        self._path = folder / "growing.npy"
        self._mark_path = folder / "growing.json"
        self._shape, self._dtype, self._capacity = shape, dtype, capacity
        self.count = 0
        """Images in it."""
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] | None = None
        self._pace = Pace()

    def add(self, pixels: Image) -> None:
        """Write one image behind the others."""
        with writing_to(self._path):
            if self._stream is None:
                self._stream = self._opened(os.O_TRUNC)
                self._write(self._header(self._capacity))
            self._write(bytes_of(pixels))
        self.count += 1

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last mark."""
        return self.count > 0 and self._pace.is_due

    def mark(self, content: dict[str, Any]) -> None:
        """Hand what was added to the system, with `content`, from which a later run goes on."""
        partial = self._mark_path.with_name(self._mark_path.name + ".partial")
        with self._pace.saving(), writing_to(self._path):
            state = {**content, "count": self.count, "sha256": self._digest.hexdigest()}
            text = json.dumps(state, allow_nan=False)
            if self._stream is not None:
                self._stream.flush()
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(text)
            partial.replace(self._mark_path)

    def resume(self, state: dict[str, Any], target: Path) -> bool:
        """Go on where `mark` was; False where the images do not fit their checksum.

        Parameters
        ----------
        target
            Where `finish` may have put the shard before the run was killed.
        """
        with suppress(FileNotFoundError), writing_to(self._path):
            if not self._path.exists():
                target.replace(self._path)
        count = int(state["count"])
        header = self._header(self._capacity)
        left = count * int(np.prod(self._shape)) * self._dtype.itemsize
        # What was to become the last shard has its true number of rows in the header already.
        digest = hashlib.sha256(header)
        with suppress(OSError), self._path.open("rb") as stream:
            stream.seek(len(header))
            while left and (piece := stream.read(min(_CHUNK, left))):
                digest.update(piece)
                left -= len(piece)
            size = stream.tell()
            if not left and digest.hexdigest() == state["sha256"]:
                with writing_to(self._path):
                    self._stream = self._opened(0)
                    self._stream.write(header)
                    self._stream.truncate(size)
                    self._stream.seek(size)
                self._digest, self.count = digest, count
                return True
        return False

    def finish(self, target: Path) -> str:
        """Put the shard into its place and return its SHA-256; the next image begins another."""
        stream = self._stream
        if stream is None:
            msg = "there is no image in the shard"
            raise ValueError(msg)
        with writing_to(target):
            if self.count != self._capacity:
                stream.seek(0)
                stream.write(self._header(self.count))
                stream.flush()
                self._digest = _digest_of(self._path)
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            self._path.replace(target)
            sync_folder(target.parent)
        self._stream = None
        digest, self._digest, self.count = self._digest.hexdigest(), hashlib.sha256(), 0
        return digest

    def forget_mark(self) -> None:
        """Remove the mark of a shard that is finished."""
        with writing_to(self._mark_path):
            self._mark_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what was marked stays."""
        if self._stream is not None:
            with suppress(OSError):  # a full disk was complained of when it was written to
                self._stream.close()
            self._stream = None

    def _opened(self, flags: int) -> IO[bytes]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | flags, PRIVATE_MODE)
        return os.fdopen(descriptor, "r+b", buffering=_CHUNK)

    def _write(self, content: bytes | memoryview) -> None:
        self._digest.update(content)
        if self._stream is not None:
            self._stream.write(content)

    def _header(self, count: int) -> bytes:
        stream = io.BytesIO()
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (count, *self._shape),
        }
        np.lib.format.write_array_header_1_0(stream, header)
        return stream.getvalue()


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return what the last mark said, or None where there is none that can be read."""
    try:
        content = json.loads((folder / "growing.json").read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _digest_of(path: Path) -> Any:  # noqa: ANN401
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest
