"""Some images in a row of a source, seen as a source of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likeness.datasets import ImageSet
from likeness.types import Images, Integers

if TYPE_CHECKING:
    from likeness.search.source import ImageSource


class Window:
    """Some images in a row of a source."""

    def __init__(self, whole: ImageSource, wanted: tuple[int, int]) -> None:
        self._whole, self._start, self._stop = whole, *wanted
        self.image_shape, self.dtype = whole.image_shape, whole.dtype
        self.channels = getattr(whole, "channels", None)
        self.patient_codes = whole.patient_codes[slice(*wanted)]
        self.num_patients = whole.num_patients
        if isinstance(whole, ImageSet) or hasattr(whole, "derived_from"):
            # What was derived from the images of the whole serves this part of it too.
            self.derived_from = self._derived_from

    @property
    def fingerprint(self) -> str:
        """Hash of the whole and the range."""
        return f"{self._whole.fingerprint}[{self._start}:{self._stop}]"

    def __len__(self) -> int:
        return self._stop - self._start

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop` of the window."""
        return self._whole.read(self._start + start, self._start + stop)

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read images `start` to `stop` of the window into `out`."""
        read_into = getattr(self._whole, "read_into", None)
        if read_into is None:
            out[...] = self.read(start, stop)
        else:
            read_into(self._start + start, self._start + stop, out)

    def read_ahead(self, start: int, stop: int) -> None:
        """Pass on that images `start` to `stop` of the window will be read soon."""
        whole = getattr(self._whole, "read_ahead", None)
        if whole is not None:
            whole(self._start + start, min(self._start + stop, self._stop))

    def _derived_from(self) -> tuple[ImageSource, Integers]:
        return self._whole, np.arange(self._start, self._stop)
