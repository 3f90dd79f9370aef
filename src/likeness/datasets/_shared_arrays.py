"""Arrays that all derived rows of a set depend on, such as axes: made once, kept beside the rows.

``derived/orientations-1f0c93aa/shared.npz`` ends with the SHA-256 of all before it. The records of
the rows name it, so rows that were made with other arrays are made again. They were learned from
images, so removing a patient removes them, and the rows with them. Where they tell nothing about
any image (the size of a window) they are kept as ``settled.npz``, which stays.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from likeness._sealed_arrays import read_arrays, write_arrays
from likeness.datasets._derived_files import SETTLED, SHARED, named_lock
from likeness.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.datasets._rows import Rows

_WAIT_SECONDS: Final = 0.2


class SharedArrays:
    """What `derived_rows` finds or makes before it makes rows.

    Parameters
    ----------
    make
        Gets all rows that the derived ones are made of and returns arrays by name. On another
        machine, or with more threads, they may come out otherwise: rows that were made with the
        same arrays fit each other, and nothing else is asked of them.
    personal
        Whether they could tell something about a patient, and must go with each.
    """

    def __init__(
        self, make: Callable[[Rows], dict[str, NDArray[Any]]], *, personal: bool = True
    ) -> None:
        self._make = make
        self._file = SHARED if personal else SETTLED
        self._arrays: dict[str, NDArray[Any]] | None = None
        self.sha256 = ""

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays, once `derived_rows` has them."""
        if self._arrays is None:
            msg = "the shared arrays are not known yet"
            raise RuntimeError(msg)
        return self._arrays

    def take(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Use these arrays."""
        self._arrays = arrays

    def make(self, rows: Rows) -> None:
        """Make them anew."""
        self._arrays = self._make(rows)

    def find(self, folder: Path) -> bool:
        """Read them; returns False where they are missing or damaged."""
        found = read_arrays(folder / self._file)
        if found is None:
            return False
        self._arrays, self.sha256 = found
        return True

    def find_or_make(self, folder: Path, rows: Rows) -> None:
        """Read them, or make and keep them; what another process is making is waited for.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        while not self.find(folder):
            with named_lock(folder, self._file) as ours:
                if ours and not self.find(folder):
                    self.make(rows)
                    write_arrays(folder / self._file, self.arrays)
                    if not self.find(folder):
                        msg = f"{str(folder)!r} does not keep what is written; check the disk."
                        raise OutputError(msg)
            if not ours:
                time.sleep(_WAIT_SECONDS)
