"""From a memory budget to blocks. Pure: nothing is read and nothing allocated.

Queries are taken in blocks whose transformed, packed forms stay in memory while all references
stream past in tiles; every further block reads the references once more. So the plan takes the
largest block of queries that the budget allows, and tiles that are large enough to keep the
multiplication busy.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from likeness.errors import MemoryBudgetError, OptionError
from likeness.search._integer_level import IntegerLevel
from likeness.search._level import Level
from likeness.search._levels import build_level
from likeness.search._threads import count_threads
from likeness.search.engines.numpy_engine import NumpyEngine
from likeness.search.filter.sizes import BANDS, COLUMNS, FLIGHT, LOW, READ, TILE
from likeness.search.options import SearchOptions
from likeness.search.source import check_sources, chosen_channels
from likeness.similarity.transforms import possible_transforms
from likeness.types import Transform

if TYPE_CHECKING:
    from collections.abc import Callable

    from likeness.search.source import ImageSource

Method: TypeAlias = Literal["auto", "filter", "brute force"]
_WORDS: Final = {
    "filter": "pairs that cannot be listed are skipped",
    "brute force": "every pair at full size",
}

MEBIBYTE: Final = 1 << 20
DEFAULT_MEMORY: Final = 2 << 30

PROCESS_BYTES: Final = 224 * MEBIBYTE
"""Python, the libraries, thread stacks, and what the allocator keeps back."""
WIDEST_GROUP: Final = 96
"""Queries that are multiplied at once: beyond that the byte kernels fall to half their speed."""
FEWEST_REFERENCES: Final = 1_000
FEWEST_PAIRS: Final = 500_000
FEWEST_PIXELS: Final = 4_096
"""With fewer of any of them, what the filter prepares costs more than it saves."""
FEWEST_FILTERED: Final = 128
"""With fewer queries at once the references are read too often."""
FILTER_SHARE: Final = 0.2
"""Time of a filtered search over that of brute force on ordinary scans (rough, for forecasts)."""
COMPILER_BYTES: Final = 192 * MEBIBYTE
"""Numba and its compiler."""
GROUP_BYTES: Final = 24 * MEBIBYTE
"""Pixels of the queries that are multiplied at once: large images go in narrower groups."""
_TILES: Final = {256: 1.0, 128: 1.0, 64: 0.9, 32: 0.75, 16: 0.6, 8: 0.4, 4: 0.25, 2: 0.15, 1: 0.08}
"""Rows of a tile, and the share of full speed reached with them (measured; rough)."""
_GOPS: Final = 250.0
_READ_NANOSECONDS: Final = 2.0
"""To read and prepare one pixel of a reference; with `_GOPS` only used to weigh plans."""


@dataclass(frozen=True)
class SearchPlan:
    """How a search is cut up. It changes the time and the memory, never the result."""

    num_queries: int
    num_references: int
    image_shape: tuple[int, int, int]
    """(C, H, W) of the compared channels."""
    transforms: tuple[Transform, ...]
    channels: tuple[int, ...]
    query_block: int
    """Queries held in memory at once."""
    reference_block: int
    """References in a tile."""
    group: int
    """Queries multiplied at once by one thread."""
    threads: int
    passes: int
    """How often the references are read."""
    needs_bytes: int
    """Estimated peak memory of the process."""
    memory_bytes: int
    """The budget."""
    operations: int
    """Multiplications and additions, all pairs and transforms."""
    arithmetic: str
    """In words."""
    method: Method
    """``filter``, or ``brute force``: every pair at full size."""

    @property
    def num_pairs(self) -> int:
        """Pairs of images, transforms not counted."""
        return self.num_queries * self.num_references

    def seconds(self, gops: float) -> float:
        """Estimate the time, from the speed of one thread in 10**9 operations per second.

        How much the filter leaves is not known beforehand; the estimate is of ordinary scans.
        """
        share = FILTER_SHARE if self.method == "filter" else 1.0
        return share * self.operations / (gops * 1e9 * self.threads)

    def describe(self) -> str:
        """Return a few lines for a dry run."""
        channels, height, width = self.image_shape
        passes = f"{self.passes} pass{'es' if self.passes > 1 else ''} over the references"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        pairs = f"{self.num_queries:,} queries x {self.num_references:,} references"
        lines = [
            f"{pairs} = {self.num_pairs:,} pairs of {channels} x {height} x {width} pixels",
            f"flips and turns tried: {', '.join(self.transforms)}",
            f"arithmetic: {self.arithmetic}, {_WORDS[self.method]}",
            f"{self.query_block:,} queries at a time, {passes} in tiles of {self.reference_block}, "
            + threads,
            f"memory: {_mebibytes(self.needs_bytes)} of {_mebibytes(self.memory_bytes)}",
        ]
        return "\n".join(lines)


def plan_search(
    queries: ImageSource,
    references: ImageSource,
    *,
    options: SearchOptions | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
    threads: int | None = None,
    method: Method = "auto",
) -> SearchPlan:
    """Choose blocks.

    Parameters
    ----------
    queries, references
        Only their shapes, number types, lengths and numbers of patients are looked at.
    options
        None for the defaults.
    memory_bytes
        What the whole process may need at most, besides images that the caller holds in memory.
    threads
        None for all cores that this process may use.
    method
        ``brute force`` compares every pair at full size; ``filter`` skips those that cannot be
        listed; ``auto`` filters where that should be faster. The result is the same.

    Returns
    -------
    SearchPlan
        The plan with the least expected time.

    Raises
    ------
    MemoryBudgetError
        If even the smallest plan needs more; the message names the least budget.
    OptionError
        If an option is out of range.
    ImageMismatchError, NoImagesError, InputError
        If the sets cannot be compared.
    """
    options = options or SearchOptions()
    if memory_bytes < 1:
        msg = f"--memory must be positive; got {memory_bytes}."
        raise OptionError(msg)
    check_sources(queries, references)
    count = count_threads(threads)
    costs = _Costs.of(queries, references, options, count)
    chosen = _method(method, costs, len(references))
    if chosen == "filter":
        block = costs.largest_filtered_block(memory_bytes, len(references))
        if block >= min(len(queries), FEWEST_FILTERED):
            passes = -(-len(queries) // block)
            block = -(-len(queries) // passes)
            return SearchPlan(
                num_queries=len(queries),
                num_references=len(references),
                image_shape=costs.shape,
                transforms=costs.transforms,
                channels=costs.channels,
                query_block=block,
                reference_block=TILE,
                group=block,
                threads=count,
                passes=passes,
                needs_bytes=costs.filter_needs(block, len(references)),
                memory_bytes=memory_bytes,
                operations=int(costs.multiply),
                arithmetic=costs.level.description,
                method="filter",
            )
    best: tuple[float, int, int] | None = None
    for rows, share in _TILES.items():
        tile = min(rows, len(references))
        block = costs.largest_block(memory_bytes, tile)
        if block < 1:
            continue
        passes = -(-len(queries) // block)
        time = costs.multiply / (_GOPS * share * count) + passes * costs.read
        if best is None or time < best[0]:
            best = time, -(-len(queries) // passes), tile
    if best is None:
        msg = (
            f"A search of {len(queries):,} among {len(references):,} images needs at least "
            f"{_mebibytes(costs.needs(1, 1))} of memory; the budget is "
            f"{_mebibytes(memory_bytes)}. Raise --memory, or compare fewer images at a time."
        )
        raise MemoryBudgetError(msg)
    _, block, tile = best
    return SearchPlan(
        num_queries=len(queries),
        num_references=len(references),
        image_shape=costs.shape,
        transforms=costs.transforms,
        channels=costs.channels,
        query_block=block,
        reference_block=tile,
        group=costs.group(block),
        threads=count,
        passes=-(-len(queries) // block),
        needs_bytes=costs.needs(block, tile),
        memory_bytes=memory_bytes,
        operations=int(costs.multiply),
        arithmetic=costs.level.description,
        method="brute force",
    )


def _method(asked: Method, costs: _Costs, references: int) -> Method:
    if asked == "brute force":
        return asked
    pixels = costs.shape[1] * costs.shape[2]
    able = isinstance(costs.level, IntegerLevel) and importlib.util.find_spec("numba") is not None
    able = able and costs.shape[1] % 4 == 0 and costs.shape[2] % 4 == 0
    if asked == "filter":
        if not able:
            msg = (
                "The filter needs 8-bit images whose sides are multiples of 4, and the package "
                "Numba (pip install 'likeness[fast]')."
            )
            raise OptionError(msg)
        return asked
    pairs = costs.num_queries * references
    pays = references >= FEWEST_REFERENCES and pairs >= FEWEST_PAIRS and pixels >= FEWEST_PIXELS
    return "filter" if able and pays else "brute force"


@dataclass(frozen=True)
class _Costs:
    """Memory and time of a search, as functions of the blocks."""

    level: Level
    shape: tuple[int, int, int]
    transforms: tuple[Transform, ...]
    channels: tuple[int, ...]
    image_bytes: int
    source_bytes: int
    """One image with all channels of the set."""
    num_queries: int
    state_bytes: int
    """Running bests of one query."""
    result_bytes: int
    """The result for one query."""
    threads: int
    multiply: float
    """Operations."""
    read: float
    """Nanoseconds to read and prepare all references once."""

    @staticmethod
    def of(
        queries: ImageSource, references: ImageSource, options: SearchOptions, threads: int
    ) -> _Costs:
        channels = chosen_channels(queries, options)
        _, height, width = queries.image_shape
        shape = (len(channels), height, width)
        transforms = possible_transforms(options.transforms, height, width)
        pixels = len(channels) * height * width
        listed = 25 * options.top_k + 29 * options.top_patients
        return _Costs(
            level=build_level(NumpyEngine(), queries.dtype, shape),
            shape=shape,
            transforms=transforms,
            channels=channels,
            image_bytes=pixels * queries.dtype.itemsize,
            source_bytes=queries.image_shape[0] * height * width * queries.dtype.itemsize,
            num_queries=len(queries),
            # values, other values, places and transforms; and what merging them takes
            state_bytes=8 * listed + 64,
            result_bytes=2 * listed + 64,
            threads=threads,
            multiply=2.0 * len(queries) * len(references) * len(transforms) * pixels,
            read=_READ_NANOSECONDS * len(references) * pixels,
        )

    def group(self, block: int) -> int:
        """Return how many queries are multiplied at once, so that all threads have work."""
        rounds = -(-block // (self._widest() * self.threads))
        return -(-block // (rounds * self.threads))

    def _widest(self) -> int:
        return max(4, min(WIDEST_GROUP, GROUP_BYTES // self.image_bytes))

    def needs(self, block: int, tile: int) -> int:
        """Return the peak memory of the process for a block of queries and a tile of references."""
        group = min(self._widest(), -(-block // self.threads))  # grows with the block
        tried = len(self.transforms)
        query = self.state_bytes + self.level.query_bytes(tried)
        if self.level.keeps_pixels:
            query += self.image_bytes
        # The tile at work, the next one, and what a source may need to read it.
        reference = 2 * self.image_bytes + max(self.source_bytes, self.image_bytes)
        reference += 2 * self.level.reference_bytes()
        work = self.level.work_bytes(tile, group, tried)
        work += 100 * tile * group  # choosing among transforms, merging
        packing = 3 * group * max(self.image_bytes, self.source_bytes)
        moving = max(tile * reference + self.threads * work, self.threads * packing)
        return PROCESS_BYTES + self.num_queries * self.result_bytes + block * query + moving

    def filter_needs(self, block: int, references: int) -> int:
        """Return the peak memory of the process for a filtered block of queries."""
        channels = self.shape[0]
        coarse = channels * (6 * LOW + 3 * sum(BANDS))
        tables = 8 * references
        query = self.state_bytes + 5 * self.image_bytes // 2 + coarse + tables
        if self.source_bytes > self.image_bytes:
            query += self.source_bytes
        each = channels * 120 + 16  # terms and codes
        moving = 2 * READ * channels * 2 * LOW
        flight = max(FLIGHT, TILE * self.threads)
        moving += flight * self.image_bytes
        if self.source_bytes > self.image_bytes:
            moving += flight * self.source_bytes
        moving += self.threads * 2 * TILE * channels * max(BANDS)
        moving += self.threads * block * (36 * TILE + 8 * COLUMNS * channels)
        fixed = PROCESS_BYTES + COMPILER_BYTES + references * each
        return fixed + self.num_queries * self.result_bytes + block * query + moving

    def largest_filtered_block(self, budget: int, references: int) -> int:
        """Return the most queries that can be filtered at once; 0 if none."""
        return _largest(
            self.num_queries, lambda block: self.filter_needs(block, references), budget
        )

    def largest_block(self, budget: int, tile: int) -> int:
        """Return the most queries whose plan fits; 0 if none does."""
        return _largest(self.num_queries, lambda block: self.needs(block, tile), budget)


def _largest(most: int, needs: Callable[[int], int], budget: int) -> int:
    """Return the largest number up to `most` whose needs fit, 0 if none; needs grow."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if needs(middle) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def _mebibytes(count: int) -> str:
    return f"{-(-count // MEBIBYTE):,} MiB"
