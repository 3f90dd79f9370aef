"""The kernel distance against a double loop and against torchmetrics."""

import warnings

import numpy as np
import pytest

from likeness.metrics import kernel_distance as module
from likeness.metrics.kernel_distance import kernel_distance


def kernel(a, b):
    return (float(np.dot(a, b)) / len(a) + 1) ** 3


def reference(first, second, first_counts, second_counts):
    """Return the estimate with every pair of different images written out."""

    def within(features, counts):
        total = pairs = 0.0
        for i, a in enumerate(features):
            for j, b in enumerate(features):
                if i != j:
                    total += counts[i] * counts[j] * kernel(a, b)
                    pairs += counts[i] * counts[j]
        return total / pairs

    between = sum(
        m * n * kernel(a, b)
        for a, m in zip(first, first_counts, strict=True)
        for b, n in zip(second, second_counts, strict=True)
    ) / (sum(first_counts) * sum(second_counts))
    return within(first, first_counts) + within(second, second_counts) - 2 * between


def test_every_draw_agrees_with_a_double_loop(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 5)
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(13, 4)), rng.normal(size=(8, 4)) + 0.5
    counts = rng.integers(0, 3, (6, 13)).astype(float), rng.integers(1, 4, (6, 8)).astype(float)
    expected = [reference(first, second, *each) for each in zip(*counts, strict=True)]
    assert kernel_distance(first, second, *counts) == pytest.approx(expected, rel=1e-12)


def test_it_is_that_of_torchmetrics_where_a_subset_is_the_whole_set():
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(40, 6)), rng.normal(size=(40, 6)) * 1.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(torch.nn.Identity(), subsets=2, subset_size=40)
    metric.update(torch.from_numpy(first), real=True)
    metric.update(torch.from_numpy(second), real=False)
    ours = kernel_distance(first, second, np.ones((1, 40)), np.ones((1, 40)))
    assert ours == pytest.approx([float(metric.compute()[0])], rel=1e-5)


def test_it_is_zero_on_average_for_equal_distributions():
    rng = np.random.default_rng(2)
    found = [
        kernel_distance(
            rng.normal(size=(20, 3)), rng.normal(size=(20, 3)), np.ones((1, 20)), np.ones((1, 20))
        )[0]
        for _ in range(400)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(400)
    assert min(found) < 0 < max(found)
