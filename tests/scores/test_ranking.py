"""Rankings: sorting, dropping, merging and the contrast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.scores import PatientRanking, fisher, rank_groups, stack_rankings


def table(draw, rows=3, columns=6):
    values = draw(
        st.lists(
            st.lists(st.sampled_from([np.nan, -0.5, 0.0, 0.25, 0.5, 0.9]), min_size=columns,
                     max_size=columns),
            min_size=rows, max_size=rows,
        )
    )  # fmt: skip
    return np.array(values)


@st.composite
def tables(draw):
    values = table(draw)
    images = np.array([draw(st.permutations(range(values.shape[1]))) for _ in values])
    return values, images


def sorted_plainly(values, images):
    found = [(-v, i, g) for g, (v, i) in enumerate(zip(values, images, strict=True)) if v == v]
    return [(g, i, -v) for v, i, g in sorted(found)]


@given(tables(), st.integers(1, 8))
def test_groups_are_sorted_by_similarity_then_image(drawn, depth):
    values, images = drawn
    ranking = rank_groups(values, images, depth=depth)
    for row in range(len(values)):
        truth = sorted_plainly(values[row], images[row])[:depth]
        kept = ranking.group[row] >= 0
        assert (
            list(
                zip(
                    ranking.group[row][kept],
                    ranking.image[row][kept],
                    ranking.similarity[row][kept],
                    strict=True,
                )
            )
            == truth
        )


@given(tables(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_dropping_groups_is_ranking_without_them(drawn, keep):
    values, images = drawn
    dropped = rank_groups(values, images, depth=6).keep_groups(np.array(keep))
    without = rank_groups(np.where(keep, values, np.nan), images, depth=6)
    np.testing.assert_array_equal(dropped.similarity, without.similarity)
    np.testing.assert_array_equal(dropped.group, without.group)
    np.testing.assert_array_equal(dropped.image, without.image)


@given(tables(), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_merging_groups_keeps_the_best_of_each(drawn, new):
    values, images = drawn
    merged = rank_groups(values, images, depth=6).merge_groups(np.array(new, dtype=np.int32))
    for row in range(len(values)):
        seen, truth = set(), []
        for group, image, value in sorted_plainly(values[row], images[row]):
            if new[group] not in seen:
                seen.add(new[group])
                truth.append((new[group], image, value))
        kept = merged.group[row] >= 0
        assert merged.group[row][kept].tolist() == [group for group, _, _ in truth]
        assert merged.image[row][kept].tolist() == [image for _, image, _ in truth]


@given(tables(), st.lists(st.integers(-1, 5), min_size=3, max_size=3))
def test_the_own_group_can_be_taken_out_of_each_row(drawn, own):
    values, images = drawn
    found = rank_groups(values, images, depth=6).without(np.array(own, dtype=np.int32))
    hidden = values.copy()
    for row, group in enumerate(own):
        if group >= 0:
            hidden[row, group] = np.nan
    np.testing.assert_array_equal(found.group, rank_groups(hidden, images, depth=6).group)


def test_the_contrast_is_the_difference_of_fishers_z():
    values = np.array([[0.9, 0.5, 0.2], [0.3, np.nan, np.nan], [1.0, 1.0, 0.0]])
    ranking = rank_groups(values, np.tile(np.arange(3), (3, 1)), depth=3)
    contrast = ranking.contrast()
    assert contrast[0] == pytest.approx(np.arctanh(0.9) - np.arctanh(0.5))
    assert np.isnan(contrast[1])
    assert contrast[2] == 0.0
    assert np.isnan(ranking.head(1).contrast()).all()


def test_a_correlation_of_one_has_a_finite_z():
    assert np.isfinite(fisher(np.array([1.0, -1.0]))).all()


def test_rows_and_stacks_come_back_together():
    rng = np.random.default_rng(0)
    ranking = rank_groups(rng.random((5, 4)), np.tile(np.arange(4), (5, 1)), depth=3)
    again = stack_rankings([ranking.rows(np.arange(2)), ranking.rows(np.arange(2, 5))])
    for field in ("similarity", "group", "image", "placement"):
        np.testing.assert_array_equal(getattr(ranking, field), getattr(again, field))
    assert isinstance(again, PatientRanking)
