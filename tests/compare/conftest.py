"""Two small real audits of artificial people, on one training set."""

from __future__ import annotations

import hashlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.audit.conftest import unregistered

import likeness

SECRET = "SECRETPATIENT"
PICTURE = "SECRETPICTURE"


def people(count, seed, size=32):
    """(count, 1, size, size) uint8."""
    fields = np.random.default_rng([3, seed]).normal(size=(count, 1, size, size))
    fields = gaussian_filter(fields, (0, 0, 4.0, 4.0))
    scaled = fields / np.abs(fields).max(axis=(1, 2, 3), keepdims=True)
    return np.rint(128 + 100 * scaled).astype(np.uint8)


def named(images, prefix, *, patients=True):
    """Two images of each patient."""
    count = len(images)
    return likeness.ImageSet.from_arrays(
        images,
        image_ids=[f"{PICTURE}-{prefix}{k}" for k in range(count)],
        patient_ids=[f"{SECRET}-{prefix}{k // 2}" for k in range(count)] if patients else None,
    )


@pytest.fixture(scope="session")
def audited(tmp_path_factory):
    """Pixels and folders of the audits; do not change them."""
    root = tmp_path_factory.mktemp("audited")
    train, test = people(60, 0), people(60, 1)
    synthetic = {
        "copying": np.concatenate([train[:10], people(30, 2)]),
        "novel": np.concatenate([people(39, 3), np.full((1, 1, 32, 32), 7, np.uint8)]),
    }
    options = likeness.AuditOptions(planted=20, train_sample=60, local_sample=60, evidence=2)
    folders = {}
    for name, images in synthetic.items():
        folders[name] = root / name
        with unregistered():
            likeness.audit(
                named(train, "train"),
                named(images, "synthetic", patients=False),
                named(test, "test"),
                out=folders[name],
                options=options,
            )
    return SimpleNamespace(train=train, test=test, synthetic=synthetic, folders=folders)


@pytest.fixture
def mine(audited, tmp_path):
    """Return a function that copies the audit 'novel' to where a test may change it."""

    def copied(name):
        folder = tmp_path / name
        shutil.copytree(audited.folders["novel"], folder)
        return folder

    return copied


def seal(folder):
    """Make the checksums fit again, as only the audit itself should."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    names = [line.partition("  ")[2] for line in lines]
    digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    text = "".join(f"{d}  {name}\n" for d, name in zip(digests, names, strict=True))
    (folder / "SHA256SUMS").write_text(text)
