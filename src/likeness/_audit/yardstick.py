"""How similar is similar: what real pictures of different people reach at full size.

Only for the reader: every pair in the report is held against it. Decisions rest on the contrasts
of `deciding`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness._audit.comparisons import Highest
from likeness._audit.duplicates import Contamination
from likeness._findings import Comparison
from likeness.types import Floats

FEWEST_IMAGES = 20
"""With fewer test images the training images of other people are the yardstick."""


@dataclass(frozen=True)
class Yardstick:
    """The highest full-size r_cat of real images with pictures of other people."""

    comparison: Comparison | None
    correlations: Floats
    """(b,) sorted; empty where there is no such comparison."""

    def quantile(self, share: float) -> float | None:
        """Return a quantile, or None without images."""
        if not len(self.correlations):
            return None
        return float(np.quantile(self.correlations, share))

    def num_above(self, correlation: float) -> int:
        """Return how many real images reach at least as much."""
        place = np.searchsorted(self.correlations, correlation, side="left")
        return len(self.correlations) - int(place)


def choose_yardstick(
    test: Highest | None, contamination: Contamination | None, train: Highest | None
) -> Yardstick:
    """Take held-out images where there are enough, else training images among other people."""
    if test is not None and contamination is not None:
        found = _defined(test, ~contamination.images)
        if len(found) >= FEWEST_IMAGES:
            return Yardstick("test->train", found)
    if train is not None:
        found = _defined(train, np.ones(len(train.correlation), dtype=np.bool_))
        if len(found):
            return Yardstick("train->train", found)
    return Yardstick(None, np.empty(0))


def _defined(highest: Highest, keep: np.ndarray) -> Floats:
    values = highest.correlation[keep]
    return np.sort(values[~np.isnan(values)])
