"""The most correlated pairs as a table, one row per query, reference and transform."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from likeness._files import atomic_write
from likeness.errors import OptionError
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from likeness.search.result import SearchResult, TopImages

FORMAT_NAME: Final = "likeness matches"
FORMAT_VERSION: Final = 1


def matches_table(
    result: SearchResult, query_ids: Sequence[str], reference_ids: Sequence[str]
) -> Any:  # noqa: ANN401
    """Put the two lists of most correlated images into one table.

    Parameters
    ----------
    result
        What `search` returned.
    query_ids, reference_ids
        Names of the n queries and m references, in their order.

    Returns
    -------
    pyarrow.Table
        ``query_id, reference_id, rank, rank_mean, correlation, correlation_mean, transform``.
        ``rank`` counts from 1 by ``correlation``, ``rank_mean`` by ``correlation_mean``; a rank is
        null where the row is only in the other list. Rows are in the order of the queries, then by
        rank; rows without a rank follow by rank_mean.

    Raises
    ------
    OptionError
        If the numbers of names are wrong.
    """
    import pyarrow as pa

    sizes = len(result.undefined_queries), len(result.undefined_references)
    if (len(query_ids), len(reference_ids)) != sizes:
        msg = (
            f"The search had {sizes[0]} queries and {sizes[1]} references; "
            f"got {len(query_ids)} and {len(reference_ids)} names."
        )
        raise OptionError(msg)
    rows: list[tuple[Any, ...]] = []
    for query, query_id in enumerate(query_ids):
        merged: dict[tuple[int, int], list[Any]] = {}
        for column, top in enumerate((result.top, result.top_mean)):
            _merge(merged, top, query, column)
        rows.extend(
            (query_id, reference_ids[index], *ranks, whole, mean, TRANSFORMS[transform])
            for (index, transform), (*ranks, whole, mean) in merged.items()
        )
    schema = pa.schema(
        [
            ("query_id", pa.string()),
            ("reference_id", pa.string()),
            ("rank", pa.int32()),
            ("rank_mean", pa.int32()),
            ("correlation", pa.float64()),
            ("correlation_mean", pa.float64()),
            ("transform", pa.string()),
        ],
        metadata=_metadata({}),
    )
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def write_matches(path: Path, table: Any, metadata: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Write a table of matches as Parquet, atomically and readable by its owner only.

    Parameters
    ----------
    path
        Where to.
    table
        From `matches_table`.
    metadata
        JSON values that say where the matches come from. Kept in the schema beside
        ``format_name`` and ``format_version``.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import pyarrow.parquet as pq

    with atomic_write(path, private=True) as stream:
        pq.write_table(table.replace_schema_metadata(_metadata(metadata)), stream)


def _metadata(more: Mapping[str, Any]) -> dict[str, str]:
    values = {"format_name": FORMAT_NAME, "format_version": str(FORMAT_VERSION)}
    for key, value in more.items():
        values[key] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return values


def _merge(
    merged: dict[tuple[int, int], list[Any]], top: TopImages, query: int, column: int
) -> None:
    """Add one list of a query; `column` says which of the two ranks it gives."""
    for rank, index in enumerate(top.reference_index[query].tolist(), start=1):
        if index < 0:
            break
        place = query, rank - 1
        key = index, int(top.transform[place])
        if key not in merged:
            values = (float(top.correlation[place]), float(top.correlation_mean[place]))
            merged[key] = [None, None, *(None if math.isnan(v) else v for v in values)]
        merged[key][column] = rank
