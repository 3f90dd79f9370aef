"""Tiles find copies of a part, say where they are, and do not depend on how the work is cut up."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from likeness.datasets.phantoms import add_noise, chest_image
from likeness.errors import ImageMismatchError, MemoryBudgetError, OptionError
from likeness.scores import tiles
from likeness.scores._tile_plan import plan_tiles
from likeness.scores._tile_vectors import TileLayout, TileVectors
from likeness.scores.decision_scale import DecisionImages, stretched
from likeness.scores.tiles import TileOptions, rank_tiles
from likeness.similarity.blocks import BlockGrid


def at_scale(images, grid=64):
    """Images (n, C, H, W) to decision images, one by one."""
    blocks = BlockGrid(*images.shape[2:], grid)
    pairs = [stretched(blocks, image, 0.0) for image in images]
    return DecisionImages(np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]))


def part(images, index):
    return DecisionImages(images.values[index], images.varies[index])


@pytest.fixture(scope="module")
def random_images():
    """Smooth enough for tiles to correlate: 23 images, 2 channels, 16 x 20 blocks."""
    rng = np.random.default_rng(4)
    common = rng.normal(size=(2, 16, 20)).cumsum(axis=1).cumsum(axis=2)
    own = rng.normal(size=(23, 2, 16, 20)).cumsum(axis=2)
    images = common * 0.5 + own
    images[3, 1] = 7.0
    images[5, :, :, :12] = 2.0
    return at_scale(images)


def slow_similarity(query, reference, options):
    """One pair by the text of the documentation; (similarity, place) or None."""
    channels, rows, columns = query.shape
    high, wide = max(4, rows // 4), max(4, columns // 4)
    tops = list(range(0, rows - high + 1, high // 2))
    lefts = list(range(0, columns - wide + 1, wide // 2))
    z, any_used = {}, False
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            found = []
            for c in range(channels):
                cut = np.s_[c, top : top + high, left : left + wide]
                a, b = query[cut].astype(float) / 65535, reference[cut].astype(float) / 65535
                if a.std() < options.least_spread or a.std() == 0:
                    continue
                any_used = True
                spreads = [math.hypot(t.std(), options.shrinkage) for t in (a, b)]
                covariance = ((a - a.mean()) * (b - b.mean())).mean()
                found.append(covariance / (spreads[0] * spreads[1]) if b.std() > 0 else 0.0)
            r = sum(found) / len(found) if found else 0.0
            z[i, j] = math.atanh(min(max(r, 0.0), 1 - 1e-7))
    best = (-1.0, None)
    for i in range(len(tops) - 1):
        for j in range(len(lefts) - 1):
            mean = (z[i, j] + z[i + 1, j] + z[i, j + 1] + z[i + 1, j + 1]) / 4
            if mean > best[0] + 1e-9:
                place = (tops[i], lefts[j], high + high // 2, wide + wide // 2)
                best = (mean, place)
    return (math.tanh(best[0]), best[1]) if any_used else None


@pytest.mark.parametrize(
    "options",
    [
        TileOptions(),
        TileOptions(least_spread=0.2),
        TileOptions(shrinkage=0.3),
        TileOptions(least_spread=0.0, shrinkage=0.0),
    ],
    ids=repr,
)
def test_agrees_with_one_pair_at_a_time(random_images, options):
    groups = np.array([0, 0, 1, 2, 3, 3, 3, 5] * 3, dtype=np.int32)[:23]
    excluded = np.array([2, -1, 0, -1, 5, 3], dtype=np.int32)
    queries = part(random_images, slice(2, 8))
    ranking = rank_tiles(
        queries, random_images, groups=groups, excluded=excluded, options=options, threads=1
    )
    assert ranking.similarity.shape == (6, 6)  # group 4 has no image
    for row, query in enumerate(queries.values):
        pairs = [slow_similarity(query, x, options) for x in random_images.values]
        if pairs[0] is None:
            assert np.isnan(ranking.similarity[row]).all()
            continue
        best = {}
        for j, (similarity, place) in enumerate(pairs):
            group = int(groups[j])
            if group != excluded[row] and similarity > best.get(group, (-1, 0, 0))[0]:
                best[group] = (similarity, j, place)
        order = sorted(best, key=lambda g: (-best[g][0], best[g][1]))
        kept = len(order)
        np.testing.assert_allclose(
            ranking.similarity[row, :kept], [best[g][0] for g in order], atol=2e-6
        )
        assert np.isnan(ranking.similarity[row, kept:]).all()
        assert (ranking.image[row, kept:] == -1).all()
        assert (ranking.group[row, kept:] == -1).all()
        assert (ranking.placement[row, kept:] == -1).all()
        assert ranking.group[row, :kept].tolist() == order
        assert ranking.image[row, :kept].tolist() == [best[g][1] for g in order]
        for place, group in zip(ranking.placement[row], order, strict=False):
            # Where all tiles are equal, rounding chooses among the places.
            assert best[group][0] > 1 - 1e-6 or place.tolist() == list(best[group][2])


@pytest.mark.parametrize(("queries", "references"), [(1, 1), (2, 5), (7, 3), (1024, 256)])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_cut_of_the_work_changes_no_bit(
    random_images, monkeypatch, queries, references, threads
):
    groups = (np.arange(23, dtype=np.int32) * 7) % 5
    kwargs = {"groups": groups, "excluded": groups[:9], "depth": 4}
    some = part(random_images, slice(0, 9))
    whole = rank_tiles(some, random_images, threads=2, **kwargs)

    def cut(layout, **sizes):
        plan = plan_tiles(layout, **sizes)
        return type(plan)(layout, plan.num_groups, queries, references, plan.workers)

    monkeypatch.setattr(tiles, "plan_tiles", cut)
    other = rank_tiles(some, random_images, threads=threads, **kwargs)
    for name in ("similarity", "group", "image", "placement"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(other, name))


def test_little_memory_gives_smaller_blocks_and_the_same_result(random_images):
    groups = np.zeros(23, dtype=np.int32)
    sizes = {"num_queries": 23, "num_groups": 1, "workers": 1}
    layout = TileLayout(*random_images.shape)
    plan = plan_tiles(layout, memory_bytes=200_000, **sizes)
    assert plan.queries * plan.references < 23 * 23
    assert plan.needs_bytes <= 200_000
    little = rank_tiles(
        random_images, random_images, groups=groups, threads=1, memory_bytes=200_000
    )
    much = rank_tiles(random_images, random_images, groups=groups, threads=1)
    np.testing.assert_array_equal(little.similarity, much.similarity)
    with pytest.raises(MemoryBudgetError, match="Raise --memory"):
        plan_tiles(layout, memory_bytes=1000, **sizes)


@pytest.mark.parametrize("budget", [12 << 20, 40 << 20])
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_stays_within_the_budget(budget, threads):
    rng = np.random.default_rng(7)
    values = rng.integers(0, 65536, (200, 2, 64, 64)).astype(np.uint16)
    images = DecisionImages(values, np.ones((200, 2), dtype=np.bool_))
    groups = np.arange(200, dtype=np.int32)
    queries = part(images, slice(0, 60))
    tracemalloc.start()
    try:
        rank_tiles(queries, images, groups=groups, threads=threads, memory_bytes=budget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= budget
    assert peak >= budget / 4 or budget > 20 << 20  # the estimate is not idle


def test_vectors_are_whole_numbers_whose_products_stay_exact():
    """Any partial sum of a product is a whole number below 2**53."""
    rng = np.random.default_rng(0)
    for channels in (1, 2, 3, 4, 5, 16):
        values = rng.integers(0, 65536, (6, channels, 16, 16)).astype(np.uint16)
        values[0, :, :2] = 0  # all in few blocks: the largest elements
        values[1] = 0
        values[1, :, 1, 1] = 65535
        layout = TileLayout(channels, 16, 16)
        vectors = TileVectors(values, layout, shrinkage=0.0).tile(0)
        assert (vectors == np.rint(vectors)).all()
        absolute = np.abs(vectors)
        assert (absolute @ absolute.T).max() < 2**53


def test_the_same_tile_correlates_fully_and_a_negative_not_at_all():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 65536, (1, 1, 64, 64)).astype(np.uint16)
    both = DecisionImages(np.concatenate([values, 65535 - values]), np.ones((2, 1), dtype=np.bool_))
    ranking = rank_tiles(
        part(both, [0]), both, groups=np.arange(2, dtype=np.int32),
        options=TileOptions(shrinkage=0.0), threads=1,
    )  # fmt: skip
    assert ranking.group.tolist() == [[0, 1]]
    assert 1 - ranking.similarity[0, 0] <= 2e-7
    assert ranking.similarity[0, 1] == 0
    assert ranking.placement[0, 1].tolist() == [0, 0, 24, 24]


def test_equal_images_give_the_lower_index_and_no_contrast():
    rng = np.random.default_rng(2)
    values = rng.integers(0, 65536, (5, 1, 64, 64)).astype(np.uint16)
    values[[1, 3, 4]] = values[1]
    images = DecisionImages(values, np.ones((5, 1), dtype=np.bool_))
    groups = np.array([0, 2, 0, 2, 1], dtype=np.int32)
    ranking = rank_tiles(part(images, [3]), images, groups=groups, threads=1)
    assert ranking.image[0, :2].tolist() == [1, 4]
    assert ranking.contrast()[0] == 0


def test_a_channel_without_contrast_in_the_query_is_left_out():
    rng = np.random.default_rng(3)
    values = rng.integers(0, 65536, (4, 2, 64, 64)).astype(np.uint16)
    values[0, 1] = 0
    varies = np.ones((4, 2), dtype=np.bool_)
    varies[0, 1] = False
    groups = np.arange(4, dtype=np.int32)
    both = DecisionImages(values, varies)
    one = DecisionImages(values[:, :1], varies[:, :1])
    first = rank_tiles(part(both, [0]), both, groups=groups, threads=1)
    second = rank_tiles(part(one, [0]), one, groups=groups, threads=1)
    np.testing.assert_allclose(first.similarity, second.similarity, atol=1e-6)


def test_a_query_without_contrast_is_like_nobody(random_images):
    flat = DecisionImages(
        np.zeros((1, *random_images.shape), dtype=np.uint16), np.zeros((1, 2), dtype=np.bool_)
    )
    ranking = rank_tiles(flat, random_images, groups=np.arange(23, dtype=np.int32), threads=1)
    assert np.isnan(ranking.similarity).all()
    assert (ranking.group == -1).all()
    assert np.isnan(ranking.contrast()).all()


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 4, 64), (2, 7, 9), (1, 40, 64)])
def test_small_and_oblong_pictures_are_compared_too(shape):
    rng = np.random.default_rng(5)
    values = rng.integers(0, 65536, (6, *shape)).astype(np.uint16)
    images = DecisionImages(values, np.ones((6, shape[0]), dtype=np.bool_))
    ranking = rank_tiles(images, images, groups=np.arange(6, dtype=np.int32), threads=1)
    assert ranking.group[:, 0].tolist() == list(range(6))
    top, left, height, width = np.moveaxis(ranking.placement, -1, 0)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= shape[1]).all()
    assert (left + width <= shape[2]).all()


@pytest.fixture(scope="module")
def chests():
    """60 patients' radiographs, and their block means."""
    images = np.stack([chest_image(3, patient, size=(256, 256)) for patient in range(60)])[:, None]
    return images, at_scale(images)


