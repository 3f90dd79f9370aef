"""How many queries and references are compared at a time, so that it fits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from likeness.errors import MemoryBudgetError
from likeness.scores._tile_vectors import TileLayout

_MOST_QUERIES: Final = 1024
_MOST_REFERENCES: Final = 256
"""A block of pairs in all its stages stays within the cache; larger ones are not faster."""
_NUMBER: Final = 8
_STAGES: Final = 9
"""Arrays of one number per pair beside the row of products that is kept, see `PlaceSearch`."""


@dataclass(frozen=True)
class TilePlan:
    """Block sizes. They don't change the result."""

    layout: TileLayout
    num_groups: int
    queries: int
    references: int
    workers: int

    @property
    def needs_bytes(self) -> int:
        """The memory needed, beside the images and the result."""
        layout = self.layout
        tiles = len(layout.corners)
        queries = self.queries * tiles * (layout.length + 5 * layout.channels)
        table = self.queries * 6 * self.num_groups
        block = self.references * (2 * layout.length + 5 * tiles * layout.channels)
        # Sums over all tiles go through whole images of 64-bit numbers.
        setup = 4 * layout.channels * layout.rows * layout.columns
        block += self.references * setup
        pairs = self.queries * self.references * (len(layout.lefts) + _STAGES)
        # Finished blocks wait for their turn to enter the table, which sorts them.
        pairs += 8 * self.queries * self.references
        compared = queries + table + self.workers * (block + pairs)
        return _NUMBER * max(compared, self.queries * setup)


def plan_tiles(
    layout: TileLayout,
    *,
    num_queries: int,
    num_groups: int,
    workers: int,
    memory_bytes: int,
) -> TilePlan:
    """Choose the largest blocks that fit.

    Raises
    ------
    MemoryBudgetError
        If not even one query and one reference at a time do.
    """
    queries, references = min(max(num_queries, 1), _MOST_QUERIES), _MOST_REFERENCES
    while True:
        plan = TilePlan(layout, num_groups, queries, references, workers)
        needed = plan.needs_bytes
        if needed <= memory_bytes:
            return plan
        if queries == references == 1:
            msg = (
                f"Comparing tiles needs {needed:,} bytes with {workers} threads, more than the "
                f"{memory_bytes:,} that are allowed. Raise --memory, or use fewer threads."
            )
            raise MemoryBudgetError(msg)
        # Few queries at a time cost more than few references: references are cut anew for each.
        if references > 1 and references * 4 >= queries:
            references = references // 2
        else:
            queries = (queries + 1) // 2
