"""What a killed scoring leaves of the part that it was at: how many references it had met.

A part of a stage can take minutes. So its tables go to the store now and then, with the number of
references (for the registered family: of queries) that they have met, and whoever computes the part
next goes on from there. What is kept does not depend on the order of pairs, so neither does the
result depend on where a run was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from likeness._pace import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from likeness.scores.store import ScoreStore


Rows: TypeAlias = tuple[int, int]
"""First and last + 1 query, counted within the part."""
_POSITION: Final = "position"


class Unfinished:
    """Where the state of some queries is kept while they are compared; this one keeps nothing."""

    def resume(self, rows: Rows, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Fill the arrays of some queries and return the position, 0 for nothing."""
        del rows, arrays
        return 0

    def keep(
        self,
        rows: Rows,
        arrays: Mapping[str, NDArray[Any]],
        position: int,
        *,
        at_once: bool = False,
    ) -> None:
        """Keep the arrays, if it is time to or it must be `at_once`."""


FORGETFUL: Final = Unfinished()


class StoredState(Unfinished):
    """Keeps the state of one part in a store.

    Parameters
    ----------
    key
        Of the part.
    """

    def __init__(self, store: ScoreStore, key: str) -> None:
        self._store, self._key = store, key
        self._pace = Pace()
        self._last: tuple[Rows, int] | None = None

    def resume(self, rows: Rows, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Fill the arrays where a state of theirs was saved."""
        found = self._store.load_state(self._key, rows)
        position = found.pop(_POSITION, np.zeros(1, dtype=np.int64))
        if found.keys() != arrays.keys() or any(
            found[name].shape != array.shape or found[name].dtype != array.dtype
            for name, array in arrays.items()
        ):
            return 0
        for name, array in arrays.items():
            array[...] = found[name]
        self._last = rows, int(position[0])
        return self._last[1]

    def keep(
        self,
        rows: Rows,
        arrays: Mapping[str, NDArray[Any]],
        position: int,
        *,
        at_once: bool = False,
    ) -> None:
        """Save the arrays in the pace that is due, and no state twice."""
        if self._last != (rows, position) and (at_once or self._pace.is_due):
            self._last = rows, position
            with self._pace.saving():
                where = np.array([position], dtype=np.int64)
                self._store.save_state(self._key, rows, {**arrays, _POSITION: where})

    def forget(self) -> None:
        """Remove all: the part is finished."""
        self._store.remove_states(self._key)