@pytest.mark.parametrize("kind", ["half", "quarter"])
def test_a_copied_part_points_to_its_patient_and_place(chests, kind):
    """Noisy parts of patients 0-19 in pictures of patients 40-59 stand out from all innocents."""
    images, scale = chests
    rng = np.random.default_rng(6)
    composed, regions = [], []
    for k in range(20):
        if kind == "half":
            start = 128 * int(rng.integers(2))
            region = np.s_[start : start + 128, 0:256]
        else:
            top, left = rng.integers(0, 129, 2)
            region = np.s_[top : top + 128, left : left + 128]
        picture = images[40 + k].copy()
        picture[:, *region] = add_noise(images[k], 0.2, seed=k)[:, *region]
        composed.append(picture)
        regions.append(region)
    train = part(scale, slice(0, 40))
    groups = np.arange(40, dtype=np.int32)
    null = rank_tiles(train, train, groups=groups, excluded=groups, depth=2, threads=1)
    innocent = rank_tiles(part(scale, slice(40, 60)), train, groups=groups, depth=2, threads=1)
    found = rank_tiles(at_scale(np.stack(composed)), train, groups=groups, depth=2, threads=1)
    assert (found.group[:, 0] == np.arange(20)).all()
    assert not (null.group == groups[:, None]).any()
    highest = max(null.contrast().max(), innocent.contrast().max())
    assert (found.contrast() > highest).mean() >= 0.95
    for place, (rows, columns) in zip(found.placement[:, 0] * 4, regions, strict=True):
        for start, length, span in ((place[0], place[2], rows), (place[1], place[3], columns)):
            shared = min(start + length, span.stop) - max(start, span.start)
            assert shared >= 0.5 * length


