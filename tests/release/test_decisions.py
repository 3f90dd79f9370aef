"""The rules, one at a time, on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness import ReleasePolicy
from likeness._release.decisions import decide, line_of, quantile_of
from likeness._release.reviews import Review, ReviewDecision
from likeness._release.tables import FAMILIES, BaselineTable, ImagesTable
from likeness.errors import InputError

BASE = np.linspace(0.5, 0.9, 1000)
"""Registered similarities of the baseline: the quantile 0.999 is the last but one."""
LIMIT = BASE[998]


def table(count=100, **columns):
    given = {
        "p_value": np.full(count, 0.5),
        "flagged": np.zeros(count, bool),
        "unusual": np.zeros(count, bool),
        "undefined": np.zeros(count, bool),
        "angle": np.zeros(count),
        "shift": np.zeros(count),
        "patient_ids": ("P1",) * count,
        "transforms": ("identity",) * count,
    }
    scores = {name: np.full(count, 0.6) for name in FAMILIES}
    for name, values in columns.items():
        target, key = (scores, name) if name in FAMILIES else (given, name)
        if isinstance(values, dict):
            old = target[key]
            new = list(old) if isinstance(old, tuple) else old.copy()
            for row, value in values.items():
                new[row] = value
            values = tuple(new) if isinstance(old, tuple) else new
        target[key] = values
    ids = tuple(f"s{number}" for number in range(count))
    return ImagesTable(image_ids=ids, similarity=scores, contrast=scores, **given)


def baseline(**values):
    scores = {name: values.get(name, BASE) for name in FAMILIES}
    return BaselineTable(("P",) * len(BASE), scores, scores)


def reasons(images, policy=None, review=None):
    made = decide(images, baseline(), policy or ReleasePolicy(), review or Review())
    return {row: why for row, why in enumerate(made.reasons) if why}


def review(*rows, approved=()):
    return Review(tuple(ReviewDecision(*row) for row in rows), approved)


def test_an_ordinary_image_is_released():
    assert reasons(table()) == {}


def test_a_copy_is_withheld_whatever_else_is_said_of_it():
    found = reasons(table(flagged={3: True}), review=review(("s3", "not a copy", "AB")))
    assert found == {3: ("flagged",)}


def test_the_wider_list_is_benjamini_hochberg_at_the_rate_of_the_policy():
    p = {0: 0.0005, 1: 0.0035, 2: 0.0062, 3: 0.3}
    assert reasons(table(p_value=p)) == dict.fromkeys((0, 1), ("unusual",))
    assert reasons(table(p_value=p), ReleasePolicy(fdr=0.25)) == dict.fromkeys(
        (0, 1, 2), ("unusual",)
    )
    assert reasons(table(p_value=p), ReleasePolicy(fdr=0.01)) == {}


def test_the_registered_similarity_may_reach_the_quantile_but_not_exceed_it():
    near = {0: LIMIT, 1: np.nextafter(LIMIT, 1)}
    policy = ReleasePolicy(review_band=0.0)
    assert reasons(table(registered=near), policy) == {1: ("registered",)}


def test_turned_near_duplicates():
    turned = dict.fromkeys(range(4), 0.95)
    names = {0: "flip_h", 1: "rot90", 2: "identity"}
    images = table(dihedral=turned, transforms=names, plain={3: 0.95})
    # Of image 2 only the mildest is known: that a turn brings it closer. Image 3 is no closer so.
    assert reasons(images) == {0: ("mirrored",), 1: ("rotated",), 2: ("mirrored", "rotated")}
    only = ReleasePolicy(withhold_transforms=("rotated",))
    assert reasons(images, only) == {1: ("rotated",), 2: ("rotated",)}
    assert reasons(images, ReleasePolicy(withhold_transforms=())) == {}


def test_moved_near_duplicates_are_told_by_their_pose():
    images = table(registered={0: 0.95, 1: 0.95, 2: 0.95}, shift={1: 4.0}, angle={2: -5.0})
    found = reasons(images)
    assert found[0] == ("registered",)
    assert found[1] == ("registered", "shifted")
    assert found[2] == ("registered", "rotated")


def test_an_image_without_a_score_is_never_released():
    images = table(undefined={0: True}, p_value={1: np.nan}, registered={2: np.nan})
    assert reasons(images) == dict.fromkeys((0, 1, 2), ("undefined",))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], ("not_reviewed",)),
        ([("s0", "not a copy", "AB")], None),
        ([("s0", "unsure", "AB")], ("reviewed",)),
        ([("s0", "copy", "AB")], ("reviewed",)),
        ([("s0", "not a copy", "AB"), ("s0", "copy", "CD")], ("reviewed",)),
        ([("s1", "not a copy", "AB")], ("not_reviewed",)),
    ],
)
def test_the_band_below_the_threshold_needs_a_person(said, why):
    images = table(registered={0: LIMIT - 0.004, 1: LIMIT - 0.006})
    assert reasons(images, review=review(*said)).get(0) == why
    assert 1 not in reasons(images, review=review(*said))


def test_everybody_whom_the_policy_names_has_to_clear_an_image():
    images, policy = table(registered={0: LIMIT - 0.001}), ReleasePolicy(approvers=("AB", "CD"))
    one = review(("s0", "not a copy", "AB"))
    both = review(("s0", "not a copy", "AB"), ("s0", "not a copy", "CD"))
    assert reasons(images, policy, one) == {0: ("not_reviewed",)}
    assert reasons(images, policy, both) == {}


def test_a_person_can_withhold_any_image():
    assert reasons(table(), review=review(("s7", "copy", "AB"))) == {7: ("reviewed",)}


@pytest.mark.parametrize(("copies", "blocked"), [(5, False), (6, True)])
def test_too_many_copies_block_the_set(copies, blocked):
    images = table(
        flagged=dict.fromkeys(range(copies), True),
        patient_ids={row: f"P{row}" for row in range(copies)},
    )
    made = decide(images, baseline(), ReleasePolicy(), Review())
    assert bool(made.blocked) == blocked
    assert made.copy_rate == copies / 100


@pytest.mark.parametrize(("copies", "blocked"), [(3, False), (4, True)])
def test_too_many_copies_of_one_patient_block_the_set(copies, blocked):
    made = decide(
        table(flagged=dict.fromkeys(range(copies), True)), baseline(), ReleasePolicy(), Review()
    )
    assert bool(made.blocked) == blocked
    assert made.most_per_patient == copies


def test_images_without_a_score_do_not_dilute_the_copy_rate():
    undefined = dict.fromkeys(range(50), True)
    images = table(undefined=undefined, flagged=dict.fromkeys(range(50, 53), True))
    made = decide(images, baseline(), ReleasePolicy(), Review())
    assert made.copy_rate == 3 / 50
    assert made.blocked


def test_a_set_of_which_nothing_is_left_is_blocked():
    images = table(count=2, registered=np.array([0.99, 0.99]))
    made = decide(images, baseline(), ReleasePolicy(), Review())
    assert made.blocked == ("No image is left to release: all are withheld.",)


def test_without_registered_baseline_nothing_is_decided():
    with pytest.raises(InputError, match="after registration"):
        decide(table(), baseline(registered=np.full(1000, np.nan)), ReleasePolicy(), Review())


def test_how_many_innocent_images_are_held_back():
    """A fifth of three listed images, and one in a thousand of the 97 others."""
    images = table(p_value={0: 0.0005, 1: 0.0035, 2: 0.0055})
    made = decide(images, baseline(), ReleasePolicy(), Review())
    assert made.by_reason() == {"unusual": 3}
    assert made.innocent_expected(ReleasePolicy()) == pytest.approx(0.6 + 0.097)


def listed_slowly(p, fdr):
    """Benjamini and Hochberg's definition: the largest k of which k are at or below fdr k / m."""
    size = len(p)
    largest = max((k for k in range(1, size + 1) if sorted(p)[k - 1] <= fdr * k / size), default=0)
    return [] if not largest else [value <= sorted(p)[largest - 1] for value in p]


