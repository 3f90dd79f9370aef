"""The table of the best image per group, against sorting everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.scores.groups import GroupNumbers, GroupTable


def sorted_truth(values, places, groups, own, depth):
    """(similarity, group, image, place) of one query, by looking at every pair."""
    best = {}
    for j, value in enumerate(values):
        if groups[j] != own and not np.isnan(value) and value > best.get(groups[j], (-9.0,))[0]:
            best[groups[j]] = (value, j, places[j])
    order = sorted(best.items(), key=lambda item: (-item[1][0], item[1][1]))
    return [(v, g, j, p) for g, (v, j, p) in order[:depth]]


@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_order_of_work_does_not_matter(seed, depth, single):
    rng = np.random.default_rng(seed)
    queries, count = 4, int(rng.integers(1, 40))
    codes = np.array([3, 4, 7, 20, 21], dtype=np.int32)
    groups = rng.choice(codes, count)
    values = rng.integers(0, 6, (queries, count)) / 5  # many ties
    values[rng.random(values.shape) < 0.2] = np.nan
    places = rng.integers(0, 8, (queries, count)).astype(np.int16)
    own = rng.choice([-1, 3, 7, 99], queries).astype(np.int32)
    numbers = GroupNumbers.of(groups)
    table = GroupTable(numbers.excluded(own, queries), len(numbers))
    order = rng.permutation(count)
    for part in np.array_split(order, 3):
        if not len(part):
            continue
        images = np.sort(part)
        if single:
            q, j = (x.ravel() for x in np.meshgrid(np.arange(queries), images))
            mix = rng.permutation(len(q))
            q, j = q[mix], j[mix]
            table.keep_pairs(q, numbers.of_image[j], j, values[q, j], places[q, j])
        else:
            images = images[np.argsort(numbers.of_image[images], kind="stable")]
            table.keep_table(
                slice(0, queries), values[:, images], places[:, images], images,
                numbers.of_image[images],
            )  # fmt: skip
    ranking, place = table.ranking(numbers.codes, depth)
    floors = table.floors(depth)
    for row in range(queries):
        truth = sorted_truth(values[row], places[row], groups, own[row], depth)
        known = len(truth)
        assert ranking.similarity[row, :known].tolist() == [t[0] for t in truth]
        assert ranking.group[row, :known].tolist() == [t[1] for t in truth]
        assert ranking.image[row, :known].tolist() == [t[2] for t in truth]
        assert place[row, :known].tolist() == [t[3] for t in truth]
        assert np.isnan(ranking.similarity[row, known:]).all()
        assert (ranking.group[row, known:] == -1).all()
        assert floors[row] == (truth[depth - 1][0] if known >= depth else -np.inf)


def test_groups_without_images_have_no_number():
    numbers = GroupNumbers.of(np.array([9, 2, 9, 5], dtype=np.int32))
    assert numbers.codes.tolist() == [2, 5, 9]
    assert numbers.of_image.tolist() == [2, 0, 2, 1]
    assert numbers.excluded(np.array([5, 3, -1, 100], dtype=np.int32), 4).tolist() == [
        1,
        -1,
        -1,
        -1,
    ]
    assert numbers.excluded(None, 2).tolist() == [-1, -1]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_all_that_tie_with_the_last_are_looked_at(depth):
    table = GroupTable(np.full(1, -1, dtype=np.int32), 5)
    images = np.array([30, 20, 10, 5, 40])
    table.keep_table(slice(None), np.full((1, 5), 0.5), None, images, np.arange(5, dtype=np.int32))
    ranking, _ = table.ranking(np.arange(5, dtype=np.int32), depth)
    assert ranking.image[0].tolist() == [5, 10, 20][:depth]
