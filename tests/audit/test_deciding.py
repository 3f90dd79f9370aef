"""From contrasts to p-values to lists, against the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from likeness._audit.deciding import FEWEST_BASELINE, FamilyNull, flag, judge, null_of
from likeness.scores import FAMILIES, PatientRanking, fisher


def ranking_of(contrast, *, group=None, second=0.2):
    """Two groups per image with a given contrast; NaN: no second group; -1: nothing at all."""
    contrast = np.asarray(contrast, dtype=np.float64)
    count = len(contrast)
    similarity = np.full((count, 2), np.nan)
    groups = np.full((count, 2), -1, dtype=np.int32)
    there = ~(contrast < 0)
    similarity[there, 0] = np.tanh(np.nan_to_num(contrast[there]) + np.arctanh(second))
    both = there & ~np.isnan(contrast)
    similarity[both, 1] = second
    groups[there, 0] = np.arange(count)[there] if group is None else np.asarray(group)[there]
    groups[both, 1] = 900
    return PatientRanking(similarity, groups, groups.copy(), np.zeros((count, 2, 0), np.float32))


def spread(seed, count=200):
    return np.random.default_rng(seed).exponential(0.1, count)


@pytest.fixture(scope="module")
def nulls():
    rankings = {family: ranking_of(spread(n)) for n, family in enumerate(FAMILIES)}
    return null_of(rankings, {family: np.arange(200, dtype=np.int32) for family in FAMILIES})


def test_images_without_a_contrast_are_not_in_the_null():
    ranking = ranking_of([*spread(0, 30), np.nan, -1.0])
    null = FamilyNull.of(ranking, np.arange(32, dtype=np.int32))
    assert len(null.contrast) == len(null.groups) == len(null.similarity) == 30
    assert null.groups.tolist() == list(range(30))


def test_a_family_with_too_few_images_leaves_no_null_at_all():
    enough, few = (ranking_of(spread(0, FEWEST_BASELINE - number)) for number in (0, 1))
    groups = {f: np.arange(FEWEST_BASELINE, dtype=np.int32) for f in ("plain", "tiles")}
    assert set(null_of({"plain": enough, "tiles": enough}, groups)) == {"plain", "tiles"}
    groups["tiles"] = groups["tiles"][:-1]
    assert null_of({"plain": enough, "tiles": few}, groups) == {}


def test_the_null_is_described_by_its_numbers(nulls):
    described = nulls["plain"].describe("plain")
    contrast = spread(0)
    assert described.num_images == described.num_groups == 200
    assert described.most_per_group == 1
    assert described.contrast_median == pytest.approx(np.median(contrast))
    assert described.contrast_99 == pytest.approx(np.quantile(contrast, 0.99))
    assert described.contrast_maximum == pytest.approx(contrast.max())
    assert described.similarity_999 is None, "1,000 images are needed for one in a thousand"
    many = FamilyNull.of(ranking_of(spread(1, 1000)), np.repeat(np.arange(250, dtype=np.int32), 4))
    described = many.describe("tiles")
    assert (described.num_groups, described.most_per_group) == (250, 4)
    assert described.similarity_999 == pytest.approx(np.quantile(many.similarity, 0.999))


def test_below_the_tail_a_p_value_counts_images(nulls):
    contrasts = np.quantile(spread(0), [0.0, 0.3, 0.7, 0.85])
    rankings = {family: ranking_of(contrasts) for family in FAMILIES}
    judged = judge(rankings, nulls)
    for column, family in enumerate(FAMILIES):
        null = nulls[family].contrast
        above = (null[None] >= judged.contrast[:, column, None]).sum(axis=1)
        below = judged.contrast[:, column] <= nulls[family].tail.threshold
        expected = (1 + above) / 201
        assert judged.p_family[below, column] == pytest.approx(expected[below])
    assert judged.p == pytest.approx(np.minimum(1, 4 * judged.p_family.min(axis=1)))


def test_the_family_with_the_smallest_p_decides_and_names_the_person(nulls):
    """Image 0 stands out in the tiles, image 1 in the plain family; 2 nowhere."""
    contrasts = {f: [0.05, 0.05, 0.05] for f in FAMILIES}
    contrasts["tiles"][0] = contrasts["plain"][1] = 3.0
    rankings = {
        family: ranking_of(values, group=[10 * n, 10 * n + 1, 10 * n + 2])
        for n, (family, values) in enumerate(contrasts.items())
    }
    judged = judge(rankings, nulls)
    assert [judged.families[column] for column in judged.best[:2]] == ["tiles", "plain"]
    assert judged.group[:2].tolist() == judged.image[:2].tolist() == [30, 1]
    assert judged.ranking(0) is rankings["tiles"]
    assert judged.extrapolated.tolist() == [True, True, False]
    assert judged.above[:2].tolist() == [0, 0]
    assert judged.p[:2].max() < 1e-4 < judged.p[2]
    conservative = (1 + 0) / (1 + 200)  # one baseline image per person
    assert judged.conservative[:2] == pytest.approx([4 * conservative] * 2)


def test_of_equal_p_values_the_first_family_decides(nulls):
    none = {family: ranking_of([0.0]) for family in FAMILIES}
    assert judge(none, nulls).best.tolist() == [0]


def test_an_image_without_a_contrast_has_p_1_and_points_to_nobody(nulls):
    judged = judge({family: ranking_of([-1.0, np.nan]) for family in FAMILIES}, nulls)
    assert judged.p.tolist() == [1.0, 1.0]
    assert judged.image.tolist() == [-1, 1]
    assert not judged.extrapolated.any()
    flagged = flag(judged, fdr_copy=0.05, fdr_gate=0.2)
    assert not flagged.copies.any()
    assert not flagged.unusual.any()


def test_inflation_multiplies_every_p_value(nulls):
    rankings = {family: ranking_of([0.02, 0.3, 0.8, 2.5]) for family in FAMILIES}
    plain, inflated = (judge(rankings, nulls, inflation=number) for number in (1.0, 3.0))
    assert inflated.p_family == pytest.approx(np.minimum(1, 3 * plain.p_family))
    assert inflated.p == pytest.approx(np.minimum(1, 3 * plain.p))
    certain = inflated.p < 1
    assert certain.sum() >= 2
    assert (inflated.best == plain.best)[certain].all()


def test_a_higher_contrast_never_has_a_higher_p(nulls):
    rankings = {family: ranking_of(np.linspace(0, 8, 400)) for family in FAMILIES}
    judged = judge(rankings, nulls)
    assert (np.diff(judged.p) <= 0).all()
    assert judged.p[-1] > 0


def test_lists_are_those_of_benjamini_and_hochberg(nulls):
    """Against scipy, on a mixture of copies and others."""
    rng = np.random.default_rng(4)
    contrast = np.concatenate([rng.exponential(0.1, 80), rng.uniform(0.3, 1.5, 20)])
    judged = judge({family: ranking_of(contrast) for family in FAMILIES}, nulls)
    flagged = flag(judged, fdr_copy=0.05, fdr_gate=0.2)
    q = false_discovery_control(judged.p)
    assert flagged.q_value == pytest.approx(q)
    assert (flagged.copies == (q <= 0.05)).all()
    assert (flagged.unusual == (q <= 0.2)).all()
    assert 0 < flagged.copies.sum() < flagged.unusual.sum() < 100


def test_contrast_is_that_of_fishers_z():
    ranking = ranking_of([0.4])
    first, second = ranking.similarity[0]
    assert ranking.contrast()[0] == pytest.approx(np.arctanh(first) - np.arctanh(second))
    assert fisher(np.array([1.0]))[0] == pytest.approx(np.arctanh(1 - 1e-7))
