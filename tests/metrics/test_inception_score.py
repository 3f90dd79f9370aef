"""The inception score of torchmetrics, and of draws."""

import numpy as np
import pytest
import scipy.special

from likeness.metrics.inception_score import (
    SPLITS,
    _splits,
    inception_score,
    weighted_inception_scores,
)


def reference(logits, splits):
    """Return exp of the mean divergence from the mean, per split, image by image."""
    scores = []
    for rows in splits:
        p = scipy.special.softmax(logits[rows], axis=1)
        mean = p.mean(axis=0)
        scores.append(np.exp(np.mean([(q * np.log(q / mean)).sum() for q in p])))
    return np.mean(scores), np.std(scores, ddof=1)


def test_it_agrees_with_the_formula_and_its_weighted_form():
    logits = np.random.default_rng(0).normal(size=(203, 7)) * 3
    expected = reference(logits, _splits(203, 5))
    assert inception_score(logits, seed=5) == pytest.approx(expected, rel=1e-9)
    weighted = weighted_inception_scores(logits, np.ones((1, 203)), seed=5)
    assert weighted == pytest.approx([expected[0]], rel=1e-9)


def test_images_that_count_twice():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(50, 4))
    counts = rng.integers(0, 3, 50)
    splits = [np.repeat(rows, counts[rows]) for rows in _splits(50, 0)]
    expected = reference(logits, splits)[0]
    found = weighted_inception_scores(logits, counts[None].astype(float), seed=0)
    assert found == pytest.approx([expected], rel=1e-9)


def test_its_range():
    """1 where all images look alike, the number of classes where each is sure and all occur."""
    alike = np.tile(np.arange(5.0), (100, 1))
    assert inception_score(alike, seed=0)[0] == pytest.approx(1)
    order = np.empty(100, dtype=int)
    for rows in _splits(100, 0):
        order[rows] = np.arange(10)
    sure = 1e5 * np.eye(10)[order]
    assert inception_score(sure, seed=0) == pytest.approx((10, 0), abs=1e-6)


def test_the_seed_chooses_the_splits_and_leaves_torch_alone():
    import torch

    logits = np.random.default_rng(2).normal(size=(60, 3))
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again = inception_score(logits, seed=0), inception_score(logits, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == again != inception_score(logits, seed=1)
    assert len(_splits(60, 0)) == SPLITS
