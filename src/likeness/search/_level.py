"""The arithmetic in which images are compared.

The search asks the same questions of both kinds: exact integers (`_integer_level`), and float32
proposals that float64 decides (`_float_level`).

Shapes here: w queries in a group, m references in a tile, T transforms. Scores are (m, w); -inf
stands for "no correlation", "excluded", or, from proposals, "provably in no list".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likeness.types import Flags, Floats, Image, Images, Transform

Split: TypeAlias = Callable[[int, Callable[[int, int], None]], None]
"""``split(n, work)`` calls ``work(start, stop)`` on parts of range(n), in several threads."""

Needed: TypeAlias = Callable[[Floats, Floats, float], Flags]
"""``needed(r_cat, r_ch, margin)`` tells which proposals, (T, m, w) each, must be decided."""


@dataclass(frozen=True)
class Defined:
    """What can be correlated at all."""

    image: Flags
    """(n,) all pixels as one vector."""
    channel: Flags
    """(n, C) each channel."""


class Group(Protocol):
    """Some queries, in all transforms, ready to be compared."""

    @property
    def defined(self) -> Defined: ...


class Level(Protocol):
    """An arithmetic."""

    @property
    def description(self) -> str:
        """The arithmetic, in words."""
        ...

    @property
    def keeps_pixels(self) -> bool:
        """Whether prepared queries hold on to their pixels."""
        ...

    def query_bytes(self, transforms: int) -> int:
        """Return the memory that one query needs in all its transforms."""
        ...

    def reference_bytes(self) -> int:
        """Return the memory that one reference needs besides its pixels."""
        ...

    def work_bytes(self, rows: int, columns: int, transforms: int) -> int:
        """Return the memory that one thread needs to compare `rows` with `columns`."""
        ...

    def pack(self, images: Images, transforms: tuple[Transform, ...]) -> Any:  # noqa: ANN401
        """Prepare queries (w, C, H, W)."""
        ...

    def prepare(self, images: Images, split: Split) -> Any:  # noqa: ANN401
        """Prepare references (m, C, H, W)."""
        ...

    def scores(
        self,
        group: Any,  # noqa: ANN401
        tile: Any,  # noqa: ANN401
        excluded: Flags | None,
        needed: Needed,
    ) -> Iterator[tuple[Floats, Floats]]:
        """Compare; yield (r_cat, r_ch), (m, w) each, per transform."""
        ...


def flat(image: Image) -> NDArray[Any]:
    """Return all pixels, (C, H, W) to (C, P), contiguous."""
    return np.ascontiguousarray(image).reshape(image.shape[0], -1)
