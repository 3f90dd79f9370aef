"""The ranking: moved copies come first, and nothing but the pair itself matters."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scores.registration.making import Source, brains, chests, moved, scaled, smooth

from likeness.errors import MemoryBudgetError
from likeness.scores.decision_scale import DecisionImages, decision_images
from likeness.scores.ranking import PatientRanking
from likeness.scores.registration import Pose, RegistrationOptions, rank_registered
from likeness.similarity.transforms import apply_transform
from likeness.types import TRANSFORMS


def rank(queries, references, groups=None, *, grid=64, **settings):
    query, query_scale = scaled(queries, grid)
    reference, reference_scale = scaled(references, grid)
    groups = np.arange(len(references)) if groups is None else groups
    settings = {"threads": 1, **settings}
    return rank_registered(
        query, reference, query_scale, reference_scale,
        channels=tuple(range(queries.shape[1])), groups=np.asarray(groups, dtype=np.int32),
        **settings,
    )  # fmt: skip


def assert_same(first, second):
    for name in ("similarity", "group", "image", "placement"):
        a, b = getattr(first, name), getattr(second, name)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), name


def noisy(image, seed):
    noise = np.random.default_rng(seed).standard_normal(image.shape) * image.std()
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


ALTERATIONS = {
    "none": lambda x: x,
    "shift": lambda x: moved(x, shift=(8, -8)),
    "shift, black": lambda x: moved(x, shift=(-7, 5), mode="constant"),
    "turn": lambda x: moved(x, angle=-7),
    "far turn": lambda x: moved(x, angle=12, mode="constant"),
    "enlarged": lambda x: moved(x, zoom=1.1),
    "reduced, black": lambda x: moved(x, zoom=0.91, mode="constant"),
    "all": lambda x: moved(x, angle=5, zoom=1.04, shift=(4, 5)),
    "noise and shift": lambda x: noisy(moved(x, shift=(4, 4)), 3),
    "inverted and turned": lambda x: 255 - moved(x, angle=4),
    "gamma and shift": lambda x: (255 * (moved(x, shift=(3, 4)) / 255.0) ** 1.6).astype(np.uint8),
    "mirrored and turned": lambda x: moved(x[:, :, ::-1], angle=3),
    "quarter turn and shift": lambda x: moved(np.rot90(x, axes=(1, 2)), shift=(4, -3)),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_moved_copies_find_their_source(name):
    """The source comes first, and stands out more than any innocent image does."""
    references = chests()
    sources = np.arange(0, 60, 10)
    copies = np.stack([ALTERATIONS[name](references[i]) for i in sources])
    found = rank(copies, references)
    np.testing.assert_array_equal(found.image[:, 0], sources)
    innocent = rank(references[1::10], references, excluded=np.arange(1, 60, 10))
    assert found.contrast().min() > innocent.contrast().max()
    if "noise" not in name:
        assert found.similarity[:, 0].min() > 0.9
    sign = -1 if "inverted" in name else 1
    assert (found.placement[:, 0, 4] == sign).all()


def test_the_placement_lays_the_query_on_the_reference():
    """Doing to the query what the placement says gives the reference back."""
    reference = smooth(np.random.default_rng(1), 12, (1, 128, 128))
    reference = np.rint(reference * 255).astype(np.uint8)
    query = np.stack([moved(apply_transform(r, "rot270"), angle=5, zoom=0.97, shift=(6, -4))
                      for r in reference])  # fmt: skip
    found = rank(query, reference)
    np.testing.assert_array_equal(found.image[:, 0], np.arange(12))
    for k in range(12):
        pose = Pose.from_placement(found.placement[k, 0])
        turned = np.ascontiguousarray(apply_transform(query[k], pose.transform))
        back = moved(turned, angle=pose.angle, zoom=pose.zoom, shift=(pose.down, pose.right))
        inner = (0, slice(20, -20), slice(20, -20))
        assert np.corrcoef(back[inner].ravel(), reference[k][inner].ravel())[0, 1] > 0.995


def test_a_query_gives_the_same_alone_in_a_set_and_with_any_threads_and_blocks():
    references = chests()
    queries = np.stack([moved(references[i], angle=3, shift=(2, i % 5)) for i in range(19)])
    groups = np.arange(60) // 2
    excluded = np.where(np.arange(19) % 3 == 0, groups[:19], -1)
    usual = rank(queries, references, groups, excluded=excluded)
    assert_same(usual, rank(queries, references, groups, excluded=excluded, threads=3))
    small = rank(queries, references, groups, excluded=excluded, memory_bytes=900_000)
    assert_same(usual, small)
    for k in (0, 7, 18):
        alone = rank(queries[k : k + 1], references, groups, excluded=excluded[k : k + 1])
        assert_same(usual.rows(np.array([k])), alone)


def test_excluded_groups_are_never_met():
    references = chests()[:30]
    groups = np.arange(30) // 3
    plain = [_ranking(np.arange(30)[:, None])]
    found = rank(references, references, groups, excluded=groups, proposals=plain)
    assert (found.group != groups[:, None]).all()
    assert (found.group[:, :2] >= 0).all()
    np.testing.assert_array_equal(groups[found.image[:, 0]], found.group[:, 0])


def test_each_group_once_best_first():
    references = chests()[:30]
    found = rank(references[:8], references, np.arange(30) // 4, depth=5)
    assert found.similarity.shape == (8, 5)
    for row, groups in zip(found.similarity, found.group, strict=True):
        known = groups >= 0
        assert len(set(groups[known].tolist())) == known.sum()
        assert (np.diff(row[known]) <= 0).all()
        assert np.isnan(row[~known]).all()


def test_two_groups_are_met_even_where_one_fills_the_first_places():
    """40 near copies of one patient leave room for one stranger: a contrast needs two."""
    references = chests()[:2].repeat(40, axis=0)
    found = rank(chests()[:1], references, np.repeat([0, 1], 40))
    assert found.group[0, :2].tolist() == [0, 1]
    assert np.isfinite(found.contrast()).all()


def test_registration_never_hides_what_needs_none():
    """Similarity is at least that of the unmoved pair."""
    from likeness.scores.registration.pairs import slope_correlation
    from likeness.similarity.blocks import block_means

    references = chests()[:20]
    found = rank(references, references, excluded=np.arange(20))
    whole = np.ones((1, 32, 32), dtype=bool)
    present = np.ones((1, 1), dtype=bool)
    for k in range(20):
        for similarity, image in zip(found.similarity[k], found.image[k], strict=True):
            if image >= 0:
                pair = [block_means(references[i], 32)[None] for i in (k, int(image))]
                unmoved = slope_correlation(pair[0], pair[1], whole, present)[0]
                assert similarity >= unmoved - 1e-4


def _ranking(image, placement=None):
    shape = image.shape
    if placement is None:
        placement = np.empty((*shape, 0))
    return PatientRanking(
        np.ones(shape), image.astype(np.int32), image.astype(np.int32),
        placement.astype(np.float32),
    )  # fmt: skip


def test_other_rankings_add_candidates_with_their_transform():
    """With the own search switched off for flips, only a proposal finds a mirrored copy."""
    references = chests()
    copies = np.stack([moved(references[i][:, ::-1], angle=3) for i in (5, 25)])
    options = RegistrationOptions(transforms=("identity",))
    assert (rank(copies, references, options=options).similarity[:, 0] < 0.9).all()
    number = np.full((2, 1, 1), TRANSFORMS.index("flip_v"))
    proposals = [_ranking(np.array([[5], [25]]), number)]
    found = rank(copies, references, options=options, proposals=proposals)
    np.testing.assert_array_equal(found.image[:, 0], [5, 25])
    assert (found.similarity[:, 0] > 0.9).all()
    assert (found.placement[:, 0, 5] == TRANSFORMS.index("flip_v")).all()


@pytest.mark.parametrize(
    ("shape", "dtype", "grid"),
    [
        ((3, 96, 60), np.uint8, 64),
        ((2, 70, 110), np.uint16, 64),
        ((5, 64, 64), np.float32, 64),
        ((1, 90, 90), np.int16, 50),
        ((1, 20, 24), np.uint8, 64),
    ],
)
def test_shapes_types_and_grids(shape, dtype, grid):
    rng = np.random.default_rng(4)
    images = smooth(rng, 25, shape)
    if np.dtype(dtype).kind != "f":
        images = np.rint(images * {1: 255, 2: 30000}[np.dtype(dtype).itemsize])
    images = images.astype(dtype)
    move = (shape[1] / 25, -shape[2] / 25)
    copies = np.stack([moved(image, angle=4, shift=move) for image in images[:5]])
    found = rank(copies, images, grid=grid)
    np.testing.assert_array_equal(found.image[:, 0], np.arange(5))
    assert found.similarity[:, 0].min() > 0.9


def test_channels_constant_in_either_image_are_left_out():
    images = np.rint(smooth(np.random.default_rng(5), 20, (2, 64, 64)) * 255).astype(np.uint8)
    copies = np.stack([moved(image, shift=(3, -2)) for image in images[:3]])
    copies[0, 1] = 7
    references = images.copy()
    references[1, 0] = 9
    found = rank(copies, references)
    np.testing.assert_array_equal(found.image[:, 0], [0, 1, 2])
    assert found.similarity[:, 0].min() > 0.97


def test_a_constant_query_has_no_ranking_and_disturbs_nobody():
    references = chests()[:20]
    queries = references[:3].copy()
    queries[1] = 80
    found = rank(queries, references)
    assert np.isnan(found.similarity[1]).all()
    assert (found.image[1] == -1).all()
    assert_same(found.rows(np.array([0, 2])), rank(queries[[0, 2]], references))


def test_only_the_chosen_channels_count():
    rng = np.random.default_rng(6)
    images = np.rint(smooth(rng, 15, (3, 64, 64)) * 255).astype(np.uint8)
    queries = images[:4].copy()
    queries[:, 1] = rng.integers(0, 256, (4, 64, 64))
    chosen = []
    for array in (queries, images, queries[:, ::2], images[:, ::2]):
        source = Source(array)
        channels = (0, 2) if array.shape[1] == 3 else (0, 1)
        chosen.append((source, decision_images(source, channels)))
    settings = {"groups": np.arange(15, dtype=np.int32), "threads": 1}
    (q, q_scale), (r, r_scale), (q2, q2_scale), (r2, r2_scale) = chosen
    some = rank_registered(q, r, q_scale, r_scale, channels=(0, 2), **settings)
    cut = rank_registered(q2, r2, q2_scale, r2_scale, channels=(0, 1), **settings)
    assert_same(some, cut)
    assert (some.similarity[:, 0] > 0.99).all()


def test_too_little_memory_is_refused_with_the_number():
    with pytest.raises(MemoryBudgetError, match=r"needs [\d,]+ bytes"):
        rank(chests()[:2], chests(), memory_bytes=100_000)


def test_options_take_effect():
    references = chests()
    copies = np.stack([moved(references[i], angle=12) for i in range(0, 60, 10)])
    narrow = RegistrationOptions(angles=(0.0,), zooms=(1.0,), shifts=(0.0,), refined=2)
    wide = rank(copies, references)
    assert wide.similarity[:, 0].mean() > rank(copies, references, options=narrow).similarity[
        :, 0
    ].mean()  # fmt: skip
    few = rank(copies, references, options=RegistrationOptions(candidates=2, turned_candidates=0))
    assert ((few.image >= 0).sum(axis=1) == 2).all()
    strict = rank(copies, references, options=RegistrationOptions(minimum_overlap=1.0))
    assert (strict.placement[:, 0, :4] != wide.placement[:, 0, :4]).any()


def test_decision_images_of_a_part_rank_as_those_of_the_whole():
    """Rows of a larger set of decision images may be handed over."""
    references, scale = scaled(chests())
    part = DecisionImages(scale.values[4:6], scale.varies[4:6])
    arguments = {"channels": (0,), "groups": np.arange(60, dtype=np.int32), "threads": 1}
    found = rank_registered(Source(chests()[4:6]), references, part, scale, **arguments)
    assert found.image[:, 0].tolist() == [4, 5]
    np.testing.assert_allclose(found.similarity[:, 0], 1.0)
    np.testing.assert_array_equal(found.placement[:, 0], np.tile([0, 1, 0, 0, 1, 0], (2, 1)))


def test_a_stranger_stands_out_as_little_turned_as_upright():
    """The runner-up of a turned query is sought as thoroughly as that of an upright one."""
    heads = brains()
    train, strangers = heads[:40], heads[40:]
    upright = rank(strangers, train).contrast()
    for turned in (np.rot90(strangers, 1, axes=(2, 3)), strangers[:, :, ::-1]):
        found = rank(np.ascontiguousarray(turned), train).contrast()
        assert found.max() < 1.3 * upright.max()
        assert np.median(found) < 1.5 * np.median(upright)
