"""Write an NPY file row by row, with its SHA-256 computed on the way."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from likeness._files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


class RowWriter:
    """An NPY file of rows that is being written; made by `writing_rows`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def write(self, content: Any) -> None:  # noqa: ANN401
        """Write bytes."""
        self._digest.update(content)
        self._stream.write(content)

    def write_rows(self, rows: NDArray[Any]) -> None:
        """Write one row or several; the number type must be that of the file."""
        self.write(bytes_of(rows))

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written."""
        return self._digest.hexdigest()


@contextmanager
def writing_rows(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[RowWriter]:
    """Open an NPY file (rows, ...) that appears complete or not at all, for its owner only.

    Raises
    ------
    OutputError
        As `atomic_write`.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    with atomic_write(path, private=True) as stream:
        writer = RowWriter(stream)
        np.lib.format.write_array_header_1_0(writer, header)
        yield writer


def bytes_of(rows: NDArray[Any]) -> memoryview:
    """Return the bytes of an array as they stand in an NPY file, not copied if they lie in order.

    Not by `memoryview.cast`, which does not know every number type.
    """
    return np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
