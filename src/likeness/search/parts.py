"""One part of a search: some queries against some references, and putting parts together again.

    queries a..b  x  references first..last  --search_part-->  Part  --save_part-->  disk
    Parts of the same queries                --merge_parts-->  Part
    Parts that cover the table               --result_of_parts-->  SearchResult

A `Part` holds the lists of the search of its own window, as long as those of the whole. That is
enough. An image among the best k of all is among the best k of its window, for what stands before
it there stands before it everywhere. A patient among the best L of all, whose best image lies in
some window, is among the best L of that window: a patient ahead of it there has an image that
stands before, so is ahead of it everywhere. A list that lacks a patient's best image therefore only
ranks that patient lower than it is, and only where it is not among the best L.

What stands first is the same everywhere: the higher correlation, then the lower reference index; a
pair has one transform, chosen before. So merging is associative, does not depend on the order, and
ends with the bits of one `search`.

What it does not do: it knows neither who computes nor where parts are kept.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._files import atomic_write, hash_of_json
from likeness._progress import SILENT
from likeness.datasets import ImageSet
from likeness.errors import OptionError
from likeness.search.exact import search
from likeness.search.options import SearchOptions
from likeness.search.plan import DEFAULT_MEMORY, SearchPlan, plan_search
from likeness.search.result import SearchResult, TopImages, TopPatients
from likeness.search.source import chosen_channels
from likeness.similarity.transforms import possible_transforms
from likeness.types import Flags, Floats, Images, Integers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.search.engines import Engine, EngineChoice
    from likeness.search.source import ImageSource

FORMAT_VERSION: Final = 1
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_IMAGE_LISTS: Final = ("top", "top_mean")
_PATIENT_LISTS: Final = ("patients", "patients_mean")
_IDENTITIES: Final = ("identity", "identity_mean")

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
        _Window(queries, rows),
        _Window(references, columns),
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


def merge_parts(parts: Sequence[Part]) -> Part:
    """Put parts of the same queries together.

    Parameters
    ----------
    parts
        At least one, with the same rows and of the same search, in any order; no reference in two
        of them.

    Raises
    ------
    OptionError
        If rows differ, or ranges of references overlap.
    """
    first = parts[0]
    if any(part.rows != first.rows for part in parts):
        msg = f"Parts of different queries were to be merged: {sorted({p.rows for p in parts})}."
        raise OptionError(msg)
    arrays: dict[str, NDArray[Any]] = {}
    for name in (*_IMAGE_LISTS, *_PATIENT_LISTS):
        arrays |= _merged_lists(parts, name)
    for name in _IDENTITIES:
        value = np.stack([part.arrays[name] for part in parts], axis=1)
        index = np.stack([part.arrays[f"{name}_index"] for part in parts], axis=1)
        best = _order(value, index)[:, :1]
        arrays[name] = np.take_along_axis(value, best, axis=1)[:, 0]
        arrays[f"{name}_index"] = np.take_along_axis(index, best, axis=1)[:, 0]
    return Part(
        rows=first.rows,
        columns=_joined(sorted(piece for part in parts for piece in part.columns)),
        arrays=arrays,
        undefined_queries=np.logical_or.reduce([part.undefined_queries for part in parts]),
        undefined_references=np.sort(
            np.concatenate([part.undefined_references for part in parts])
        ).astype(np.int64),
        pairs=sum(part.pairs for part in parts),
        compared=sum(part.compared for part in parts),
        engines=tuple(sorted({name for part in parts for name in part.engines})),
    )


def result_of_parts(
    parts: Iterable[Part],
    queries: ImageSource,
    references: ImageSource,
    *,
    options: SearchOptions | None = None,
    plan: SearchPlan | None = None,
    engine_check: str = "",
    seconds: float = 0.0,
) -> SearchResult:
    """Return the result of a search from its parts, one per range of queries.

    What no part covers stays absent, as if those images were not there; queries that met nobody
    count as undefined. Whoever leaves out parts must say so.

    Parameters
    ----------
    parts
        Merged, no query in two of them; they are taken one by one.
    queries, references, options
        Those of the search.
    plan
        None for the one of a search on this machine.
    engine_check, seconds
        Handed on to the result.
    """
    options = options or SearchOptions()
    plan = plan or plan_search(queries, references, options=options)
    count = len(queries)
    arrays: dict[str, NDArray[Any]] = {}
    for name in (*_IMAGE_LISTS, *_PATIENT_LISTS):
        width = options.top_patients if name in _PATIENT_LISTS else options.top_k
        arrays[f"{name}.reference_index"] = np.full((count, width), -1, dtype=np.int64)
        arrays[f"{name}.transform"] = np.full((count, width), -1, dtype=np.int8)
        arrays[f"{name}.correlation"] = np.full((count, width), np.nan)
        arrays[f"{name}.correlation_mean"] = np.full((count, width), np.nan)
        if name in _PATIENT_LISTS:
            arrays[f"{name}.patient_code"] = np.full((count, width), -1, dtype=np.int32)
    for name in _IDENTITIES:
        arrays[name] = np.full(count, np.nan)
        arrays[f"{name}_index"] = np.full(count, -1, dtype=np.int64)
    undefined_queries = np.ones(count, dtype=np.bool_)
    undefined_references = np.zeros(len(references), dtype=np.bool_)
    taken: list[Range] = []
    engines: set[str] = set()
    pairs = compared = 0
    for part in parts:
        here = slice(*part.rows)
        for name, array in arrays.items():
            array[here] = part.arrays[name]
        undefined_queries[here] = part.undefined_queries
        undefined_references[part.undefined_references] = True
        taken.append(part.rows)
        engines.update(part.engines)
        pairs += part.pairs
        compared += part.compared
    _joined(sorted(taken))  # raises where a query is in two parts
    values: dict[str, Any] = {
        **{name: _record(TopImages, name, arrays) for name in _IMAGE_LISTS},
        **{name: _record(TopPatients, name, arrays) for name in _PATIENT_LISTS},
        **{name: array for name, array in arrays.items() if "." not in name},
        "undefined_queries": undefined_queries,
        "undefined_references": undefined_references,
        "transforms": possible_transforms(options.transforms, *queries.image_shape[1:]),
        "channels": chosen_channels(queries, options),
        "plan": plan,
        "engine": ", ".join(sorted(engines)) or "none",
        "engine_check": engine_check,
        "num_pairs": pairs,
        "num_compared": compared,
        "seconds": seconds,
    }
    return SearchResult(**{field.name: values[field.name] for field in fields(SearchResult)})


def part_key(
    queries: ImageSource,
    references: ImageSource,
    options: SearchOptions | None,
    query_groups: NDArray[np.integer] | None,
) -> str:
    """Return the hash of everything that the parts of one search depend on, but their ranges."""
    options = options or SearchOptions()
    return hash_of_json(
        {
            "format": FORMAT_VERSION,
            "queries": queries.fingerprint,
            "references": references.fingerprint,
            "own": None if query_groups is None else np.asarray(query_groups).tolist(),
            "top_k": options.top_k,
            "top_patients": options.top_patients,
            "transforms": list(possible_transforms(options.transforms, *queries.image_shape[1:])),
            "channels": list(chosen_channels(queries, options)),
        }
    )


def save_part(path: Path, part: Part, key: str) -> None:
    """Write a part of the search `key`, atomically; it holds indices and correlations, no pixel."""
    with atomic_write(path, private=True) as stream:
        np.savez(
            stream,
            allow_pickle=False,
            key=np.array(key),
            rows=np.array(part.rows, dtype=np.int64),
            columns=np.array(part.columns, dtype=np.int64).reshape(-1, 2),
            undefined_queries=part.undefined_queries,
            undefined_references=part.undefined_references,
            counts=np.array([part.pairs, part.compared], dtype=np.int64),
            engines=np.array(part.engines, dtype=np.str_),
            **{f"array {name}": array for name, array in part.arrays.items()},
        )


def load_part(path: Path, key: str) -> Part | None:
    """Read a part of the search `key`; None where there is none, or another's, or damage."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            start, stop = (int(number) for number in content["rows"])
            pairs, compared = (int(number) for number in content["counts"])
            return Part(
                rows=(start, stop),
                columns=tuple((int(first), int(last)) for first, last in content["columns"]),
                arrays={
                    name.removeprefix("array "): content[name]
                    for name in content.files
                    if name.startswith("array ")
                },
                undefined_queries=content["undefined_queries"],
                undefined_references=content["undefined_references"],
                pairs=pairs,
                compared=compared,
                engines=tuple(str(name) for name in content["engines"]),
            )
    except _DAMAGE:
        return None


