"""A search in parts ends with the bits of one search, however it is cut and put together."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.sources import Source, assert_same

from likeness.errors import OptionError
from likeness.search import SearchOptions, search
from likeness.search.part_files import load_part, part_key, save_part
from likeness.search.part_merging import merge_parts, result_of_parts
from likeness.search.parts import search_part

OPTIONS = SearchOptions(top_k=3, top_patients=4)


def sets(seed, queries=7, references=19, dtype=np.uint8):
    """Images with many ties (few grey values, repeated images) and some without variance."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 3, (6, 2, 4, 4)).astype(dtype)
    pool[0] = 1
    first = pool[rng.integers(0, len(pool), queries)]
    second = pool[rng.integers(0, len(pool), references)]
    second[rng.random(references) < 0.5] += rng.integers(0, 2, (2, 4, 4)).astype(dtype)
    codes = rng.integers(0, 8, references)
    codes[0] = 7
    own = np.where(rng.random(queries) < 0.5, rng.integers(0, 8, queries), -1).astype(np.int32)
    return Source(first), Source(second, codes), own


def cuts(draw, count):
    inner = draw(st.sets(st.integers(1, count - 1), max_size=4)) if count > 1 else set()
    edges = [0, *sorted(inner), count]
    return list(itertools.pairwise(edges))


def whole(queries, references, own, options=OPTIONS):
    return search(
        queries,
        references,
        options=options,
        engine="numpy",
        threads=1,
        query_groups=own,
    )


def part(queries, references, own, rows, columns, options=OPTIONS):
    return search_part(
        queries,
        references,
        rows,
        columns,
        options=options,
        engine="numpy",
        threads=1,
        query_groups=own,
    )


def folded(parts, rng):
    """Merge in random pairs, so in a random tree."""
    parts = list(parts)
    while len(parts) > 1:
        rng.shuffle(parts)
        parts = [merge_parts(parts[:2]), *parts[2:]]
    return parts[0]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_cut_in_any_order_gives_the_bits_of_one_search(data):
    seed = data.draw(st.integers(0, 10**6))
    dtype = data.draw(st.sampled_from([np.uint8, np.float32]))
    queries, references, own = sets(seed, dtype=dtype)
    own = own if data.draw(st.booleans()) else None
    rng = random.Random(seed)
    merged = []
    for rows in cuts(data.draw, len(queries)):
        parts = [
            part(queries, references, own, rows, columns)
            for columns in cuts(data.draw, len(references))
        ]
        merged.append(folded(parts, rng))
    rng.shuffle(merged)
    found = result_of_parts(merged, queries, references, options=OPTIONS)
    assert_same(found, whole(queries, references, own))


def test_merging_is_associative():
    queries, references, own = sets(3)
    a, b, c = (
        part(queries, references, own, (0, 7), columns) for columns in ((0, 5), (5, 6), (6, 19))
    )
    left, right = merge_parts([merge_parts([a, b]), c]), merge_parts([a, merge_parts([c, b])])
    at_once = merge_parts([c, a, b])
    for name, array in left.arrays.items():
        assert array.tobytes() == right.arrays[name].tobytes() == at_once.arrays[name].tobytes()
    assert left.columns == right.columns == ((0, 19),)
    assert left.pairs == right.pairs == at_once.pairs


def test_more_places_than_patients_and_images():
    queries, references, own = sets(5, references=6)
    options = SearchOptions(top_k=9, top_patients=20)
    parts = [part(queries, references, own, (0, 7), c, options) for c in ((0, 2), (2, 6))]
    found = result_of_parts([merge_parts(parts)], queries, references, options=options)
    assert_same(found, whole(queries, references, own, options))


def test_a_missing_part_leaves_its_images_out_and_nothing_else():
    queries, references, _ = sets(8)
    parts = [part(queries, references, None, (0, 7), c) for c in ((0, 6), (11, 19))]
    found = result_of_parts([merge_parts(parts)], queries, references, options=OPTIONS)
    assert not np.isin(found.top.reference_index, np.arange(6, 11)).any()
    kept = np.r_[0:6, 11:19]
    fewer = Source(references.images[kept], references.patient_codes[kept])
    expected = whole(queries, fewer, None)
    assert np.array_equal(found.top.correlation, expected.top.correlation, equal_nan=True)
    assert found.num_pairs == expected.num_pairs


def test_queries_that_met_nobody_count_as_undefined():
    queries, references, _ = sets(8)
    found = result_of_parts(
        [part(queries, references, None, (2, 5), (0, 19))], queries, references, options=OPTIONS
    )
    expected = whole(queries, references, None)
    assert found.undefined_queries[[0, 1, 5, 6]].all()
    assert np.array_equal(found.undefined_queries[2:5], expected.undefined_queries[2:5])
    assert np.isnan(found.identity[[0, 1, 5, 6]]).all()
    assert (found.patients.patient_code[[0, 1, 5, 6]] == -1).all()


def test_a_part_comes_back_from_disk_bit_for_bit(tmp_path):
    queries, references, own = sets(1)
    made = part(queries, references, own, (2, 7), (3, 11))
    save_part(tmp_path / "part.npz", made, "key")
    read = load_part(tmp_path / "part.npz", "key")
    assert read.arrays.keys() == made.arrays.keys()
    for name, array in made.arrays.items():
        assert read.arrays[name].tobytes() == array.tobytes()
        assert read.arrays[name].dtype == array.dtype
    assert (read.rows, read.columns, read.pairs) == ((2, 7), ((3, 11),), made.pairs)
    assert read.engines == made.engines


def test_a_damaged_or_foreign_part_is_no_part(tmp_path):
    path = tmp_path / "part.npz"
    queries, references, own = sets(1)
    save_part(path, part(queries, references, own, (0, 2), (0, 3)), "key")
    assert load_part(path, "another") is None
    assert load_part(tmp_path / "none.npz", "key") is None
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert load_part(path, "key") is None


def test_the_key_knows_all_that_changes_the_lists():
    queries, references, own = sets(1)
    base = part_key(queries, references, OPTIONS, own)
    assert base == part_key(queries, references, OPTIONS, own.copy())
    others = {
        part_key(references, queries, OPTIONS, own),
        part_key(queries, references, OPTIONS, None),
        part_key(queries, references, SearchOptions(top_k=4, top_patients=4), own),
        part_key(queries, references, SearchOptions(top_k=3, top_patients=5), own),
        part_key(
            queries,
            references,
            SearchOptions(top_k=3, top_patients=4, transforms=("identity",)),
            own,
        ),
        part_key(queries, references, SearchOptions(top_k=3, top_patients=4, channels=(1,)), own),
    }
    assert len({base, *others}) == 7


@pytest.mark.parametrize("columns", [(0, 0), (4, 3), (-1, 2), (0, 20)])
def test_a_range_outside_the_set_is_refused(columns):
    queries, references, own = sets(1)
    with pytest.raises(OptionError, match="expected a range"):
        part(queries, references, own, (0, 2), columns)


def test_parts_that_overlap_or_differ_in_rows_are_refused():
    queries, references, own = sets(1)
    a = part(queries, references, own, (0, 2), (0, 5))
    b = part(queries, references, own, (0, 2), (4, 8))
    c = part(queries, references, own, (1, 3), (5, 8))
    with pytest.raises(OptionError, match="overlap"):
        merge_parts([a, b])
    with pytest.raises(OptionError, match="different queries"):
        merge_parts([a, c])
    with pytest.raises(OptionError, match="overlap"):
        result_of_parts([a, c], queries, references, options=OPTIONS)
