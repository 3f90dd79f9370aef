"""Radiographs of phantoms at 32 pixels, and an audit of them that many tests share."""

from __future__ import annotations

import numpy as np
import pytest

from likeness import AuditOptions, ImageSet
from likeness.datasets.phantoms import chest_image
from likeness.monitoring import TrainingAudit

OPTIONS = AuditOptions(planted=8, permutations=999, threads=1, evidence=0, closer_look=0)
"""Fewer planted copies than usual: what is tested does not depend on them."""


def radiographs(patients):
    """One picture of each of some patients, (n, 1, 32, 32)."""
    return np.stack([chest_image(3, number, size=(32, 32))[None] for number in patients])


@pytest.fixture(scope="session")
def options():
    return OPTIONS


@pytest.fixture(scope="session")
def pictures():
    """Of 120 training patients, 80 held-out ones and 60 others."""
    found = radiographs(range(260))
    return found[:120], found[120:200], found[200:]


@pytest.fixture(scope="session")
def sets(pictures):
    train, test, _ = pictures
    return (
        ImageSet.from_arrays(train, patient_ids=[f"a{i}" for i in range(len(train))]),
        ImageSet.from_arrays(test, patient_ids=[f"b{i}" for i in range(len(test))]),
    )


@pytest.fixture(scope="session")
def progressed(sets, pictures, tmp_path_factory):
    """An audit with three checks: other patients, two copies, then four."""
    train, _, others = pictures
    folder = tmp_path_factory.mktemp("audits")
    with pytest.warns(UserWarning, match="60 samples per check"):
        audit = TrainingAudit(*sets, out=folder, num_samples=60, options=OPTIONS)
    two, four = others.copy(), others.copy()
    two[[5, 40]] = train[[17, 80]]
    four[[5, 40, 41]] = train[[17, 80, 3]]
    noise = np.random.default_rng(0).normal(0, 4, train[9].shape)
    four[50] = np.clip(train[9] + noise, 0, 255).round().astype(np.uint8)
    given = [others, two, four]
    return (
        audit,
        given,
        [
            audit.check(images, step, loss=1 / step)
            for images, step in zip(given, (1000, 2000, 3000), strict=True)
        ],
    )
