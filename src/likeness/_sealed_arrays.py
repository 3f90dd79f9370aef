"""Arrays in one file that ends with the SHA-256 of all before it: an NPZ archive, never unpickled.

Damaged archives fail in too many ways, so the checksum is compared before anything is read out of
one.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_DIGEST: Final = 32
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], *, several_writers: bool = False
) -> None:
    """Write arrays by name into a private file, which appears whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getbuffer()
    with atomic_write(path, private=True, several_writers=several_writers) as stream:
        stream.write(content)
        stream.write(hashlib.sha256(content).digest())


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], str] | None:
    """Return the arrays of a file and their SHA-256; None where it is missing or damaged."""
    try:
        content = memoryview(path.read_bytes())
        digest = hashlib.sha256(content[:-_DIGEST])
        if digest.digest() != content[-_DIGEST:]:
            return None
        with np.load(io.BytesIO(content[:-_DIGEST]), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}, digest.hexdigest()
    except _DAMAGE:
        return None
