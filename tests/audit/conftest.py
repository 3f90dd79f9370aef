"""Small smooth images of made-up patients, for audits that take a second or two.

Registration costs more than all the rest of a small audit and has tests of its own. Most audits
here run with a registered family that lays pictures as they are (`quick`); those that need the real
one say so.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from likeness import AuditOptions
from likeness.datasets import ImageSet
from likeness.scores.ranking import PatientRanking

SIZE = 32
TRAIN, TEST = range(110), range(1000, 1060)
"""Patients. From 100 baseline images of as many people on, p-values are extrapolated."""


def slices_of(patient: int, count: int, channels: int = 2) -> np.ndarray:
    """(count, channels, 32, 32) uint8: one random anatomy, changing from slice to slice."""
    rng = np.random.default_rng([7, patient])
    shape = (channels, SIZE, SIZE)
    base = gaussian_filter(rng.normal(size=shape), (0, 2, 2))
    change = gaussian_filter(rng.normal(size=shape), (0, 2, 2))
    steps = [base + 0.1 * k * change for k in range(count)]
    scaled = [128 + 60 * step / np.abs(step).max() for step in steps]
    return np.rint(scaled).astype(np.uint8)


def image_set(patients, count=2, prefix="", **more):
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


def innocents(count, first=2000):
    """(count, 2, 32, 32): one picture of each of so many other people."""
    return np.concatenate([slices_of(patient, 1) for patient in range(first, first + count)])


def small(**changes):
    """Return options with which an audit of these sets is quick."""
    values = {"planted": 28, "permutations": 999, "evidence": 2, "local_sample": 110}
    return AuditOptions(**{**values, **changes})


def as_they_are(*_arguments, proposals, depth, **_options):
    """Rank as the registered family does, without moving any picture."""
    plain = proposals[0].head(depth)
    pose = np.zeros((*plain.group.shape, 6), dtype=np.float32)
    pose[..., 1] = pose[..., 4] = 1.0  # zoom and sign
    return PatientRanking(plain.similarity, plain.group, plain.image, pose)


@contextmanager
def unregistered():
    """Leave registration out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("likeness.scores.scorer.rank_registered", as_they_are)
        yield


@pytest.fixture(scope="module")
def quick():
    """Leave registration out for a module's audits."""
    with unregistered():
        yield


@pytest.fixture(scope="session")
def train():
    return image_set(TRAIN)


@pytest.fixture(scope="session")
def test():
    return image_set(TEST)


@pytest.fixture(scope="session")
def innocent():
    return innocents(100)


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
