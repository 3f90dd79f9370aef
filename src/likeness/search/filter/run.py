"""One block of queries among all references, by the filter.

For each flip or turn: estimates of all pairs; a floor for every query; then, tile by tile, the
pairs whose upper bound reaches it, fewer of them with the fine coefficients, and the exact
correlation of those that are left. The floor of the first turn is a guess from the estimates. It is
proven afterwards: if the lists end at or above it, nothing below could have entered them. Where
they do not, what they hold is a lower bound of what they will hold, and so a floor without a guess.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.search._running import ABSENT
from likeness.search.filter.bounds import Terms, exact_correlations, margin, terms_of
from likeness.search.filter.chunks import chunks_of, one_behind_the_other
from likeness.search.filter.coarse import CoarseLevel, Layout, from_halves, layout_of
from likeness.search.filter.guessing import Known, guess_floors
from likeness.search.filter.kernels import compiled
from likeness.search.filter.merging import Found, merge_found
from likeness.search.filter.queries import Queries, Turned
from likeness.search.filter.sizes import BANDS, COLUMNS, FLIGHT, LOW, READ, TILE
from likeness.search.source import read_images
from likeness.types import Floats, Images, Integers, Transform

if TYPE_CHECKING:
    from collections.abc import Callable

    from likeness.search._block import BlockState, Job

LOWERED: Final = 0.02
"""How far a guess is lowered where the lists did not fill."""
LOWEST: Final = -1.1
"""Below every correlation."""
PAYS_BELOW: Final = 0.4
"""With a larger share of pairs left for the exact product, comparing all pairs is faster."""
_WINDOW, _AROUND = 0, 1
"""Of the two parts that the pixels are cut into."""
_TRIED: Final = 4
"""How often that is asked, at the beginning."""


class DoesNotPayError(Exception):
    """So much is left that comparing everything is faster."""


def _nothing(start: int, stop: int) -> None:
    """Have no use for being told what will be read."""


class FilteredBlock:
    """See the module. `run` fills the state."""

    def __init__(self, state: BlockState, job: Job, level: CoarseLevel) -> None:
        self._state, self._job, self._rows = state, job, level.rows
        channels, height, width = job.plan.image_shape
        self._layout: Layout = layout_of(height, width, level.window)
        self._pixels = height * width
        self._margin = margin(LOW, channels)
        self._chunks = chunks_of(channels, (height, width), level.window)
        self._compiled = compiled()
        self._terms = self._terms_of_references()
        # What is least known is compared first: afterwards most pairs are out.
        rest = self._terms.bands[-1][:, channels : 2 * channels]
        self._order = [int(c) for c in np.argsort(-np.mean(rest**2, axis=0), kind="stable")]
        codes = job.references.patient_codes.astype(np.int64)
        codes[~self._terms.defined] = -2
        self._codes = codes
        self._at_once = -(-max(TILE, FLIGHT // job.plan.threads) // TILE) * TILE
        self._buffers = threading.local()
        self.survivors = 0
        """Pairs whose exact correlation was computed."""

    def run(self, advance: Callable[[float], None]) -> None:
        """Search.

        Raises
        ------
        DoesNotPayError
            If more than `PAYS_BELOW` of the pairs would be compared exactly.
        """
        state, job = self._state, self._job
        images = read_images(job.queries, state.start, state.stop, job.plan.channels)
        prepared = Queries(images, self._chunks, self._layout, job.pool)
        state.undefined_references[:] = ~self._terms.defined
        del images
        queries = prepared.turned("identity")
        self._place = prepared.order
        state.undefined_queries[self._place] = ~queries.terms.defined
        count = len(self._place)
        self._excluded = np.full(count, -1, dtype=np.int64)
        if job.query_groups is not None:
            self._excluded[:] = job.query_groups[state.start : state.stop][self._place]
        self._excluded[~queries.terms.defined] = -3
        shape = (count, len(job.references))
        whole, mean = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for turn in job.plan.transforms:
            if turn != "identity":
                queries = prepared.turned(turn)
            self._estimate(queries, whole, mean)
            first = turn == "identity"
            floors = self._guess(queries, whole, mean) if first else self._proven_floors()
            rows, step = np.arange(count), LOWERED
            while len(rows):
                self._refine(queries, whole, mean, floors, rows, turn)
                reached = self._proven_floors()
                # A list that is not full, or ends below the floor, may lack something.
                short = (reached < floors) & (self._excluded != -3)[:, None]
                rows = np.flatnonzero(short.any(axis=1))
                lower = np.where(floors - step < LOWEST, ABSENT, floors - step)
                floors = np.where(short, np.maximum(reached, lower), floors)
                step *= 2
            advance(count * len(job.references) / len(job.plan.transforms))
        state.position = len(job.references)

    def _terms_of_references(self) -> Terms:
        """Read the small numbers of all references."""
        parts = []
        count = len(self._job.references)
        for start in range(0, count, 8192):
            stop = min(start + 8192, count)
            numbers = self._read("numbers", start, stop)
            parts.append(terms_of(numbers, self._read("moments", start, stop), self._pixels))
        return Terms(
            np.concatenate([part.first for part in parts]),
            tuple(np.concatenate([p.bands[k] for p in parts]) for k in range(len(BANDS))),
            np.concatenate([part.defined for part in parts]),
            np.concatenate([part.varies for part in parts]),
        )

    def _read(self, field: str, start: int, stop: int) -> NDArray[Any]:
        values = self._rows[field].read(start, stop)
        channels = self._job.plan.channels
        return values if len(channels) == values.shape[1] else values[:, list(channels)]

    def _estimate(
        self, queries: Turned, whole: NDArray[np.float32], mean: NDArray[np.float32]
    ) -> None:
        """Fill the tables of estimates."""
        total = whole.shape[1]
        mine = queries.terms.first
        mixed = queries.terms.mixed or self._terms.mixed
        step = max(1, min(READ, COLUMNS * self._job.plan.threads * 8))
        coming = self._job.reader.submit(self._read, "low", 0, min(step, total))
        for first in range(0, total, step):
            low = coming.result()
            if first + step < total:
                coming = self._job.reader.submit(
                    self._read, "low", first + step, min(first + 2 * step, total)
                )

            def part(start: int, low: NDArray[Any] = low, first: int = first) -> None:
                piece = low[start : start + COLUMNS]
                columns = slice(first + start, first + start + len(piece))
                theirs = np.ascontiguousarray(self._terms.first[columns].T)
                products = queries.low.multiply(piece)
                self._compiled.combine(
                    products, mine, theirs, mixed, whole[:, columns], mean[:, columns]
                )

            list(self._job.pool.map(part, range(0, len(low), COLUMNS)))

    def _guess(
        self, queries: Turned, whole: NDArray[np.float32], mean: NDArray[np.float32]
    ) -> Floats:
        """Return (w, 2) floors that the lists will probably end above."""
        return guess_floors(
            queries,
            (whole, mean),
            Known(self._terms, self._codes, self._job.references.num_patients, self._read),
            self._excluded,
            self._job.options,
            lambda query, references: self._correlate(queries, query, references),
            self._job.pool,
        )

    def _correlate(self, queries: Turned, query: int, references: Integers) -> Floats:
        """Return both exact correlations (p, 2) of a query and some references, rising."""
        source, channels = self._job.references, self._job.plan.channels
        pixels = np.concatenate([read_images(source, j, j + 1, channels) for j in references])
        moments = np.concatenate([self._read("moments", j, j + 1) for j in references])
        number = len(references)
        right, sums = np.full(number, query), np.zeros((number, len(channels)), dtype=np.int64)
        for chunks, packed in zip(self._chunks, queries.pixels, strict=True):
            self._compiled.pair_products(
                pixels.reshape(number, -1), packed, chunks.places, chunks.channel,
                np.arange(number), right, number, sums,
            )  # fmt: skip
        sums += 128 * moments[:, :, 0]  # the queries are less 128
        return np.stack(
            exact_correlations(sums, moments, queries.moments[right], self._pixels), axis=1
        )

    def _proven_floors(self) -> Floats:
        """Return (w, 2): what any of the lists holds at its end; nothing below can enter them."""
        ends = [
            np.minimum.reduce(
                [
                    self._state.tops[which].value[:, -1],
                    self._state.patients[which].value[:, -1],
                ]
            )
            for which in (0, 1)
        ]
        return np.stack(ends, axis=1)[self._place]

    def _refine(
        self,
        queries: Turned,
        whole: NDArray[np.float32],
        mean: NDArray[np.float32],
        floors: Floats,
        rows: Integers,
        turn: Transform,
    ) -> None:
        """Compute what reaches the floors of some queries, and merge it into the lists."""
        # Rounded down, so that float32 cannot lift a floor.
        low = np.nextafter(floors.astype(np.float32), np.float32(-np.inf))
        excluded = np.full(len(whole), -3, dtype=np.int64)
        excluded[rows] = self._excluded[rows]
        total = whole.shape[1]
        found: list[Found] = []
        seen = 0

        at_once = self._at_once

        read_ahead = getattr(self._job.references, "read_ahead", _nothing)
        # While some pieces are compared the system reads as many more.
        ahead = self._job.plan.threads * at_once
        read_ahead(0, min(ahead, total))

        def part(start: int) -> tuple[int, Found]:
            stop = min(start + at_once, total)
            read_ahead(start + ahead, min(stop + ahead, total))
            tiles = [
                self._left(queries, whole, mean, low, excluded, first, min(first + TILE, stop))
                for first in range(start, stop, TILE)
            ]
            left, right, each = (np.concatenate(parts) for parts in zip(*tiles, strict=True))
            return len(left), self._exact(queries, floors, low, left, right, each, start, stop)

        for number, (survivors, pairs) in enumerate(
            self._job.pool.map(part, range(0, total, at_once)), 1
        ):
            self.survivors += survivors
            seen += survivors
            found.append(pairs)
            if number <= _TRIED and seen > PAYS_BELOW * len(rows) * min(number * at_once, total):
                raise DoesNotPayError
        merge_found(self._state, found, self._job.references.patient_codes, turn)

    def _left(
        self,
        queries: Turned,
        whole: NDArray[np.float32],
        mean: NDArray[np.float32],
        floors: NDArray[np.float32],
        excluded: Integers,
        start: int,
        stop: int,
    ) -> tuple[Integers, Integers, Floats]:
        """Return the pairs that the coarse level leaves of a tile.

        References, queries, and (p, C) upper bounds of the products of channels.
        """
        here = slice(start, stop)
        mine = queries.terms.first
        theirs = np.ascontiguousarray(self._terms.first[here].T)
        mixed = queries.terms.mixed or self._terms.mixed
        places = len(whole) * (stop - start)
        left, right = np.empty(places, dtype=np.int64), np.empty(places, dtype=np.int64)
        upper = np.empty((places, 2))
        number = self._compiled.select(
            whole[:, here], mean[:, here], mine, theirs, mixed, floors,
            self._codes[here], excluded, self._margin, left, right, upper,
        )  # fmt: skip
        left, right, upper = left[:number].copy(), right[:number].copy(), upper[:number].copy()
        each = np.zeros((number, len(theirs) // 5))
        for k, steps in enumerate(queries.bands):
            if not len(left) or not self._layout.bands[k].size:
                break
            stored = np.ascontiguousarray(self._read(f"fine_{k + 1}", start, stop))
            channels, size = stored.shape[1:]
            sums = np.zeros((len(left), channels), dtype=np.int64)
            self._compiled.pair_products(
                stored.reshape(len(stored), -1), steps, one_behind_the_other(channels, size),
                np.arange(channels), left, right, TILE, sums,
            )  # fmt: skip
            keep = np.empty(len(left), dtype=np.bool_)
            self._compiled.select_again(
                sums, left, right, upper, each, mine, theirs, mixed, queries.terms.bands[k],
                np.ascontiguousarray(self._terms.bands[k][here].T), floors, keep,
            )  # fmt: skip
            left, right, upper, each = left[keep], right[keep], upper[keep], each[keep]
        if len(left) and each.shape[1] > 1:
            # Without a band all its terms are those of the rest after it: nothing is added twice.
            self._compiled.bound_channels(
                queries.floats, from_halves(np.ascontiguousarray(self._read("low", start, stop))),
                left, right, mine, theirs, queries.terms.bands[-1],
                np.ascontiguousarray(self._terms.bands[-1][here].T), self._margin, each,
            )  # fmt: skip
        return start + left, right, each

    def _exact(
        self,
        queries: Turned,
        floors: Floats,
        low: NDArray[np.float32],
        left: Integers,
        right: Integers,
        each: Floats,
        start: int,
        stop: int,
    ) -> Found:
        """Compare some pairs exactly; return those that reach a floor."""
        if not len(left):
            nothing = np.empty(0)
            return Found(right, left, nothing, nothing)
        left = left - start
        pixels = self._pixels_of(start, stop, left)
        pixels = pixels.reshape(len(pixels), -1)
        moments = self._read("moments", start, stop)
        mine, theirs = queries.terms.first, np.ascontiguousarray(self._terms.first[start:stop].T)
        around = self._read("numbers", start, stop)[:, :, -1] > 0
        sums = np.zeros(each.shape, dtype=np.int64)
        for number, c in enumerate(self._order):
            sums[:, c] = self._products(pixels, queries, _WINDOW, c, left, right)
            more = np.flatnonzero(around[left, c])
            if len(more):
                sums[more, c] += self._products(
                    pixels, queries, _AROUND, c, left[more], right[more]
                )
            sums[:, c] += 128 * moments[left, c, 0]  # the queries are less 128
            if number + 1 < len(self._order):
                keep = np.empty(len(left), dtype=np.bool_)
                self._compiled.narrow(
                    sums, c, queries.moments, moments, self._pixels, left, right, each, mine,
                    theirs, low, self._margin, keep,
                )  # fmt: skip
                left, right, each, sums = left[keep], right[keep], each[keep], sums[keep]
        moments = moments[left]
        whole, mean = exact_correlations(sums, moments, queries.moments[right], self._pixels)
        reach = (whole >= floors[right, 0]) | (mean >= floors[right, 1])
        return Found(self._place[right[reach]], start + left[reach], whole[reach], mean[reach])

    def _products(
        self,
        pixels: Images,
        queries: Turned,
        part: int,
        channel: int,
        left: Integers,
        right: Integers,
    ) -> Integers:
        """Return (p,) exact products of one channel of pairs, in the window or around it."""
        products = np.zeros((len(left), 1), dtype=np.int64)
        chunks = self._chunks[part]
        here = chunks.of_channel(channel)
        self._compiled.pair_products(
            pixels, queries.pixels[part][here], chunks.places[here],
            np.zeros(here.stop - here.start, dtype=np.int64), left, right, TILE, products,
        )  # fmt: skip
        found: Integers = products[:, 0]
        return found

    def _pixels_of(self, start: int, stop: int, left: Integers) -> Images:
        """Read references, those that are needed; each lies at its own place, less `start`."""
        source, channels = self._job.references, self._job.plan.channels
        read_into = getattr(source, "read_into", None)
        if read_into is None or channels != tuple(range(source.image_shape[0])):
            return read_images(source, start, stop, channels)
        buffer: Images | None = getattr(self._buffers, "images", None)
        if buffer is None:
            # Fresh memory for every piece would cost as much as the reading.
            shape = (self._at_once, *source.image_shape)
            buffer = self._buffers.images = np.empty(shape, dtype=np.uint8)
        needed = np.unique(left)
        breaks = np.flatnonzero(np.diff(needed) != 1) + 1
        for run in np.split(needed, breaks):
            first, last = int(run[0]), int(run[-1]) + 1
            read_into(start + first, start + last, buffer[first:last])
        return buffer
