"""Features that were computed once are kept, in a folder that the user names.

A file's name is a hash of everything that changes its content: the fingerprint of the set, the
channels and how they are passed, the extractor's key, and the version of this code. A file that is
not exactly as it was written is computed again.

Features of patients' images are data of patients: files are readable by their owner alone, and
there is no folder for them unless one was named.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import atomic_write, hash_of_json, make_folder
from likeness.errors import ImageMismatchError, InputError
from likeness.metrics.features import FeatureExtractor, is_classifier
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.datasets.image_set import ImageSet

FORMAT: Final = "likeness-features"
VERSION: Final = 1
_LONGEST_HEADER: Final = 10_000


@dataclass(frozen=True)
class Extracted:
    """Features of all images of a set."""

    features: Floats
    """(n, d)"""
    logits: Floats | None
    """(n, K) of a classifier."""


def extract(
    images: ImageSet,
    extractor: FeatureExtractor,
    *,
    repeat: int = 1,
    cache: Path | None = None,
    progress: Progress,
    name: str = "features",
) -> Extracted:
    """Return the features of a set, from the cache where they are there and sound.

    Parameters
    ----------
    images
        8-bit images with the channels that the extractor sees.
    repeat
        Each image is passed with its channels so many times: 3 for one channel and Inception.
    cache
        Folder of kept features; None keeps nothing.
    name
        Of the task that is shown.

    Raises
    ------
    ImageMismatchError
        If the images do not fit the extractor.
    InputError
        If it gives values that are not finite, or of another shape than it says.
    """
    if images.dtype != np.uint8 or images.image_shape[0] * repeat != extractor.num_channels:
        msg = (
            f"The extractor {extractor.name!r} takes 8-bit images of {extractor.num_channels} "
            f"channels; these are {images.image_shape} {images.dtype}."
        )
        raise ImageMismatchError(msg)
    path = None
    if cache is not None:
        make_folder(cache, private=True)
        key = hash_of_json(
            {
                "version": VERSION,
                "set": images.fingerprint,
                "channels": images.channels,
                "repeat": repeat,
                "extractor": extractor.key,
            }
        )
        path = cache / f"{key}.features"
        kept = _read(path, key, len(images), extractor)
        if kept is not None:
            return kept
    found = _compute(images, extractor, repeat, progress, name)
    if path is not None:
        _write(path, key, found)
    return found


def _compute(
    images: ImageSet, extractor: FeatureExtractor, repeat: int, progress: Progress, name: str
) -> Extracted:
    features, logits = [], []
    with progress.task(name, len(images)) as task:
        for start in range(0, len(images), extractor.together):
            stop = min(start + extractor.together, len(images))
            batch = images.read(start, stop)
            batch = np.tile(batch, (1, repeat, 1, 1)) if repeat > 1 else batch
            if is_classifier(extractor):
                batch_features, batch_logits = extractor.features_and_logits(batch)
                logits.append(_checked(batch_logits, len(batch), extractor.num_classes, extractor))
            else:
                batch_features = extractor.features(batch)
            features.append(_checked(batch_features, len(batch), extractor.num_features, extractor))
            task.advance(stop - start)
    return Extracted(np.concatenate(features), np.concatenate(logits) if logits else None)


def _checked(values: Floats, count: int, width: int, extractor: FeatureExtractor) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (count, width) or not np.isfinite(found).all():
        msg = (
            f"The extractor {extractor.name!r} gives {found.shape} numbers for {count} images; "
            f"expected ({count}, {width}), all finite."
        )
        raise InputError(msg)
    return found


def _write(path: Path, key: str, found: Extracted) -> None:
    """Write one line of JSON, then the numbers, little-endian float64."""
    parts = [found.features] if found.logits is None else [found.features, found.logits]
    content = b"".join(np.ascontiguousarray(part, dtype="<f8").tobytes() for part in parts)
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "key": key,
        "shapes": [list(part.shape) for part in parts],
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with atomic_write(path, private=True, several_writers=True) as stream:
        stream.write(json.dumps(header, sort_keys=True).encode() + b"\n")
        stream.write(content)


def _read(path: Path, key: str, count: int, extractor: FeatureExtractor) -> Extracted | None:
    """Return what a file holds, or None if it is absent or not as it was written."""
    shapes = [[count, extractor.num_features]]
    if is_classifier(extractor):
        shapes.append([count, extractor.num_classes])
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.readline(_LONGEST_HEADER))
            content = stream.read()
    except (OSError, ValueError):
        return None
    expected = {
        "format": FORMAT,
        "version": VERSION,
        "key": key,
        "shapes": shapes,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    sizes = [rows * columns for rows, columns in shapes]
    if header != expected or len(content) != 8 * sum(sizes):
        return None
    numbers = np.frombuffer(content, dtype="<f8").astype(np.float64)
    features = numbers[: sizes[0]].reshape(shapes[0])
    logits = numbers[sizes[0] :].reshape(shapes[1]) if len(shapes) > 1 else None
    return Extracted(features, logits)
