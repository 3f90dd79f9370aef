"""Some images in a row of a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness.types import Integers

if TYPE_CHECKING:
    from likeness.search.source import ImageSource


class Part:
    """Images `start` to `stop` - 1 of a set, as a set."""

    def __init__(self, whole: ImageSource, start: int, stop: int) -> None:
        self._whole, self._start, self._stop = whole, start, stop
        self.image_shape = whole.image_shape
        self.dtype = whole.dtype
        self.patient_codes = whole.patient_codes[start:stop]
        self.num_patients = whole.num_patients

    @property
    def fingerprint(self) -> str:
        """Hash of all that is in it."""
        return f"{self._whole.fingerprint}[{self._start}:{self._stop}]"

    def __len__(self) -> int:
        return self._stop - self._start

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Return images `start` to `stop` of the part."""
        return self._whole.read(self._start + start, self._start + stop)

    def derived_from(self) -> tuple[ImageSource, Integers]:
        """Return the set and which of its rows these are."""
        return self._whole, np.arange(self._start, self._stop)
