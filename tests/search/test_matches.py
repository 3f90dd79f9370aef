"""The table of matches holds both lists, one row per query, reference and transform."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.search.sources import Source, some_images

from likeness.errors import OptionError, OutputError
from likeness.search import SearchOptions, matches_table, search, write_matches
from likeness.types import TRANSFORMS


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    queries = some_images(rng, 4, (3, 6, 6), "uint8")
    references = rng.integers(0, 256, (30, 3, 6, 6), dtype=np.uint8)
    queries[2] = 9  # undefined
    options = SearchOptions(top_k=5)
    return search(Source(queries), Source(references), options=options, engine="numpy")


QUERIES = [f"query-{i}" for i in range(4)]
REFERENCES = [f"reference-{i}" for i in range(30)]


def test_rows(found):
    """Both rankings can be read back from the table, with both correlations."""
    rows = matches_table(found, QUERIES, REFERENCES).to_pylist()
    keys = {(row["query_id"], row["reference_id"], row["transform"]) for row in rows}
    assert len(keys) == len(rows)
    for column, top, name in (
        ("rank", found.top, "correlation"),
        ("rank_mean", found.top_mean, "correlation_mean"),
    ):
        for q, query in enumerate(QUERIES):
            own = [row for row in rows if row["query_id"] == query and row[column] is not None]
            own.sort(key=lambda row: row[column])
            present = top.reference_index[q] >= 0
            assert [row[column] for row in own] == list(range(1, present.sum() + 1))
            expected = [REFERENCES[i] for i in top.reference_index[q][present]]
            assert [row["reference_id"] for row in own] == expected
            assert [row["transform"] for row in own] == [
                TRANSFORMS[t] for t in top.transform[q][present]
            ]
            assert [row[name] for row in own] == getattr(top, name)[q][present].tolist()
    assert any(row["rank"] is None for row in rows)
    assert any(row["rank_mean"] is None for row in rows)
    assert not any(row["query_id"] == "query-2" for row in rows)


def test_file(found, tmp_path):
    """Written with its format version and provenance, for its owner only."""
    path = tmp_path / "matches.parquet"
    table = matches_table(found, QUERIES, REFERENCES)
    write_matches(path, table, {"run_id": "r1", "seed": 3})
    read = pq.read_table(path)
    assert read.equals(table)
    assert read.schema.metadata[b"format_name"] == b"likeness matches"
    assert read.schema.metadata[b"format_version"] == b"1"
    assert read.schema.metadata[b"run_id"] == b"r1"
    assert read.schema.metadata[b"seed"] == b"3"
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.read_bytes()
    write_matches(path, table, {"seed": 3, "run_id": "r1"})
    assert pq.read_table(path).equals(pq.read_table(path))
    assert len(path.read_bytes()) == len(first)


def test_wrong_number_of_names(found):
    """Names must fit the search."""
    with pytest.raises(OptionError, match="4 queries and 30 references"):
        matches_table(found, QUERIES[:3], REFERENCES)


def test_no_rows_at_all():
    """Nothing but constants gives an empty table of the same columns."""
    images = np.zeros((2, 1, 4, 4), np.uint8)
    result = search(Source(images), Source(images), engine="numpy")
    table = matches_table(result, ["a", "b"], ["c", "d"])
    assert table.num_rows == 0
    assert table.column_names[0] == "query_id"
    assert result.num_pairs == 0


def test_failed_write_leaves_nothing(found, tmp_path, monkeypatch):
    """A full disk is an OutputError, and no half file stays."""

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_matches(tmp_path / "m.parquet", matches_table(found, QUERIES, REFERENCES), {})
    assert list(tmp_path.iterdir()) == []
