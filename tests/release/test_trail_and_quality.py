"""The chained trail, and the numbers that the gate gives about itself."""

from __future__ import annotations

import numpy as np
import pytest
from tests.release.making import in_all_families
from tests.release.test_decisions import baseline, table

from likeness import ReleasePolicy
from likeness._release import release_log
from likeness._release.decisions import decide
from likeness._release.gate_scores import Null, Scores, largest_difference, people_codes
from likeness._release.quality import (
    Jitter,
    chosen_rows,
    consistency,
    jaccard,
    moved_by,
    specificity,
)
from likeness._release.record import bound
from likeness._release.reviews import Review
from likeness.errors import InputError


def test_the_trail_is_a_chain(tmp_path):
    for number in range(4):
        release_log.append(tmp_path, {"decision": "BLOCKED", "number": number})
    lines = release_log.read(tmp_path)
    assert [line["number"] for line in lines] == [0, 1, 2, 3]
    assert [line["previous"] for line in lines[1:]] == [line["sha256"] for line in lines[:-1]]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda lines: [*lines[:1], *lines[2:]], 2),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [lines[0], lines[1].replace(b"BLOCKED", b"CLEARED"), *lines[2:]], 2),
        (lambda lines: [lines[0], b"{", *lines[1:]], 2),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [lines[0], b"[]", *lines[1:]], 2),
    ],
)
def test_a_line_taken_out_moved_or_changed_is_found(tmp_path, change, number):
    for _ in range(4):
        release_log.append(tmp_path, {"decision": "BLOCKED"})
    path = tmp_path / release_log.NAME
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    with pytest.raises(InputError, match=f"Line {number} of"):
        release_log.read(tmp_path)


def test_jaccard():
    a, b = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    one = np.ones(4)
    assert jaccard(a, b, one) == 1 / 3
    assert jaccard(a, a, one) == 1.0
    assert jaccard(a & ~a, b & ~b, one) == 1.0
    assert jaccard(a, ~a, one) == 0.0
    assert jaccard(a, b, np.array([1.0, 6.0, 5.0, 9.0])) == 6 / 12


@pytest.mark.parametrize("down", [-1, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 1])
def test_images_move_by_one_pixel(down, right):
    pixels = np.arange(2 * 1 * 5 * 6).reshape(2, 1, 5, 6)
    moved = moved_by(pixels, down, right)
    for row in range(5):
        for column in range(6):
            source = pixels[:, :, min(max(row - down, 0), 4), min(max(column - right, 0), 5)]
            assert np.array_equal(moved[:, :, row, column], source)


