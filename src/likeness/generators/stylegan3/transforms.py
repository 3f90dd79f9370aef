"""Which random transforms there are, and two choices of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Transforms:
    """What may happen to an image; 0 and False: never."""

    flip: bool = False
    """From left to right, in one of two."""
    quarter_turns: bool = False
    shift: float = 0.0
    """By whole pixels, evenly up to this share of the width."""
    scale: float = 0.0
    """By 2 to the power of a normal number with this standard deviation."""
    rotation: float = 0.0
    """Evenly up to so many degrees to both sides, before and after the stretching."""
    stretch: float = 0.0
    """Of width against height, likewise to `scale`."""
    fine_shift: float = 0.0
    """Standard deviation, as a share of the width."""
    brightness: float = 0.0
    """Standard deviation of what is added; images are -1 to 1."""
    contrast: float = 0.0
    """Likewise to `scale`, a factor."""
    inversion: bool = False
    """Of the mean over the image channels, in one of two."""


MEDICAL: Final = Transforms(
    shift=0.05,
    scale=0.1,
    rotation=10.0,
    stretch=0.05,
    fine_shift=0.02,
    brightness=0.1,
    contrast=0.2,
)
"""Small ones that leave anatomy plausible."""
EVERYTHING: Final = Transforms(
    flip=True,
    quarter_turns=True,
    shift=0.125,
    scale=0.2,
    rotation=180.0,
    stretch=0.2,
    fine_shift=0.125,
    brightness=0.2,
    contrast=0.5,
    inversion=True,
)
"""The published ones."""
