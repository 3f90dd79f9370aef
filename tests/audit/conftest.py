"""Small smooth images of made-up patients, for audits that take a second."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from likeness.datasets import ImageSet

SIZE = 64


def slices_of(patient: int, count: int, channels: int = 2) -> np.ndarray:
    """(count, channels, 64, 64) uint8: one random anatomy, changing from slice to slice."""
    rng = np.random.default_rng([7, patient])
    shape = (channels, SIZE, SIZE)
    base = gaussian_filter(rng.normal(size=shape), (0, 4, 4))
    change = gaussian_filter(rng.normal(size=shape), (0, 4, 4))
    steps = [base + 0.1 * k * change for k in range(count)]
    scaled = [128 + 60 * step / np.abs(step).max() for step in steps]
    return np.rint(scaled).astype(np.uint8)


def image_set(patients, count=5, prefix="", **more):
    images, ids, names, volumes, positions = [], [], [], [], []
    for patient in patients:
        images.append(slices_of(patient, count))
        for k in range(count):
            ids.append(f"{prefix}p{patient}_z{k}")
            names.append(f"p{patient}")
            volumes.append(f"p{patient}")
            positions.append(k)
    return ImageSet.from_arrays(
        np.concatenate(images),
        image_ids=ids,
        patient_ids=names,
        volumes=volumes,
        slice_indices=positions,
        **more,
    )


@pytest.fixture(scope="session")
def train():
    return image_set(range(30))


@pytest.fixture(scope="session")
def test():
    return image_set(range(100, 125))


@pytest.fixture(scope="session")
def innocent():
    return np.concatenate([slices_of(patient, 2) for patient in range(200, 350)])


@pytest.fixture(scope="session")
def planted(train):
    """Altered copies: (pixels, training index, what turns the copy back)."""
    rng = np.random.default_rng(5)
    rows = [3, 31, 62, 93, 124]
    images = train.take(rows)
    noisy = np.clip(images[1] + rng.normal(0, 6, images[1].shape), 0, 255).astype(np.uint8)
    brighter = np.clip(images[2].astype(int) // 2 + 90, 0, 255).astype(np.uint8)
    mirrored = images[3][..., ::-1]
    turned = np.rot90(images[4], 1, axes=(-2, -1))
    copies = np.stack([images[0], noisy, brighter, mirrored, turned])
    return copies, rows, ["identity", "identity", "identity", "flip_h", "rot270"]
