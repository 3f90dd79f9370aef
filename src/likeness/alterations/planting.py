"""Copies of one level, spread evenly over its kinds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from likeness.alterations.registry import kinds_of
from likeness.errors import OptionError

if TYPE_CHECKING:
    from likeness.alterations.registry import Level
    from likeness.types import Images

_ENDS = (1.0, 0.0)
"""The first two copies of every kind have the strengths at the ends of the range."""


@dataclass(frozen=True)
class PlantedCopies:
    """Altered images, and how each was altered."""

    images: Images
    """(n, C, H, W), of the number type of the sources; image i was made from source i."""
    kinds: tuple[str, ...]
    """n names of kinds."""

    def __len__(self) -> int:
        return len(self.images)


def plant_level(
    images: Images,
    level: Level,
    rng: np.random.Generator,
    donors: Images | None = None,
) -> PlantedCopies:
    """Alter every image in one of the ways of a level.

    The kinds take turns, so that each gets an equal share. Of each kind the first copy has the
    strength at one end of the range, the second at the other end, the rest are drawn uniformly.

    Parameters
    ----------
    images
        (n, C, H, W) images of training patients; one copy is made of each.
    level
        "L0" to "L5". Of L5 only the kinds that need no other slice and no other image of the
        same patient.
    rng
        Decides the strengths.
    donors
        (n, C, H, W): for source i an image of another patient, best one who is in no training set.
        May be None where the level blends and pastes nothing (L0 and L2).

    Returns
    -------
    PlantedCopies
        Image i is a copy of source i.

    Raises
    ------
    OptionError
        If there is no such level, or donors are missing or of another shape or number.
    """
    kinds = kinds_of(level, images.shape, images.dtype)
    if donors is None and any(kind.needs == "donor" for kind in kinds):
        msg = f"Level {level} blends and pastes: plant_level needs donors, one image per source."
        raise OptionError(msg)
    if donors is not None and donors.shape != images.shape:
        msg = f"donors has shape {donors.shape}; expected {images.shape}, one image per source."
        raise OptionError(msg)
    made, names = [], []
    seen: Counter[str] = Counter()
    for number, image in enumerate(images):
        kind = kinds[number % len(kinds)]
        end = _ENDS[seen[kind.name]] if seen[kind.name] < len(_ENDS) else None
        seen[kind.name] += 1
        donor = donors[number] if donors is not None and kind.needs == "donor" else None
        made.append(kind.apply(image, rng, donor, strength=end))
        names.append(kind.name)
    altered = np.stack(made) if made else images.copy()
    return PlantedCopies(altered, tuple(names))
