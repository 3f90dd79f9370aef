"""The plain and the dihedral family, against one pair after the other with numpy.corrcoef."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.scores.decision_scale import DecisionImages
from likeness.scores.orientations import rank_orientations
from likeness.similarity import apply_transform, possible_transforms
from likeness.types import TRANSFORMS

SHAPES = [(1, 8, 8), (2, 8, 8), (3, 6, 9), (1, 7, 7), (2, 9, 4), (2, 5, 5)]


def plainly(query, reference, varies):
    """Mean over the channels that vary in both; None if there is none."""
    values = [
        np.corrcoef(query[c].ravel(), reference[c].ravel())[0, 1]
        for c in range(len(query))
        if varies[c]
    ]
    return np.mean(values) if values else None


def make(rng, count, shape, *, constant=()):
    values = rng.integers(0, 65536, (count, *shape)).astype(np.uint16)
    varies = np.ones((count, shape[0]), dtype=bool)
    for image, channel in constant:
        values[image, channel] = 0
        varies[image, channel] = False
    return DecisionImages(values, varies)


def expected(query, query_varies, references, groups, own, transforms):
    """Return {group: (similarity, image, transform)} by looking at every pair."""
    best = {}
    for j in range(len(references)):
        if groups[j] == own:
            continue
        for name in transforms:
            turned = apply_transform(query, name)
            value = plainly(turned, references.values[j], query_varies & references.varies[j])
            if value is not None and value > best.get(groups[j], (-2,))[0] + 1e-12:
                best[groups[j]] = (value, j, name)
    return best


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_group_has_its_best_image_and_orientation(shape):
    rng = np.random.default_rng(sum(shape))
    queries = make(rng, 6, shape, constant=[(5, 0)])
    references = make(rng, 25, shape, constant=[(8, 0), (9, shape[0] - 1)])
    references.values[3] = queries.values[2]
    if shape[1] == shape[2]:
        references.values[5] = apply_transform(queries.values[4], "rot270")
    groups = rng.integers(0, 9, 25).astype(np.int32)
    own = rng.integers(-1, 9, 6).astype(np.int32)
    both = rank_orientations(queries, references, groups=groups, excluded=own, depth=20)
    possible = possible_transforms(TRANSFORMS, *shape[1:])
    for ranking, transforms in zip(both, (("identity",), possible), strict=True):
        for row in range(6):
            truth = expected(
                queries.values[row], queries.varies[row], references, groups, own[row], transforms
            )
            order = sorted(truth, key=lambda group: -truth[group][0])
            assert ranking.group[row, : len(order)].tolist() == order
            assert (ranking.group[row, len(order) :] == -1).all()
            assert np.isnan(ranking.similarity[row, len(order) :]).all()
            for place, group in enumerate(order):
                value, image, name = truth[group]
                assert ranking.similarity[row, place] == pytest.approx(value, abs=1e-9)
                assert ranking.image[row, place] == image
                assert TRANSFORMS[int(ranking.placement[row, place, 0])] == name


def test_blocks_threads_and_company_change_no_bit(monkeypatch):
    rng = np.random.default_rng(1)
    queries, references = make(rng, 300, (2, 8, 8)), make(rng, 700, (2, 8, 8))
    groups = rng.integers(0, 50, 700).astype(np.int32)
    whole = rank_orientations(queries, references, groups=groups, depth=7, threads=2)
    small = rank_orientations(
        queries, references, groups=groups, depth=7, threads=1, memory_bytes=200_000
    )
    alone = rank_orientations(
        DecisionImages(queries.values[17:18], queries.varies[17:18]),
        references,
        groups=groups,
        depth=7,
    )
    for one, other, single in zip(whole, small, alone, strict=True):
        for field in ("similarity", "group", "image", "placement"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
            np.testing.assert_array_equal(getattr(one, field)[17:18], getattr(single, field))


def test_equal_images_give_the_lower_index_and_the_earlier_orientation():
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 65536, (1, 8, 8)).astype(np.uint16)
    symmetric = picture + picture[:, :, ::-1]  # equals its mirror image
    values = np.stack([symmetric[:, ::-1], symmetric, symmetric])
    images = DecisionImages(values, np.ones((3, 1), dtype=bool))
    query = DecisionImages(values[1:2], np.ones((1, 1), dtype=bool))
    groups = np.array([2, 1, 0], dtype=np.int32)
    _, dihedral = rank_orientations(query, images, groups=groups, depth=3)
    assert dihedral.image[0].tolist() == [0, 1, 2]
    np.testing.assert_allclose(dihedral.similarity[0], 1.0, atol=1e-12)
    assert TRANSFORMS[int(dihedral.placement[0, 1, 0])] == "identity"


def test_without_turns_both_families_agree():
    rng = np.random.default_rng(3)
    queries, references = make(rng, 4, (2, 8, 8)), make(rng, 9, (2, 8, 8))
    groups = np.arange(9, dtype=np.int32)
    plain, dihedral = rank_orientations(
        queries, references, groups=groups, transforms=("identity",), depth=9
    )
    np.testing.assert_array_equal(plain.similarity, dihedral.similarity)
    np.testing.assert_array_equal(plain.image, dihedral.image)
