"""Block means as a source from which more is derived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from likeness.scores.decision_scale import Decisions


class DecisionsAsSource:
    """What `likeness.datasets.derived.derived_rows` needs of images."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self.image_shape = decisions.shape

    def __len__(self) -> int:
        return len(self._decisions)

    def read(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Return the block means `start` to `stop` - 1."""
        return self._decisions.read(start, stop)
