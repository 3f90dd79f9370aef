"""A plain set of images in memory, for tests."""

from __future__ import annotations

import hashlib

import numpy as np


class Source:
    """All that a search asks of a set."""

    def __init__(self, images, codes=None, channels=None):
        self.images = np.ascontiguousarray(images)
        if codes is None:
            codes = np.arange(len(images))
        self.patient_codes = np.asarray(codes, dtype=np.int32)
        self.num_patients = int(self.patient_codes.max()) + 1 if len(images) else 0
        if channels is not None:
            self.channels = channels
        self.reads = []

    image_shape = property(lambda self: self.images.shape[1:])
    dtype = property(lambda self: self.images.dtype)

    @property
    def fingerprint(self):
        return hashlib.sha256(self.images.tobytes() + self.patient_codes.tobytes()).hexdigest()

    def __len__(self):
        return len(self.images)

    def read(self, start, stop):
        self.reads.append((start, stop))
        return self.images[start:stop].copy()


def flat(result):
    """All arrays of a result by name."""
    found = {}
    for name, value in vars(result).items():
        if isinstance(value, np.ndarray):
            found[name] = value
        elif hasattr(value, "__dataclass_fields__") and name != "plan":
            for field in value.__dataclass_fields__:
                found[f"{name}.{field}"] = getattr(value, field)
    return found


def assert_same(first, second):
    """Bit for bit the same result."""
    a, b = flat(first), flat(second)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].tobytes() == b[name].tobytes(), name
    assert first.num_pairs == second.num_pairs


def some_images(rng, count, shape, dtype):
    """Random images, some of them nearly alike."""
    base = rng.random((max(1, count // 3), *shape))
    images = base[rng.integers(0, len(base), count)] + 0.3 * rng.random((count, *shape))
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return images.astype(dtype)
    low, high = (-3000, 3000) if dtype.kind == "i" else (0, np.iinfo(dtype).max)
    return (low + images / images.max() * (high - low)).astype(dtype)
