"""Who belongs together: groups that grow wherever two members are joined."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

NEAR_DUPLICATE: Final = 0.995
"""r_ch at 64 x 64 from which two pictures of different people are listed as almost equal."""
SAME_IMAGE: Final = 0.999
"""r_ch at 64 x 64 from which two images are taken for one picture."""

_Key = TypeVar("_Key", bound="Hashable")


class Joining:
    """Members 0 to n - 1, each at first a group of its own (union-find)."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count, dtype=np.int64)

    def join(self, first: int, second: int) -> None:
        """Put the groups of two members together."""
        low, high = sorted((self._root(first), self._root(second)))
        self._parent[high] = low

    def groups(self) -> NDArray[np.int32]:
        """Return (n,) the group of every member, numbered by their first members."""
        roots = np.array([self._root(member) for member in range(len(self._parent))], np.int64)
        return np.unique(roots, return_inverse=True)[1].astype(np.int32)

    def _root(self, member: int) -> int:
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = int(parent[member])
        return member


def members_of(groups: NDArray[np.integer]) -> list[list[int]]:
    """Return the members of every group of more than one, in order of the groups."""
    return [rows for rows in rows_by_key(groups.tolist()).values() if len(rows) > 1]


def rows_by_key(keys: Sequence[_Key]) -> dict[_Key, list[int]]:
    """Return where each key stands, in order of first appearance."""
    rows: dict[_Key, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    return dict(rows)