@given(
    st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=30),
    st.sampled_from([0.01, 0.05, 0.2, 0.5]),
)
@settings(max_examples=200, deadline=None)
def test_the_line_lists_exactly_what_benjamini_hochberg_lists(p, fdr):
    line = line_of(np.array([*p, np.nan]), fdr)
    listed = [value <= line for value in p]
    assert listed == (listed_slowly(p, fdr) or [False] * len(p))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50), st.floats(0.01, 1.0))
@settings(max_examples=200, deadline=None)
def test_the_quantile_is_the_smallest_value_that_enough_do_not_exceed(values, quantile):
    found = quantile_of(np.array([*values, np.nan]), quantile)
    enough = [v for v in values if sum(w <= v for w in values) >= quantile * len(values) - 1e-9]
    assert found == min(enough)


def test_a_released_image_is_released_again_from_a_smaller_set():
    """The line is kept: Benjamini-Hochberg anew on fewer images would move it."""
    p = {row: 0.001 * (row + 1) for row in range(30)}
    images = table(p_value=p)
    made = decide(images, baseline(), ReleasePolicy(), Review())
    kept = images.take(np.flatnonzero(made.released))
    line = made.thresholds.p_value
    assert (kept.p_value > line).all()
    assert line_of(kept.p_value, 0.2) != line
