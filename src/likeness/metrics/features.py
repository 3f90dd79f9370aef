"""What turns images into features, and what every such thing must promise.

Fréchet distances, kernel distances, precision and the like compare two clouds of feature vectors.
Which features these are decides what the numbers mean, so an extractor names itself, states what it
does, and carries a key that changes whenever a feature would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.datasets.image_set import ImageSet
    from likeness.types import Floats, Images


@runtime_checkable
class FeatureExtractor(Protocol):
    """Images in, one feature vector for each out.

    - The same images give the same numbers on one machine, whatever was computed before.
    - An image's features do not depend on the images beside it (beyond rounding; `together` fixes
      that too: callers always pass the images of a set in order, `together` at a time).
    - Nothing is fetched, trained or written by `features`.
    """

    @property
    def name(self) -> str:
        """A short word for tables, for example ``pca``, ``inception``, ``autoencoder``."""

    @property
    def key(self) -> str:
        """Hash of everything that changes a feature: weights, layers, preprocessing."""

    @property
    def record(self) -> dict[str, Any]:
        """What it is and does, as JSON values, for the result."""

    @property
    def num_channels(self) -> int:
        """Channels of an image that it takes.

        An extractor of 1 or 3 channels is given each channel of other images apart, for 3 repeated
        three times.
        """

    @property
    def num_features(self) -> int:
        """Length d of a feature vector."""

    @property
    def num_classes(self) -> int:
        """Classes it tells apart, for the inception score; 0 for none."""

    @property
    def together(self) -> int:
        """Images that are passed at once; the last batch of a set may be smaller."""

    def features(self, images: Images) -> Floats:
        """Return the features of images.

        Parameters
        ----------
        images
            (n, C, H, W) uint8 with C = `num_channels`; n is at most `together`.

        Returns
        -------
        ndarray
            (n, d) float64, finite.

        Raises
        ------
        ImageMismatchError
            If images of this shape or number type are not what it was made for.
        """


@runtime_checkable
class Classifier(FeatureExtractor, Protocol):
    """An extractor that also gives class scores: `num_classes` is above 0."""

    def features_and_logits(self, images: Images) -> tuple[Floats, Floats]:
        """Return features (n, d) and logits (n, `num_classes`) of one pass through the network.

        Logits are logarithms of class probabilities up to a constant per image.
        """


@runtime_checkable
class FeatureRecipe(Protocol):
    """Makes an extractor out of the real images: their principal components, for example."""

    @property
    def name(self) -> str:
        """As of the extractors it makes."""

    def fit(self, images: ImageSet, *, progress: Progress) -> FeatureExtractor:
        """Return an extractor for images of the channels and size of this set.

        The result depends on the images and the recipe alone.
        """


def is_classifier(extractor: FeatureExtractor) -> TypeGuard[Classifier]:
    """Whether the inception score can be computed with it."""
    return extractor.num_classes > 0
