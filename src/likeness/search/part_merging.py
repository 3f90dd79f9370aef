"""Parts of a search, put together again: merged, and made the result of one whole search.

The lists of a part are as long as those of the whole search, and that is enough. An image among the
best k of all is among the best k of its window, for what stands before it there stands before it
everywhere. A patient among the best L of all, whose best image lies in some window, is among the
best L of that window: a patient ahead of it there has an image that stands before, so is ahead of
it everywhere. A list that lacks a patient's best image therefore only ranks that patient lower than
it is, and only where it is not among the best L.

What stands first is the same everywhere: the higher correlation, then the lower reference index; a
pair has one transform, chosen before. So merging is associative, does not depend on the order, and
ends with the bits of one `search`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import OptionError
from likeness.search.options import SearchOptions
from likeness.search.parts import IDENTITIES, IMAGE_LISTS, PATIENT_LISTS, Part, Range
from likeness.search.plan import SearchPlan, plan_search
from likeness.search.result import SearchResult, TopImages, TopPatients
from likeness.search.source import chosen_channels
from likeness.similarity.transforms import possible_transforms
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from likeness.search.source import ImageSource


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
    for name in (*IMAGE_LISTS, *PATIENT_LISTS):
        arrays |= _merged_lists(parts, name)
    for name in IDENTITIES:
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
    for name in (*IMAGE_LISTS, *PATIENT_LISTS):
        width = options.top_patients if name in PATIENT_LISTS else options.top_k
        arrays[f"{name}.reference_index"] = np.full((count, width), -1, dtype=np.int64)
        arrays[f"{name}.transform"] = np.full((count, width), -1, dtype=np.int8)
        arrays[f"{name}.correlation"] = np.full((count, width), np.nan)
        arrays[f"{name}.correlation_mean"] = np.full((count, width), np.nan)
        if name in PATIENT_LISTS:
            arrays[f"{name}.patient_code"] = np.full((count, width), -1, dtype=np.int32)
    for name in IDENTITIES:
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
        **{name: _record(TopImages, name, arrays) for name in IMAGE_LISTS},
        **{name: _record(TopPatients, name, arrays) for name in PATIENT_LISTS},
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
