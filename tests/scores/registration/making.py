"""Pictures, and copies that were moved, made the slow and obvious way."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from likeness.datasets.phantoms import brain_slices, chest_image
from likeness.scores.decision_scale import decision_images


class Source:
    """A set of images in memory."""

    def __init__(self, images):
        self.images = np.ascontiguousarray(images)
        self.patient_codes = np.arange(len(images), dtype=np.int32)
        self.num_patients = len(images)
        self.fingerprint = ""

    image_shape = property(lambda self: self.images.shape[1:])
    dtype = property(lambda self: self.images.dtype)

    def __len__(self):
        return len(self.images)

    def read(self, start, stop):
        return self.images[start:stop].copy()


@lru_cache(maxsize=1)
def chests():
    """60 artificial radiographs, (60, 1, 128, 128) uint8."""
    images = np.stack([chest_image(5, patient, size=(128, 128))[None] for patient in range(60)])
    images.setflags(write=False)
    return images


@lru_cache(maxsize=1)
def brains():
    """80 artificial heads at various heights, (80, 1, 64, 64) uint8."""
    heights = np.random.default_rng(3).uniform(60, 90, 80)
    heads = [
        brain_slices(5, patient, [float(height)], sequences=("t1",), image_size=64)[0]
        for patient, height in enumerate(heights)
    ]
    images = np.stack(heads)
    images.setflags(write=False)
    return images


def smooth(rng, count, shape):
    """Random fields (count, C, H, W) in [0, 1], smooth over some pixels."""
    raw = rng.standard_normal((count, *shape))
    fields = ndimage.gaussian_filter(raw, (0, 0, 3, 3)) + 2 * ndimage.gaussian_filter(
        raw, (0, 0, 9, 9)
    )
    low, high = fields.min((2, 3), keepdims=True), fields.max((2, 3), keepdims=True)
    return (fields - low) / (high - low)


def moved(image, *, angle=0.0, zoom=1.0, shift=(0.0, 0.0), mode="nearest"):
    """Turn to the left, enlarge, then shift down and right: pixel by pixel, cubic splines."""
    _, height, width = image.shape
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    # Down is row, right is column: a turn to the left takes right (0, 1) to up (-1, 0).
    turn = np.array([[cosine, -sine], [sine, cosine]])
    back = np.linalg.inv(turn * zoom)
    offset = middle - back @ (middle + np.array(shift, dtype=float))
    values = np.stack(
        [ndimage.affine_transform(c.astype(float), back, offset, order=3, mode=mode) for c in image]
    )
    if image.dtype.kind == "f":
        return values.astype(image.dtype)
    bounds = np.iinfo(image.dtype)
    return np.clip(np.rint(values), bounds.min, bounds.max).astype(image.dtype)


def scaled(images, grid=64):
    """A source and its decision images."""
    source = Source(images)
    return source, decision_images(source, tuple(range(images.shape[1])), grid=grid)
