"""Rows of one shape and number type, one per image: in memory, temporary, or some of others.

Rows that are stored are a `ShardStore`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from likeness._files import make_folder
from likeness.datasets._store import Shard, ShardStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from likeness.types import Integers


class Rows(Protocol):
    """Rows of one shape and number type, one per image. Several threads may read at once."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows start to stop - 1 as a fresh array (stop - start, *row_shape)."""

    def take(self, rows: Integers) -> NDArray[Any]:
        """Return these rows in this order as a fresh array (n, *row_shape)."""


class TemporaryFolder:
    """A folder that goes when nobody holds this object, at the latest when the process ends."""

    def __init__(self, parent: Path | None) -> None:
        if parent is not None:
            make_folder(parent, private=True)
        self.path = Path(tempfile.mkdtemp(prefix="likeness-", dir=parent))
        weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process must not take the files away from its parent
        shutil.rmtree(path, ignore_errors=True)


class TemporaryRows(ShardStore):
    """Rows in a temporary folder."""

    def __init__(
        self,
        shards: list[Shard],
        row_shape: tuple[int, ...],
        dtype: np.dtype[Any],
        folder: TemporaryFolder,
    ) -> None:
        super().__init__(shards, row_shape, dtype)
        self._folder = folder


class RowsInMemory:
    """Rows in memory."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows
        self.row_shape: tuple[int, ...] = rows.shape[1:]
        self.dtype: np.dtype[Any] = rows.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows start to stop - 1."""
        if not 0 <= start <= stop <= len(self):
            msg = f"rows {start} to {stop} of {len(self)}"
            raise IndexError(msg)
        return self._rows[start:stop].copy()

    def take(self, rows: Integers) -> NDArray[Any]:
        """Return these rows in this order."""
        return self._rows[rows]


class SelectedRows:
    """Some rows of others."""

    def __init__(self, whole: Rows, rows: Integers) -> None:
        self._whole = whole
        self._chosen = rows
        self.row_shape = whole.row_shape
        self.dtype = whole.dtype

    def __len__(self) -> int:
        return len(self._chosen)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows start to stop - 1."""
        if not 0 <= start <= stop <= len(self):
            msg = f"rows {start} to {stop} of {len(self)}"
            raise IndexError(msg)
        return self._whole.take(self._chosen[start:stop])

    def take(self, rows: Integers) -> NDArray[Any]:
        """Return these rows in this order."""
        return self._whole.take(self._chosen[rows])
