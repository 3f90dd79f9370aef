"""Small pictures of patients, and the slow definitions that everything is held against."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from likeness.datasets import ImageSet

TRANSFORMS = {
    "identity": lambda x: x,
    "flip_h": lambda x: x[:, :, ::-1],
    "flip_v": lambda x: x[:, ::-1, :],
    "rot90": lambda x: np.rot90(x, 1, (1, 2)),
    "rot180": lambda x: np.rot90(x, 2, (1, 2)),
    "rot270": lambda x: np.rot90(x, 3, (1, 2)),
    "transpose": lambda x: x.transpose(0, 2, 1),
    "antitranspose": lambda x: np.rot90(x, 2, (1, 2)).transpose(0, 2, 1),
}


def picture(patient, view=0, *, side=64, channels=2):
    """One view of a patient; views of one patient are alike."""
    rng = np.random.default_rng([11, patient])
    base = rng.normal(size=(channels, side, side))
    for _ in range(view + 1):
        change = rng.normal(size=(channels, side, side))
    field = gaussian_filter(base + (0.4 * change if view else 0), (0, 4, 4))
    return np.rint(128 + 100 * field / np.abs(field).max()).astype(np.uint8)


def patients(count, views=3, first=0, **kind):
    """(count * views, C, H, W) and the patient of each."""
    images = np.stack([picture(first + p, v, **kind) for p in range(count) for v in range(views)])
    return images, [f"P{first + p}" for p in range(count) for v in range(views)]


def noisy(image, sigma, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(image + rng.normal(0, sigma, image.shape)), 0, 255).astype(np.uint8)


def as_set(images, ids=None, prefix="i"):
    return ImageSet.from_arrays(
        images, patient_ids=ids, image_ids=[f"{prefix}{n:03}" for n in range(len(images))]
    )


def means64(image):
    """Block means of a picture whose sides are multiples of 64, or below 64."""
    c, h, w = image.shape
    a, b = min(h, 64), min(w, 64)
    return image.astype(float).reshape(c, a, h // a, b, w // b).mean(axis=(2, 4))


def r_cat(x, y):
    return np.corrcoef(x.ravel().astype(float), y.ravel().astype(float))[0, 1]


def r_ch(x, y):
    """Mean over the channels that vary in both; NaN if there is none."""
    values = [
        np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]
        for a, b in zip(x, y, strict=True)
        if a.std() > 0 and b.std() > 0
    ]
    return np.mean(values) if values else np.nan


def highest(measure, x, y):
    """The highest value over the flips and turns of x that keep its shape."""
    return max(measure(t(x), y) for t in TRANSFORMS.values() if t(x).shape == y.shape)
