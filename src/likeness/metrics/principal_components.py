"""Principal components of the pixels, fitted on the real images: features without any weights.

Exact: sums of products of 8-bit pixels are whole numbers and are added without rounding, over
pixels or over images, whichever are fewer. The features are the projections on the largest
components, all divided by one number, so that the real images have a mean variance of 1 in them;
distances keep their proportions.

They see what differs in brightness and position, and little of texture. Distances in them compare
generators on one data set with each other and with held-out images; they are no FID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from likeness._files import hash_of_json
from likeness._progress import SILENT, Progress, Task
from likeness._versions import package_version
from likeness.datasets.image_set import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.types import Floats, Images

COMPONENTS: Final = 64
FIT_IMAGES: Final = 4_000
"""More images than this change the components little and cost their number squared."""
_VERSION: Final = 1
_COLUMNS: Final = 4_096
_SMALLEST: Final = 1e-10
"""Share of the largest variance below which a component is rounding."""


@dataclass(frozen=True)
class FittedComponents:
    """An extractor: projections on given components. See `likeness.metrics.features`."""

    mean: Floats
    """(C H W,)"""
    components: Floats
    """(d, C H W), orthonormal rows, divided by the common scale."""
    image_shape: tuple[int, int, int]
    record: dict[str, Any]
    key: str
    name: str = "pca"
    num_classes: int = 0
    together: int = 256

    @property
    def num_channels(self) -> int:
        """Channels of the images."""
        return self.image_shape[0]

    @property
    def num_features(self) -> int:
        """Number of components."""
        return len(self.components)

    def features(self, images: Images) -> Floats:
        """Return the projections (n, d).

        Raises
        ------
        ImageMismatchError
            If the images are not of the shape that the components were fitted on.
        """
        if images.shape[1:] != self.image_shape:
            msg = (
                f"The principal components are of images {self.image_shape}; these are "
                f"{images.shape[1:]}."
            )
            raise ImageMismatchError(msg)
        pixels = images.reshape(len(images), -1).astype(np.float64)
        return np.asarray((pixels - self.mean) @ self.components.T)


@dataclass(frozen=True)
class PrincipalComponents:
    """A recipe: fit the largest components of the real images.

    Parameters
    ----------
    components
        How many; fewer where the images have fewer.
    fit_images
        Fitted on at most so many of them, evenly spaced in the set.
    """

    components: int = COMPONENTS
    fit_images: int = FIT_IMAGES
    name: str = "pca"

    def __post_init__(self) -> None:
        if self.components < 1 or self.fit_images < 2:
            msg = (
                f"Principal components: {self.components} of {self.fit_images} images; give at "
                "least 1 component and 2 images (--components)."
            )
            raise OptionError(msg)

    def fit(self, images: ImageSet, *, progress: Progress = SILENT) -> FittedComponents:
        """Return the components of these images.

        Raises
        ------
        ImageMismatchError
            If they do not have 8 bits.
        InputError
            If they are all equal, or there is only one.
        """
        if images.dtype != np.uint8:
            msg = f"Principal components need 8-bit images; these are {images.dtype}."
            raise ImageMismatchError(msg)
        if len(images) < 2:
            msg = "Principal components need at least two real images; there is one."
            raise InputError(msg)
        count = min(len(images), self.fit_images)
        rows = np.linspace(0, len(images) - 1, count).round().astype(np.int64)
        pixels = images.take(rows).reshape(count, -1)
        with progress.task("principal components", pixels.shape[1], unit="pixels") as task:
            mean = pixels.sum(axis=0, dtype=np.float64) / count
            fit = _from_pixels if pixels.shape[1] <= count else _from_images
            variances, components, total = fit(pixels, mean, self.components, task)
        used = variances > _SMALLEST * variances[0] if len(variances) and variances[0] > 0 else []
        num = min(self.components, int(np.sum(used)))
        if num == 0:
            msg = "The real images are all equal: there are no principal components of them."
            raise InputError(msg)
        # The sign of a component is arbitrary: its largest entry is positive.
        chosen = components[:num]
        largest = np.abs(chosen).argmax(axis=1)
        chosen = chosen * np.sign(chosen[np.arange(num), largest])[:, None]
        scale = float(np.sqrt(variances[:num].mean()))
        record = {
            "features": "principal components of the pixels of the real images",
            "components": num,
            "fitted_on_images": count,
            "variance_explained": float(variances[:num].sum() / total),
            "scale": scale,
        }
        key = hash_of_json(
            {
                "kind": self.name,
                "version": _VERSION,
                "numpy": package_version("numpy"),
                "scipy": package_version("scipy"),
                "components": self.components,
                "rows": rows.tolist(),
                "images": images.fingerprint,
                "channels": images.channels,
            }
        )
        return FittedComponents(mean, chosen / scale, images.image_shape, record, key)


def _from_pixels(
    pixels: Images, mean: Floats, most: int, task: Task
) -> tuple[Floats, Floats, float]:
    """Return variances, largest first, components as rows, and the total variance."""
    numbers = pixels.astype(np.float64)
    products = numbers.T @ numbers  # whole numbers below 2^53: exact
    covariance = (products - len(pixels) * np.outer(mean, mean)) / (len(pixels) - 1)
    variances, vectors = _largest(covariance, most)
    task.advance(pixels.shape[1])
    return variances, vectors.T, float(np.trace(covariance))


def _from_images(
    pixels: Images, mean: Floats, most: int, task: Task
) -> tuple[Floats, Floats, float]:
    """Do the same by way of the products between images, where these are fewer."""
    count = len(pixels)
    products = np.zeros((count, count))
    for columns in _blocks(pixels.shape[1]):
        numbers = pixels[:, columns].astype(np.float64)
        products += numbers @ numbers.T
        task.advance(numbers.shape[1])
    means = products.mean(axis=0)
    centred = (products - means - means[:, None] + means.mean()) / (count - 1)
    variances, vectors = _largest(centred, most)
    kept = variances > _SMALLEST * max(variances[0], 1e-300)
    variances, vectors = variances[kept], vectors[:, kept]
    weights = vectors / np.sqrt(variances * (count - 1))
    components = np.empty((len(variances), pixels.shape[1]))
    for columns in _blocks(pixels.shape[1]):
        components[:, columns] = weights.T @ (pixels[:, columns] - mean[columns])
    return variances, components, float(np.trace(centred))


def _largest(matrix: Floats, most: int) -> tuple[Floats, Floats]:
    """Return the largest eigenvalues, in falling order, and their vectors as columns."""
    from scipy.linalg import eigh

    size = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=(max(size - most, 0), size - 1))
    return values[::-1], vectors[:, ::-1]


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + _COLUMNS) for start in range(0, count, _COLUMNS)]
