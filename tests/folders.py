"""Folders of small PNG files, as a user has them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

SIZE = 64


def picture(patient, view=0):
    rng = np.random.default_rng([3, patient])
    base = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 3)
    change = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 3)
    field = base + 0.05 * view * change
    return np.rint(128 + 100 * field / np.abs(field).max()).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_folders(where):
    """Return (train, test, synthetic): 110 x 1, 40 x 1 and 40 images, copies of patients 0 to 3."""
    for patient in range(110):
        save(where / "train" / f"P{patient:03}_0.png", picture(patient))
    for patient in range(500, 540):
        save(where / "test" / f"P{patient}_0.png", picture(patient))
    for number in range(36):
        save(where / "synthetic" / f"s{number:03}.png", picture(1000 + number))
    for patient in range(4):
        pixels = np.rot90(picture(patient), patient)
        save(where / "synthetic" / f"t{patient}.png", np.ascontiguousarray(pixels))
    return where / "train", where / "test", where / "synthetic"


@pytest.fixture
def folders(tmp_path):
    """Folders of images, as `make_folders` says."""
    return make_folders(tmp_path)


@pytest.fixture
def likeness_command():
    """Run the command line in a process of its own."""

    def run(*arguments, **options):
        command = [sys.executable, "-m", "likeness", *map(str, arguments)]
        environment = {**os.environ, **options.pop("env", {})}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, **options
        )

    return run
