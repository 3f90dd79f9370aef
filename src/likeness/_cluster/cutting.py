"""How a search is cut into parts: several shards of references, some hundred queries at a time.

The cut depends on the sets alone, not on the workers, so that a run on another cluster finds the
parts of the one before. Pure: nothing is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likeness.search.parts import Range

MOST_TASKS: Final = 20_000
"""A scheduler spends about a millisecond and some kilobytes on each."""


@dataclass(frozen=True)
class Cut:
    """The size of a part."""

    queries: int = 256
    """A part reads its references once for so many queries."""
    reference_bytes: int = 2 << 30
    """Pixels of the references of a part. Wide parts skip more: a pair is looked at only where it
    may be among the best of its own part."""

    def __post_init__(self) -> None:
        if self.queries < 1 or self.reference_bytes < 1:
            msg = f"A part needs at least one query and one byte of references; got {self}."
            raise OptionError(msg)

    def rows(self, num_queries: int) -> list[Range]:
        """Return ranges of queries."""
        return list(_ranges(num_queries, self.queries))

    def columns(self, edges: Sequence[int], image_bytes: int) -> list[Range]:
        """Return ranges of references: several shards, one, or pieces of a large one.

        Parameters
        ----------
        edges
            First reference of each shard, and behind the last the number of references.
        """
        most = max(1, self.reference_bytes // image_bytes)
        found: list[Range] = []
        start = edges[0]
        for this, following in pairwise([*edges[1:], edges[-1]]):
            if following - start > most or following == this:
                found += [(start + a, start + b) for a, b in _ranges(this - start, most)]
                start = this
        return found

    def coarser(self) -> Cut:
        """Return a cut with a quarter of the parts."""
        return Cut(2 * self.queries, 2 * self.reference_bytes)


def cut_search(
    num_queries: int, edges: Sequence[int], image_bytes: int, cut: Cut
) -> list[tuple[Range, Range]]:
    """Return the parts of a search, (queries, references), at most `MOST_TASKS`."""
    while True:
        rows, columns = cut.rows(num_queries), cut.columns(edges, image_bytes)
        if len(rows) * len(columns) <= MOST_TASKS:
            return [(some, others) for some in rows for others in columns]
        cut = cut.coarser()


def uniform_edges(count: int, size: int) -> list[int]:
    """Return the edges of shards of `size` images each."""
    return [*range(0, count, size), count]


def count_parts(
    num_queries: int, num_references: int, image_bytes: int, cut: Cut | None = None
) -> int:
    """Return how many tasks a search will be, before there are shards."""
    from likeness.datasets.layout import shard_capacity

    edges = uniform_edges(num_references, shard_capacity(image_bytes))
    return len(cut_search(num_queries, edges, image_bytes, cut or Cut()))


def _ranges(count: int, size: int) -> Iterator[Range]:
    for start in range(0, count, size):
        yield start, min(start + size, count)
