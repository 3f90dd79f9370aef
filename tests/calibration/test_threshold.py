"""The threshold flags the share of baseline images that it promises, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.calibration import calibrate, fewest_images
from likeness.errors import InputError, OptionError


@pytest.mark.parametrize(("rate", "needed"), [(0.5, 1), (0.1, 9), (0.05, 19), (0.01, 99)])
def test_fewest_images_is_where_the_highest_score_becomes_the_threshold(rate, needed):
    scores = np.linspace(0.0, 1.0, needed)
    assert fewest_images(rate) == needed
    assert calibrate(scores, false_flag_rate=rate).value == scores.max()
    with pytest.raises(InputError, match=f"at least {needed} baseline images"):
        calibrate(scores[:-1], false_flag_rate=rate)


@given(st.lists(st.floats(-1, 1), min_size=99, max_size=300), st.sampled_from([0.01, 0.05, 0.2]))
def test_at_most_the_promised_share_of_a_new_exchangeable_image_exceeds_it(values, rate):
    """Leave each value out in turn: at most rate * n of the n values exceed their threshold."""
    scores = np.array(values)
    exceed = 0
    for i in range(len(scores)):
        others = np.delete(scores, i)
        if len(others) < fewest_images(rate):
            return
        exceed += scores[i] > calibrate(others, false_flag_rate=rate).value
    assert exceed <= rate * len(scores) + 1e-9


def test_the_order_of_the_baseline_does_not_matter():
    scores = np.random.default_rng(0).uniform(-1, 1, 500)
    assert calibrate(scores) == calibrate(scores[::-1])


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0])
def test_a_rate_outside_the_open_interval_is_refused(rate):
    with pytest.raises(OptionError, match="--false-flag-rate"):
        calibrate(np.zeros(100), false_flag_rate=rate)
