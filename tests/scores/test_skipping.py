"""What is skipped changes nothing: bounds hold; rankings are those of all pairs, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from likeness.scores import (
    _orientation_bounds,
    _orientation_work,
    _pruning,
    _tile_work,
    kernels,
    orientations,
    tiles,
)
from likeness.scores._axes import along, principal_axes, rounded_up, slack
from likeness.scores._orientation_bounds import OrientationIndex
from likeness.scores._orientation_pairs import TURNS, Orientations
from likeness.scores.decision_scale import DecisionImages
from likeness.scores.orientations import rank_orientations
from likeness.scores.registration import RegistrationOptions
from likeness.scores.registration.features import FeatureMaker
from likeness.scores.registration.poses import turned_poses
from likeness.scores.registration.proposals import Proposer
from likeness.scores.registration.shortlist import FeatureIndex
from likeness.scores.tile_index import TileIndex, limits
from likeness.scores.tiles import TileOptions, rank_tiles
from likeness.types import TRANSFORMS

FIELDS = ("similarity", "group", "image", "placement")
GROUPS = 60


def family(seed, count, shape, *, noise=0.15):
    """`count` images of `GROUPS` patients: those of one patient resemble each other."""
    rng = np.random.default_rng(seed)
    channels, rows, columns = shape
    common = gaussian_filter(rng.normal(size=(channels, rows, columns)), (0, 4, 4))
    people = gaussian_filter(rng.normal(size=(GROUPS, channels, rows, columns)), (0, 0, 2, 2))
    own = gaussian_filter(rng.normal(size=(count, channels, rows, columns)), (0, 0, 1, 1))
    groups = np.sort(rng.integers(0, GROUPS, count)).astype(np.int32)
    images = 8 * common + 3 * people[groups] + noise * own / own.std()
    low, high = images.min((2, 3), keepdims=True), images.max((2, 3), keepdims=True)
    values = np.rint((images - low) * (65535 / (high - low))).astype(np.uint16)
    return DecisionImages(values, np.ones((count, channels), dtype=bool)), groups


def hurt(images, rng):
    """Constant channels, equal images, turned copies: everything that decides ties."""
    values, varies = images.values.copy(), images.varies.copy()
    for row in rng.choice(len(values), 12, replace=False):
        values[row, row % values.shape[1]] = 0
        varies[row, row % values.shape[1]] = False
    values[40], varies[40] = 0, False
    values[50:60] = values[700:710]
    varies[50:60] = varies[700:710]
    values[60:70] = values[800:810, :, ::-1]
    varies[60:70] = varies[800:810]
    return DecisionImages(values, varies)


def some(images, rows):
    return DecisionImages(images.values[rows], images.varies[rows])


def assert_same(one, other):
    for field in FIELDS:
        a, b = getattr(one, field), getattr(other, field)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), field


@pytest.fixture(params=["compiled", "plain"])
def arithmetic(request, monkeypatch):
    """With Numba and without; skipped where there is none."""
    if request.param == "plain":
        monkeypatch.setattr(kernels, "compiled", lambda: None)
    elif kernels.compiled() is None:
        pytest.skip("Numba is not installed")
    return request.param


@pytest.mark.parametrize("shape", [(2, 16, 16), (1, 9, 12), (3, 8, 7)], ids=str)
@pytest.mark.parametrize("depth", [1, 6, 100])
def test_orientations_are_those_of_all_pairs(shape, depth, arithmetic, monkeypatch):
    rng = np.random.default_rng(depth)
    images, groups = family(1, 1100, shape)
    images = hurt(images, rng)
    groups = rng.permutation(groups)  # not in order, as folders may be
    rows = np.r_[0:60, 695:705, 795:805]
    queries, own = some(images, rows), np.where(np.arange(80) % 3, groups[rows], -1)
    monkeypatch.setattr(orientations, "index_pays", lambda *_: False)
    settings = {"groups": groups, "excluded": own.astype(np.int32), "depth": depth}
    every = rank_orientations(queries, images, threads=1, **settings)
    compared = []
    whole = _orientation_work.QueryBlock._whole
    monkeypatch.setattr(
        _orientation_work.QueryBlock,
        "_whole",
        lambda *a: (compared.append(a[2] - a[1]), whole(*a)),
    )
    monkeypatch.setattr(_orientation_work, "_BLOCK", 300)
    index = OrientationIndex.of(images, threads=2)
    for threads, memory in ((2, 1 << 30), (1, 1)):
        found = rank_orientations(
            queries if memory > 1 else some(images, rows[:3]),
            images,
            **{**settings, "excluded": settings["excluded"][: 80 if memory > 1 else 3]},
            index=index, threads=threads, memory_bytes=memory,
        )  # fmt: skip
        for one, other in zip(found, every, strict=True):
            assert_same(one, other.rows(np.arange(len(one))))
    if depth == 6 and shape[0] == 2 and arithmetic == "compiled":
        assert not compared  # nothing had to be compared as a whole


def test_few_turns_and_one_group_per_image_are_skipped_rightly_too(monkeypatch):
    images, _ = family(2, 1100, (1, 16, 16))
    groups = np.arange(1100, dtype=np.int32)
    queries = some(images, slice(0, 40))
    index = OrientationIndex.of(images)
    for transforms in (("identity",), ("identity", "flip_h", "rot90")):
        settings = {"groups": groups, "excluded": groups[:40], "transforms": transforms}
        pruned = rank_orientations(queries, images, depth=9, index=index, **settings)
        monkeypatch.setattr(orientations, "index_pays", lambda *_: False)
        every = rank_orientations(queries, images, depth=9, **settings)
        for one, other in zip(pruned, every, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("shape", [(2, 16, 20), (1, 40, 16)], ids=str)
@pytest.mark.parametrize("depth", [1, 5, 100])
def test_tiles_are_those_of_all_pairs(shape, depth, arithmetic, monkeypatch):
    rng = np.random.default_rng(depth)
    images, groups = family(3, 1100, shape)
    images = hurt(images, rng)
    groups = rng.permutation(groups)
    rows = np.r_[20:60, 695:705]
    queries, own = some(images, rows), np.where(np.arange(50) % 3, groups[rows], -1)
    settings = {"groups": groups, "excluded": own.astype(np.int32), "depth": depth}
    monkeypatch.setattr(tiles, "index_pays", lambda *_: False)
    every = rank_tiles(queries, images, threads=1, **settings)
    index = TileIndex.of(images, TileOptions(), threads=2)
    monkeypatch.setattr(_tile_work, "_BLOCK", 150)
    monkeypatch.setattr(_tile_work, "_WIDTH", 7)
    assert_same(rank_tiles(queries, images, threads=2, index=index, **settings), every)


def test_candidates_for_registration_are_those_of_all_products():
    """Against one product with all references, sorted and walked through in plain words."""
    images, groups = family(4, 1300, (2, 32, 32), noise=0.4)
    images = hurt(images, np.random.default_rng(1))
    options = RegistrationOptions()
    poses = options.poses(128, 128)
    index = FeatureIndex.of(images, options)
    assert index.bounded
    proposer = Proposer(index, images.varies, groups, poses, options, 200, TRANSFORMS)
    maker = FeatureMaker(images.shape, options)
    features = maker.plain(images.values, images.varies).values
    fewer = 0
    for row in (0, 50, 64, 400, 702, 1299):
        posed = maker.posed(images.values[row], images.varies[row])
        excluded = int(groups[row]) if row % 2 else -1
        found = proposer.candidates(posed, images.varies[row], excluded, [])
        shared = (images.varies & images.varies[row]).sum(axis=1)
        barred = (shared == 0) | (groups == excluded)
        sides = [np.full(1300, -np.inf), np.full(1300, -np.inf)]
        names = np.zeros((2, 1300), dtype=int)
        for number, name in enumerate(TRANSFORMS):
            mine = posed if number == 0 else posed.some(options.is_turned_pose())
            strength = np.abs(mine.turned(name) @ features.T).max(axis=0)
            strength = (strength * (1 / np.maximum(shared, 1)).astype(np.float32)).astype(float)
            side = int(number > 0)
            better = strength > sides[side]
            sides[side][better], names[side][better] = strength[better], number
        for side in sides:
            side[barred] = -np.inf
        counts = [options.candidates, options.turned_candidates]
        if sides[1].max() > sides[0].max():
            counts.reverse()
        truth = {}
        for side, strength in enumerate(sides):
            taken, many = {}, 0
            for image in np.lexsort((np.arange(1300), -strength)).tolist():
                group = int(groups[image])
                if strength[image] == -np.inf or (many >= counts[side] and len(taken) > 1):
                    break
                if many >= counts[side] and group in taken:
                    continue
                if taken.get(group, 0) < options.per_group:
                    taken[group] = taken.get(group, 0) + 1
                    many += 1
                    truth[image, int(names[side, image])] = None
        assert list(zip(found.image.tolist(), found.transform.tolist(), strict=True)) == list(truth)
        least = np.sort(sides[0])[-12]
        close = index.bounds(posed.values, 200, np.arange(1300)) / np.maximum(shared, 1)
        assert (close[~barred] * (1 + 1e-6) >= sides[0][~barred]).all()
        fewer += int((close < least).sum())
    assert fewer > 1300  # bounds are no idle talk
    assert turned_poses(poses[:1], "identity").shape == (1, 4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 3900.0])
def test_bounds_hold_where_they_are_tightest(scale):
    """Vectors along the axes, nearly along them, equal, opposite, and of very different parts."""
    rng = np.random.default_rng(5)
    base = rng.normal(size=(40, 300)) * np.geomspace(1, 1e-4, 300)
    axes, _ = principal_axes(base, 25)
    np.testing.assert_allclose(axes.T @ axes, np.eye(25), atol=1e-12)
    inside = rng.normal(size=(60, 25)) @ axes.T
    vectors = np.concatenate(
        [base, inside, -inside[:9], inside[:20] + 1e-9 * rng.normal(size=(20, 300)), 0 * base[:2]]
    )
    vectors *= scale / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    vectors[7:11] *= 1e-6
    part, rest = along(vectors, axes)
    lengths = np.linalg.norm(vectors, axis=1)
    bound = (part @ part.T).astype(np.float64) + np.outer(rest, rest).astype(np.float64)
    truth = vectors @ vectors.T
    assert (bound + slack(26) * np.outer(lengths, lengths) * (1 + 1e-9) >= truth).all()
    tight = np.outer(lengths, lengths) > 0.5 * scale**2
    near = (bound - truth)[40:100, 40:100] / scale**2
    assert np.abs(near[tight[40:100, 40:100]]).max() < 1e-4


def test_rounding_goes_up():
    values = np.array([0.1, 1.0, 1.0 + 1e-12, 3e7 + 0.1, 1e-40])
    assert (rounded_up(values).astype(np.float64) >= values).all()


@pytest.mark.parametrize("shape", [(2, 16, 16), (1, 9, 9), (3, 6, 8)], ids=str)
def test_no_pair_reaches_more_than_its_bound(shape):
    """Random, smooth, equal, inverted and turned pictures, constant channels included."""
    rng = np.random.default_rng(6)
    images, _ = family(7, 1100, shape)
    images = hurt(images, rng)
    images.values[100:140] = rng.integers(0, 65536, (40, *shape))
    images.values[140:180] = 65535 - images.values[180:220]
    images.varies[100:180] = np.ptp(images.values[100:180], axis=(2, 3)) > 0
    images.values[100:180][~images.varies[100:180]] = 0
    orientations_tried = Orientations(tuple(t for t in TURNS if shape[1] == shape[2] or not t[1]))
    index = OrientationIndex.of(images)
    rows = np.r_[30:70, 100:110, 140:150, 700:710]
    queries = some(images, rows)
    coarse = index.queries(queries.values, swaps=orientations_tried.swaps)
    plain, found = index.bounds(
        coarse, queries.varies, index.rows.read(0, 1100), images.varies, orientations_tried
    )
    packed = [
        _orientation_work.Packed.of(i.values, i.varies, transposed=orientations_tried.swaps == 2)
        for i in (queries, images)
    ]
    exact_plain, exact, _ = orientations_tried.table(*packed)
    known = ~np.isnan(exact)
    assert (plain[known] >= exact_plain[known]).all()
    assert (np.maximum.reduce(found)[known] >= exact[known]).all()
    assert (np.maximum.reduce(found)[~known] == -np.inf).all()
    same = known & (rows[:, None] == np.arange(1100))
    assert (plain[same] < 1.01).all()


def test_a_limit_lets_the_similarity_itself_pass():
    similarity = np.array([0.0, 0.3, 0.999, 1.0 - 1e-7, 1.0, -np.inf, np.nan])
    limit = limits(similarity)
    root = ((1 - similarity[:5]) / (1 + similarity[:5])) ** 4
    assert (root.astype(np.float32) <= limit[:5]).all()
    assert limit[5] == np.inf
    assert np.isnan(limit[6])


def test_an_index_is_made_only_where_it_pays(monkeypatch):
    assert not _pruning.index_pays(10**6, 1000)
    assert not _pruning.index_pays(200, 3000)
    assert _pruning.index_pays(20_000, 91_271)
    images, groups = family(8, 1100, (1, 8, 8))
    made = []
    original = OrientationIndex.of
    monkeypatch.setattr(
        OrientationIndex, "of", lambda *a, **k: (made.append(1), original(*a, **k))[1]
    )
    rank_orientations(some(images, slice(0, 9)), images, groups=groups, depth=3)
    assert not made
    monkeypatch.setattr(orientations, "index_pays", lambda *_: True)
    rank_orientations(some(images, slice(0, 9)), images, groups=groups, depth=3)
    assert made


def test_axes_leave_little_of_pictures_of_one_kind():
    images, _ = family(9, 1100, (1, 16, 16))
    index = OrientationIndex.of(images)
    numbers = index.rows.read(0, 1100)
    first = index.axes[0].shape[1]
    left = (numbers[:, first : first + 4] ** 2).sum(axis=1)
    assert left.mean() < 0.02
    assert numbers.shape[1] <= _orientation_bounds.NUMBERS + 4
    np.testing.assert_allclose((numbers**2).sum(axis=1), 1.0, atol=1e-5)
