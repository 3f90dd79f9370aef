"""Dearer measures on all pairs of a small set: what the paper names beside correlation.

Each pair is measured by itself by `likeness.similarity`, so a value depends on its two images
alone. That is what makes these measures dear; `benchmarks/measures.py` tells by how much. The
audit decides by none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT, Progress
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.similarity import correlation, normalized_mutual_information, structural_similarity
from likeness.types import Floats, Image, Images

if TYPE_CHECKING:
    from likeness.datasets.image_set import ImageSet
    from likeness.metrics.features import FeatureExtractor

PIXEL_MEASURES: Final = ("correlation", "ssim", "mutual-information")
_BLOCK: Final = 64
"""References in memory at once."""
_TRIED: Final = 8
"""Pairs measured for a forecast."""
_LOWEST_SSIM: Final = 11


@dataclass(frozen=True)
class MostSimilar:
    """The most similar reference of each query."""

    reference: NDArray[np.int64]
    """(q,) its number; -1 where no pair of the query is defined. The first among equals."""
    value: Floats
    """(q,) the highest value; NaN where there is none."""


def measure_pairs(
    queries: ImageSet,
    references: ImageSet,
    measure: str | FeatureExtractor,
    *,
    progress: Progress = SILENT,
) -> Floats:
    """Measure every query against every reference.

    Parameters
    ----------
    queries, references
        8-bit image sets of one shape and the same channels; annotation channels are left out.
    measure
        "correlation" (Pearson, all channels as one vector), "ssim", "mutual-information"
        (normalised, over the foreground of the query), or an extractor of features, whose vectors
        are correlated (Dar et al. 2023, arXiv:2305.07644).
    progress
        Shows pairs.

    Returns
    -------
    ndarray
        (q, r) float64; NaN where the measure is not defined, as the correlation of a constant
        image is not.

    Raises
    ------
    OptionError
        If there is no such measure.
    ImageMismatchError
        If the sets do not fit each other or the measure.
    """
    queries, references = _comparable(queries, references)
    if not isinstance(measure, str):
        return _of_features(queries, references, measure, progress)
    of_pair = _pixel_measure(measure, queries.image_shape)
    values = np.full((len(queries), len(references)), np.nan)
    with progress.task(measure, values.size, unit="pairs") as task:
        for start in range(0, len(references), _BLOCK):
            block = references.read(start, min(start + _BLOCK, len(references)))
            for row in range(len(queries)):
                query = queries.read(row, row + 1)[0]
                values[row, start : start + len(block)] = [of_pair(query, one) for one in block]
                task.advance(len(block))
    return values


def most_similar(values: Floats) -> MostSimilar:
    """Return the highest value of every row of a matrix (q, r), and where it stands.

    Raises
    ------
    InputError
        If it is no matrix, or has no column.
    """
    if values.ndim != 2 or values.shape[1] == 0:
        msg = f"A matrix of queries and references is needed; got shape {values.shape}."
        raise InputError(msg)
    filled = np.where(np.isnan(values), -np.inf, values)
    places = filled.argmax(axis=1)
    highest = filled[np.arange(len(values)), places]
    defined = highest > -np.inf
    return MostSimilar(
        np.where(defined, places, -1).astype(np.int64), np.where(defined, highest, np.nan)
    )


def forecast_seconds(
    queries: ImageSet, references: ImageSet, measure: str | FeatureExtractor
) -> float:
    """Return how long `measure_pairs` will take here, from a few pairs or images measured now.

    Raises
    ------
    OptionError, ImageMismatchError
        As `measure_pairs`.
    """
    queries, references = _comparable(queries, references)
    few = (
        queries.subset(range(min(_TRIED, len(queries)))),
        references.subset(range(min(_TRIED, len(references)))),
    )
    if not isinstance(measure, str):
        many = len(queries) + len(references)
        measure_pairs(*few, measure)  # libraries get ready
        began = time.perf_counter()
        measure_pairs(*few, measure)
        return (time.perf_counter() - began) / sum(map(len, few)) * many
    one = few[0].subset([0])
    measure_pairs(one, few[1].subset([0]), measure)
    began = time.perf_counter()
    measure_pairs(one, few[1], measure)
    return (time.perf_counter() - began) / len(few[1]) * len(queries) * len(references)


def _comparable(queries: ImageSet, references: ImageSet) -> tuple[ImageSet, ImageSet]:
    queries, references = _pictures(queries), _pictures(references)
    for what, first, second in (
        ("channels", queries.channels, references.channels),
        ("shape", queries.image_shape, references.image_shape),
    ):
        if first != second:
            msg = f"Queries have {what} {first}, references {second}: prepare both in the same way."
            raise ImageMismatchError(msg)
    if queries.dtype != np.uint8 or references.dtype != np.uint8:
        msg = f"Images must have 8 bits; these are {queries.dtype} and {references.dtype}."
        raise ImageMismatchError(msg)
    if not len(queries) or not len(references):
        msg = f"{len(queries)} queries and {len(references)} references: give one of each at least."
        raise InputError(msg)
    return queries, references


def _pictures(images: ImageSet) -> ImageSet:
    names = [name for name in images.channels if name not in images.annotation_channels]
    if not names:
        msg = f"All channels are annotations: {list(images.channels)}."
        raise ImageMismatchError(msg)
    return images if len(names) == len(images.channels) else images.select_channels(names)


def _pixel_measure(name: str, shape: tuple[int, int, int]) -> Callable[[Image, Image], float]:
    if name == "ssim" and min(shape[1:]) < _LOWEST_SSIM:
        msg = f"Structural similarity needs pictures of 11 x 11 or more; got {shape[1:]}."
        raise ImageMismatchError(msg)
    measures: dict[str, Callable[[Image, Image], float]] = {
        "correlation": _correlation,
        "ssim": structural_similarity,
        "mutual-information": _information,
    }
    if name not in measures:
        msg = f"There is no measure {name!r}; choose from {', '.join(PIXEL_MEASURES)}."
        raise OptionError(msg)
    return measures[name]


def _correlation(query: Image, reference: Image) -> float:
    if _constant(query) or _constant(reference):
        return float("nan")
    return correlation(query, reference)


def _constant(image: Image) -> bool:
    return bool((image.min(axis=(1, 2)) == image.max(axis=(1, 2))).all())


def _information(query: Image, reference: Image) -> float:
    value = normalized_mutual_information(query, reference)
    return float("nan") if value is None else value


def _of_features(
    queries: ImageSet, references: ImageSet, extractor: FeatureExtractor, progress: Progress
) -> Floats:
    if extractor.num_channels != queries.image_shape[0]:
        msg = (
            f"{extractor.name} takes images of {extractor.num_channels} channels; these have "
            f"{queries.image_shape[0]}."
        )
        raise ImageMismatchError(msg)
    with progress.task(extractor.name, len(queries) + len(references)) as task:
        rows, columns = (
            _standardised(_features_of(images, extractor, task.advance))
            for images in (queries, references)
        )
    # Elementwise products, one query at a time: the sums do not depend on threads.
    return np.stack([np.clip((columns * row).sum(axis=1), -1.0, 1.0) for row in rows])


def _features_of(
    images: ImageSet, extractor: FeatureExtractor, advance: Callable[[float], None]
) -> Floats:
    found = []
    for start in range(0, len(images), extractor.together):
        block: Images = images.read(start, min(start + extractor.together, len(images)))
        found.append(extractor.features(block))
        advance(len(block))
    return np.concatenate(found)


def _standardised(vectors: Floats) -> Floats:
    """Return vectors of mean 0 and length 1; NaN for constant ones."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.square(centred).sum(axis=1, keepdims=True))
    size = np.abs(vectors).max(axis=1, keepdims=True)
    usable = lengths > 1e-12 * size
    return np.where(usable, centred / np.where(usable, lengths, 1.0), np.nan)