class _Window:
    """Some images in a row of a source."""

    def __init__(self, whole: ImageSource, wanted: Range) -> None:
        self._whole, self._start, self._stop = whole, *wanted
        self.image_shape, self.dtype = whole.image_shape, whole.dtype
        self.channels = getattr(whole, "channels", None)
        self.patient_codes = whole.patient_codes[slice(*wanted)]
        self.num_patients = whole.num_patients
        if isinstance(whole, ImageSet) or hasattr(whole, "derived_from"):
            # What was derived from the images of the whole serves this part of it too.
            self.derived_from = self._derived_from

    @property
    def fingerprint(self) -> str:
        """Hash of the whole and the range."""
        return f"{self._whole.fingerprint}[{self._start}:{self._stop}]"

    def __len__(self) -> int:
        return self._stop - self._start

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop` of the window."""
        return self._whole.read(self._start + start, self._start + stop)

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read images `start` to `stop` of the window into `out`."""
        read_into = getattr(self._whole, "read_into", None)
        if read_into is None:
            out[...] = self.read(start, stop)
        else:
            read_into(self._start + start, self._start + stop, out)

    def read_ahead(self, start: int, stop: int) -> None:
        """Pass on that images `start` to `stop` of the window will be read soon."""
        whole = getattr(self._whole, "read_ahead", None)
        if whole is not None:
            whole(self._start + start, min(self._start + stop, self._stop))

    def _derived_from(self) -> tuple[ImageSource, Integers]:
        return self._whole, np.arange(self._start, self._stop)


def _arrays_of(found: SearchResult) -> Iterable[tuple[str, NDArray[Any]]]:
    """Yield the lists of a result by the names that a part gives them."""
    for name in (*_IMAGE_LISTS, *_PATIENT_LISTS):
        lists = getattr(found, name)
        for field in fields(lists):
            yield f"{name}.{field.name}", getattr(lists, field.name)
    for name in _IDENTITIES:
        yield name, getattr(found, name)
        yield f"{name}_index", getattr(found, f"{name}_index")


def _record(kind: type[TopImages], name: str, arrays: dict[str, NDArray[Any]]) -> TopImages:
    return kind(**{field.name: arrays[f"{name}.{field.name}"] for field in fields(kind)})


def _order(value: Floats, index: Integers) -> NDArray[np.intp]:
    """Return the order of each row: higher correlation, then lower index; absent ones last."""
    return np.lexsort((index, np.where(np.isnan(value), np.inf, -value)), axis=1)


def _merged_lists(parts: Sequence[Part], name: str) -> dict[str, NDArray[Any]]:
    """Merge one kind of list, keeping its length."""
    ranked = "correlation_mean" if name.endswith("_mean") else "correlation"
    names = [key for key in parts[0].arrays if key.startswith(f"{name}.")]
    width = parts[0].arrays[names[0]].shape[1]
    joined = {key: np.concatenate([p.arrays[key] for p in parts], axis=1) for key in names}
    order = _order(joined[f"{name}.{ranked}"], joined[f"{name}.reference_index"])
    joined = {key: np.take_along_axis(array, order, axis=1) for key, array in joined.items()}
    codes = joined.get(f"{name}.patient_code")
    if codes is not None:
        kept = np.argsort(_repeated(codes), axis=1, kind="stable")[:, :width]
    else:
        kept = np.broadcast_to(np.arange(width), (len(order), width))
    return {key: np.take_along_axis(array, kept, axis=1) for key, array in joined.items()}


def _repeated(codes: NDArray[np.int32]) -> Flags:
    """Return where a patient has come before in the same row; absent entries never have."""
    order = np.argsort(codes, axis=1, kind="stable")
    sorted_codes = np.take_along_axis(codes, order, axis=1)
    again = np.zeros(codes.shape, dtype=np.bool_)
    again[:, 1:] = (sorted_codes[:, 1:] == sorted_codes[:, :-1]) & (sorted_codes[:, 1:] >= 0)
    repeated = np.empty_like(again)
    np.put_along_axis(repeated, order, again, axis=1)
    return repeated


def _joined(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Join sorted ranges that touch.

    Raises
    ------
    OptionError
        If two of them overlap.
    """
    joined: list[Range] = []
    for first, last in ranges:
        if joined and first < joined[-1][1]:
            msg = f"Parts overlap: {joined[-1]} and {(first, last)} hold the same images."
            raise OptionError(msg)
        if joined and first == joined[-1][1]:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)