def test_no_queries_and_fewer_groups_than_asked_for(random_images):
    groups = np.array([0, 1] * 11 + [0], dtype=np.int32)
    none = rank_tiles(part(random_images, slice(0, 0)), random_images, groups=groups, threads=1)
    assert len(none) == 0
    some = rank_tiles(random_images, random_images, groups=groups, depth=9, threads=1)
    assert some.depth == 2


def test_what_cannot_be_compared_is_refused(random_images):
    groups = np.zeros(23, dtype=np.int32)
    other = DecisionImages(random_images.values[:, :, :8], random_images.varies)
    with pytest.raises(ImageMismatchError, match="must agree"):
        rank_tiles(other, random_images, groups=groups)
    with pytest.raises(OptionError, match="groups"):
        rank_tiles(random_images, random_images, groups=groups[:5])
    with pytest.raises(OptionError, match="excluded"):
        rank_tiles(random_images, random_images, groups=groups, excluded=groups[:5])
    with pytest.raises(OptionError, match="depth"):
        rank_tiles(random_images, random_images, groups=groups, depth=0)
    with pytest.raises(OptionError, match="shrinkage"):
        TileOptions(shrinkage=-0.1)
    with pytest.raises(OptionError, match="least_spread"):
        TileOptions(least_spread=2.0)
