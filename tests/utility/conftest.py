"""Torch on one thread. Without the extra ``metrics`` nothing here is tested."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

collect_ignore_glob = []
if not all(find_spec(name) for name in ("torch", "monai")):
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def lesions(patients, slices, *, seed, name, size=16):
    """Bright squares on noise, annotated by 102; a quarter of the slices have none."""
    from likeness.datasets.image_set import ImageSet

    rng = np.random.default_rng(seed)
    count = patients * slices
    images = np.zeros((count, 2, size, size), np.uint8)
    images[:, 0] = rng.integers(20, 90, (count, size, size))
    for number in range(count):
        if number % 4:
            row, column = rng.integers(0, size - 5, 2)
            images[number, 0, row : row + 5, column : column + 5] += 120
            images[number, 1, row : row + 5, column : column + 5] = 102
    return ImageSet.from_arrays(
        images,
        channels=["flair", "seg"],
        patient_ids=None if name is None else [f"{name}{k // slices}" for k in range(count)],
        image_ids=[f"{name}-{k}" for k in range(count)],
    )


def two_classes(patients, slices, *, seed, name, size=16, permuted=False, named=True):
    """Images whose left or right half is brighter, under noise."""
    from likeness.datasets.image_set import ImageSet

    rng = np.random.default_rng(seed)
    count = patients * slices
    images = rng.integers(40, 120, (count, 1, size, size)).astype(np.uint8)
    truth = rng.permutation(np.arange(count) % 2)
    for number, kind in enumerate(truth):
        half = slice(0, size // 2) if kind else slice(size // 2, size)
        images[number, 0, :, half] += 60
    if permuted:
        truth = rng.permutation(truth)
    return ImageSet.from_arrays(
        images,
        channels=["grey"],
        patient_ids=[f"{name}{k // slices}" for k in range(count)],
        classes=[("NORMAL", "PNEUMONIA")[k] for k in truth] if named else None,
    )


@pytest.fixture(scope="session")
def lesion_sets():
    return (
        lesions(12, 6, seed=1, name="a"),
        lesions(12, 6, seed=2, name="s"),
        lesions(8, 6, seed=3, name="t"),
    )


@pytest.fixture(scope="session")
def class_sets():
    return (
        two_classes(20, 3, seed=1, name="a"),
        two_classes(20, 3, seed=2, name="s"),
        two_classes(30, 3, seed=3, name="t"),
    )


@pytest.fixture(scope="session")
def make_lesions():
    return lesions


@pytest.fixture(scope="session")
def make_classes():
    return two_classes
