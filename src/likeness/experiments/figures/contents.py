"""What the figures are drawn from: rows of images, pairs with their neighbours, distributions.

A radiograph lies in no volume: in place of slices the second and third most correlated image are
shown, and the header says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from likeness.errors import InputError

if TYPE_CHECKING:
    from likeness.datasets import ImageSet
    from likeness.types import Floats

Kind = Literal["slices", "matches"]


@dataclass(frozen=True)
class ImageRow:
    """Images of one origin, on as many lines as they have channels."""

    label: str
    images: NDArray[Any]
    """(N, C, H, W), uint8 or any numbers."""
    channels: Sequence[str]
    """C names."""


@dataclass(frozen=True)
class PairRow:
    """A synthetic image and the training image that it is most correlated with."""

    label: str
    synthetic: NDArray[Any]
    """(C, H, W)."""
    training: NDArray[Any]
    """(C, H, W)."""
    r: float
    """Their correlation, over the channels of `compared`."""
    channels: Sequence[str]
    """C names."""
    compared: Sequence[int]
    """Positions of the channels that were compared, annotations being left out."""
    others: tuple[NDArray[Any] | None, NDArray[Any] | None]
    """Two more training images (C, H, W); None where there is none."""
    kind: Kind
    """What `others` are: the slices before and after, or the second and third match."""


@dataclass(frozen=True)
class Distribution:
    """The highest correlations of the images of one comparison."""

    label: str
    values: Floats
    """(n,) finite."""
    is_baseline: bool = False
    """Of real images of other people: drawn in grey."""


@dataclass(frozen=True)
class Panel:
    """Distributions on one axis."""

    title: str
    distributions: Sequence[Distribution]


def pair_row(
    label: str,
    synthetic: NDArray[Any],
    training: ImageSet,
    matches: Sequence[int],
    r: float,
    *,
    compared: Sequence[int] | None = None,
) -> PairRow:
    """Gather what a row of a pair sheet shows.

    Parameters
    ----------
    synthetic
        (C, H, W).
    training
        The training images.
    matches
        Positions of the most correlated training images, best first; from the second on they serve
        where the best one is no slice of a volume.
    r
        Correlation with the best one.
    compared
        Positions of the channels that were compared; all but annotations by default.

    Raises
    ------
    InputError
        If `matches` is empty.
    """
    if not len(matches):
        msg = f"{label!r}: there is no training image to show."
        raise InputError(msg)
    best = int(matches[0])
    in_volume = training.volumes[best] is not None
    places: list[int | None] = (
        list(training.neighbours(best))
        if in_volume
        else [int(k) for k in matches[1:3]] + [None] * max(0, 3 - len(matches))
    )
    first, second = (None if place is None else training.take([place])[0] for place in places)
    if compared is None:
        names = training.channels
        compared = [k for k, name in enumerate(names) if name not in training.annotation_channels]
        compared = compared or range(len(names))
    return PairRow(
        label, synthetic, training.take([best])[0], float(r), training.channels, tuple(compared),
        (first, second), "slices" if in_volume else "matches",
    )  # fmt: skip