def null(count=500, seed=3):
    rng = np.random.default_rng(seed)
    values = in_all_families(rng.exponential(0.05, count))
    return Null(values, np.repeat(np.arange(count // 5), 5), 1.0)


def test_the_combined_p_pays_for_four_families():
    p = null().p_value(in_all_families(np.array([0.0, 0.05, 3.0])))
    one = (1 + (null().contrast["plain"] >= 0.05).sum()) / 501
    assert p[0] == 1.0
    assert p[1] == min(1.0, 4 * one)
    assert p[2] < 1e-4


def test_a_missing_family_shows_nothing_and_no_score_is_no_p():
    contrast = in_all_families(np.array([2.0, np.nan]))
    with_all = null().p_value(contrast)
    without_tiles = null().p_value({**contrast, "tiles": np.array([np.nan, np.nan])})
    assert with_all[0] == without_tiles[0]
    assert np.isnan(without_tiles[1])


def test_inflation_and_people():
    twice = Null(null().contrast, null().groups, 2.0)
    value = in_all_families(np.array([0.2]))
    assert twice.p_value(value)[0] == 2 * null().p_value(value)[0]
    fewer = null().without_people(0.1, np.random.default_rng(0))
    assert len(np.unique(fewer.groups)) == 90
    assert len(fewer.groups) == len(fewer.contrast["plain"]) == 450
    assert people_codes(("a", "b", "c", "a"), [["b", "c"]]).tolist() == [0, 1, 1, 0]


def test_specificity_counts_the_real_pictures_that_pass():
    control = baseline(registered=np.r_[np.full(990, 0.6), np.full(10, 0.99)])
    control = type(control)(control.patients, control.similarity, in_all_families(np.zeros(1000)))
    decisions = decide(table(), baseline(), ReleasePolicy(), Review())
    found = specificity(control, null(), decisions.thresholds, ReleasePolicy())
    assert (found.num_images, found.num_passed) == (1000, 990)
    assert 0.98 < found.low < 0.99


def test_the_least_settled_images_are_chosen():
    images = table(p_value=np.linspace(0.001, 1, 100), registered=np.linspace(0.2, 0.89, 100))
    decisions = decide(images, baseline(), ReleasePolicy(), Review())
    withheld = np.arange(100) < 30
    rows, weights = chosen_rows(images, withheld, decisions.thresholds, 0)
    assert len(rows) == len(set(rows.tolist())) == 60
    assert withheld[rows[:20]].all()
    assert not withheld[rows[20:]].any()
    assert set(range(82, 100)) <= set(rows[20:40].tolist())  # just below the registered quantile
    assert weights.tolist() == [1.5] * 20 + [1.0] * 20 + [2.5] * 20  # 30, 20 and 50 images


def test_images_without_a_score_are_not_scored_again():
    images = table(count=30, undefined=dict.fromkeys(range(5), True))
    decisions = decide(images, baseline(), ReleasePolicy(), Review())
    rows, weights = chosen_rows(images, ~decisions.released, decisions.thresholds, 0)
    assert sorted(rows.tolist()) == list(range(5, 30))
    assert weights.sum() == 25


def measure(rescore, images, policy=None):
    policy = policy or ReleasePolicy()
    decisions = decide(images, baseline(), policy, Review())
    from likeness.datasets import ImageSet

    pixels = np.random.default_rng(1).integers(0, 255, (len(images), 1, 8, 8)).astype(np.uint8)
    return consistency(
        ImageSet.from_arrays(pixels),
        images,
        decisions,
        null=null(),
        rescore=rescore,
        policy=policy,
    )


def test_consistency_is_one_where_nothing_changes_and_nought_where_all_does():
    close = dict.fromkeys(range(5), 0.95)
    images = table(count=20, registered=close)

    def scores(registered):
        values = {**in_all_families(np.full(20, 0.6)), "registered": registered}
        return Scores(values, in_all_families(np.zeros(20)))

    # The withheld images come first.
    def steady(moved):
        return scores(np.where(np.arange(20) < 5, 0.99, 0.5))

    def turned_about(moved):
        return scores(np.where(np.arange(20) < 5, 0.5, 0.99))

    found = measure(steady, images)
    assert isinstance(found, Jitter)
    assert (found.result.num_runs, found.num_images, found.num_withheld) == (5, 20, 5)
    assert found.result.jaccard_mean == found.result.jaccard_lowest == 1.0
    assert measure(turned_about, images).result.jaccard_mean == 0.0


def test_every_run_sees_moved_images():
    seen = []

    def remember(moved):
        seen.append(moved.read(0, len(moved)))
        return Scores(in_all_families(np.full(20, 0.6)), in_all_families(np.zeros(20)))

    measure(remember, table(count=20))
    still = np.random.default_rng(1).integers(0, 255, (20, 1, 8, 8)).astype(np.uint8)
    assert len(seen) == 5
    still = {image.tobytes() for image in still}
    assert all(image.tobytes() not in still for pixels in seen for image in pixels)


def test_the_largest_difference_sees_what_is_missing_on_one_side():
    a = in_all_families(np.array([0.1, np.nan]))
    assert largest_difference(a, a) == 0.0
    assert largest_difference(a, {**a, "tiles": np.array([0.4, np.nan])}) == pytest.approx(0.3)
    assert largest_difference(a, {**a, "tiles": np.array([0.1, 0.2])}) == float("inf")


@pytest.mark.parametrize(
    ("rate", "digits", "found"),
    [(0.0613, 2, 0.062), (0.0613, 1, 0.07), (0.06, 1, 0.06), (0.99, 1, 1.0), (0.0, 2, 0.0)],
)
def test_limits_are_rounded_up(rate, digits, found):
    assert bound(rate, digits) == found
    assert bound(None, digits) is None
