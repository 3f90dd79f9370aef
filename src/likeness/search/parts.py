"""One part of a search: some queries against some references.

    queries a..b  x  references first..last  --search_part-->  Part  --save_part-->  disk
    Parts of the same queries                --merge_parts-->  Part
    Parts that cover the table               --result_of_parts-->  SearchResult

A `Part` holds the lists of the search of its own window, as long as those of the whole. That is
enough: see `part_merging`, which puts parts together again; `part_files` keeps them on disk.

What it does not do: it knows neither who computes nor where parts are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.errors import OptionError
from likeness.search._window import Window
from likeness.search.exact import search
from likeness.search.options import SearchOptions
from likeness.search.plan import DEFAULT_MEMORY
from likeness.search.result import SearchResult
from likeness.types import Flags, Integers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likeness._progress import Progress
    from likeness.search.engines import Engine, EngineChoice
    from likeness.search.source import ImageSource

IMAGE_LISTS: Final = ("top", "top_mean")
PATIENT_LISTS: Final = ("patients", "patients_mean")
IDENTITIES: Final = ("identity", "identity_mean")
Range = tuple[int, int]
"""From the first to before the last."""


@dataclass(frozen=True)
class Part:
    """What n queries found in some ranges of the references.

    Arrays are named as in `SearchResult`, for example ``top.correlation`` (n, k); reference indices
    and patient codes are those of the whole set of references.
    """

    rows: Range
    """Queries."""
    columns: tuple[Range, ...]
    """References that were met: rising, apart, never touching."""
    arrays: dict[str, NDArray[Any]]
    undefined_queries: Flags
    """(n,)."""
    undefined_references: Integers
    """Sorted, all within `columns`."""
    pairs: int
    """Pairs compared."""
    compared: int
    """Pairs of which the search looked at the pixels; see `SearchResult.num_compared`."""
    engines: tuple[str, ...]
    """Names of the engines that were used; they change no bit."""

    @property
    def num_references(self) -> int:
        """References that were met."""
        return sum(last - first for first, last in self.columns)


def search_part(
    queries: ImageSource,
    references: ImageSource,
    rows: Range,
    columns: Range,
    *,
    options: SearchOptions | None = None,
    engine: Engine | EngineChoice | str = "auto",
    memory_bytes: int = DEFAULT_MEMORY,
    threads: int | None = None,
    query_groups: NDArray[np.integer] | None = None,
    progress: Progress = SILENT,
) -> Part:
    """Compare some queries with some references.

    Parameters
    ----------
    queries, references
        The whole sets.
    rows, columns
        Which of them.
    query_groups
        (n,) for all queries, as in `search`.
    options, engine, memory_bytes, threads, progress
        As in `search`.

    Raises
    ------
    OptionError
        If a range is empty or goes beyond its set.
    LikenessError
        As `search`.
    """
    for name, wanted, count in (
        ("rows", rows, len(queries)),
        ("columns", columns, len(references)),
    ):
        if not 0 <= wanted[0] < wanted[1] <= count:
            msg = f"{name} {wanted[0]} to {wanted[1]} of {count} images: expected a range of them."
            raise OptionError(msg)
    found = search(
        Window(queries, rows),
        Window(references, columns),
        options=options,
        engine=engine,
        memory_bytes=memory_bytes,
        threads=threads,
        query_groups=None if query_groups is None else query_groups[rows[0] : rows[1]],
        progress=progress,
    )
    arrays = {name: np.array(array) for name, array in _arrays_of(found)}
    for name, array in arrays.items():
        if name.endswith("index"):
            array[array >= 0] += columns[0]
    return Part(
        rows=rows,
        columns=(columns,),
        arrays=arrays,
        undefined_queries=found.undefined_queries,
        undefined_references=columns[0] + np.flatnonzero(found.undefined_references),
        pairs=found.num_pairs,
        compared=found.num_compared,
        engines=(found.engine,),
    )


def _arrays_of(found: SearchResult) -> Iterable[tuple[str, NDArray[Any]]]:
    """Yield the lists of a result by the names that a part gives them."""
    for name in (*IMAGE_LISTS, *PATIENT_LISTS):
        lists = getattr(found, name)
        for field in fields(lists):
            yield f"{name}.{field.name}", getattr(lists, field.name)
    for name in IDENTITIES:
        yield name, getattr(found, name)
        yield f"{name}_index", getattr(found, f"{name}_index")
