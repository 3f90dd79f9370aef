"""Mutual information counts what one picture tells of the other, by whatever mapping."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from likeness.datasets.phantoms import chest_image
from likeness.similarity import foreground, normalized_mutual_information


def slow(query, reference):
    """Histograms as dictionaries, entropies as sums."""
    mask = foreground(query)
    found = []
    for a, b in zip(query.astype(float), reference.astype(float), strict=True):
        bins = []
        for values in (a[mask], b[mask]):
            low, high = min(values), max(values)
            bins.append([min(int((v - low) / (high - low) * 64), 63) for v in values])
        counts = (Counter(bins[0]), Counter(bins[1]), Counter(zip(*bins, strict=True)))
        h = [-sum(n / mask.sum() * math.log2(n / mask.sum()) for n in c.values()) for c in counts]
        found.append((h[0] + h[1]) / h[2])
    return sum(found) / len(found)


def test_agrees_with_counting():
    rng = np.random.default_rng(0)
    query = rng.gamma(2.0, 30.0, (2, 30, 31))
    query[:, :9] = 0
    reference = 0.5 * query + rng.normal(0, 5, query.shape)
    expected = slow(query, reference)
    assert 1.1 < expected < 1.9
    assert normalized_mutual_information(query, reference) == pytest.approx(expected, abs=1e-12)


def test_two_for_a_copy_whatever_happened_to_its_intensities():
    rng = np.random.default_rng(1)
    query = rng.integers(0, 64, (1, 40, 40)).astype(np.uint8)
    assert normalized_mutual_information(query, query) == 2
    assert normalized_mutual_information(query, 255 - query) == 2
    shuffled = rng.permutation(64).astype(np.uint8)[query]
    assert normalized_mutual_information(query, shuffled) == 2


def test_little_for_unrelated_noise_and_between_for_strangers():
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (2, 1, 256, 256)).astype(np.uint8)
    assert 1 <= normalized_mutual_information(*noise) < 1.02
    first, second = (chest_image(5, patient, size=(128, 128))[None] for patient in range(2))
    strangers = normalized_mutual_information(first, second)
    gamma = np.rint(255 * (first / 255.0) ** 1.6).astype(np.uint8)
    assert 1.02 < strangers < normalized_mutual_information(first, gamma) - 0.3


def test_undefined_without_contrast():
    rng = np.random.default_rng(3)
    query = rng.integers(0, 256, (2, 20, 20)).astype(np.uint8)
    reference = rng.integers(0, 256, (2, 20, 20)).astype(np.uint8)
    reference[1] = 4
    alone = normalized_mutual_information(query, reference)
    assert alone is not None
    reference[0] = 4
    assert normalized_mutual_information(query, reference) is None
