"""Rows of one shape and number type, one per image: in memory, temporary, or some of others.

Rows that are stored are a `ShardStore`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from likeness._files import folder_lock, make_folder
from likeness.datasets._store import Shard, ShardStore
from likeness.errors import LikenessError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from likeness.types import Integers

_PREFIX: Final = "likeness-"
_LOCKED_AFTER_SECONDS: Final = 60
"""A folder younger than this may not have got its lock yet."""


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
    """A folder that goes when nobody holds this object, at the latest when the process ends.

    What killed processes left in the same parent is removed first.
    """

    def __init__(self, parent: Path | None) -> None:
        if parent is not None:
            make_folder(parent, private=True)
            _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        stack = ExitStack()
        stack.enter_context(folder_lock(self.path))
        weakref.finalize(self, _remove, self.path, os.getpid(), stack)


def _remove(path: Path, owner: int, lock: ExitStack) -> None:
    if os.getpid() == owner:  # a forked process must not take the files away from its parent
        shutil.rmtree(path, ignore_errors=True)
    lock.close()


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, LikenessError):  # it is in use, or not ours to remove
            if time.time() - folder.stat().st_mtime < _LOCKED_AFTER_SECONDS:
                continue
            with folder_lock(folder):
                shutil.rmtree(folder, ignore_errors=True)


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
