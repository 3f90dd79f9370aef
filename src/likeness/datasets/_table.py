"""What is known about each image besides its pixels, one column per fact."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likeness.types import Image, Integers


@dataclass(frozen=True, eq=False)
class ImageTable:
    """One entry per image in every column."""

    image_ids: tuple[str, ...]
    """Unique."""
    patient_ids: tuple[str | None, ...]
    volumes: tuple[str | None, ...]
    """Slices with the same name come from one volume."""
    slice_indices: NDArray[np.int32]
    """Position in the volume, from 0; -1 where the image is no slice."""
    classes: tuple[str | None, ...]
    pixel_hashes: tuple[str, ...] | None
    """None where they have to be computed from the pixels."""

    def __post_init__(self) -> None:
        if len(set(self.image_ids)) != len(self.image_ids):
            twice = Counter(self.image_ids).most_common(1)[0][0]
            msg = f"Image ids must be unique; {twice!r} occurs more than once."
            raise OptionError(msg)

    def take(self, rows: Integers, *, keep_hashes: bool = True) -> ImageTable:
        """Return the rows in the order given."""
        hashes = self.pixel_hashes if keep_hashes else None
        return ImageTable(
            image_ids=pick(self.image_ids, rows),
            patient_ids=pick(self.patient_ids, rows),
            volumes=pick(self.volumes, rows),
            slice_indices=self.slice_indices[rows],
            classes=pick(self.classes, rows),
            pixel_hashes=None if hashes is None else pick(hashes, rows),
        )


def pick(values: Sequence[Any], rows: Integers) -> tuple[Any, ...]:
    """Return the values at the rows in the order given."""
    return tuple(values[row] for row in rows.tolist())


def pixel_hash(image: Image) -> str:
    """Return the SHA-256 of the decoded pixels of one image as 64 hex digits.

    Shape and number type are part of it, byte order is not: two images have the same hash if and
    only if they are equal arrays of the same type (SHA-256 collisions apart).
    """
    little = np.ascontiguousarray(image).astype(image.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{dtype_name(little.dtype)}{little.shape}".encode())
    digest.update(little.data)
    return digest.hexdigest()


@cache  # NumPy puts the name together anew each time, which takes as long as a small image's copy
def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return NumPy's name of a number type."""
    return dtype.name


def code_patients(
    patient_ids: Sequence[str | None], image_ids: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Give each patient a number, in order of first appearance.

    An image without a patient is a patient of its own and carries the image's id; where that id is
    also the id of a patient, " (image)" is appended, so that two people never share a number.

    Returns
    -------
    names
        The distinct patients.
    codes
        (n,) index of each image's patient in `names`.
    """
    taken = {patient for patient in patient_ids if patient is not None}
    numbers: dict[str, int] = {}
    codes = np.empty(len(image_ids), np.int32)
    for row, (patient, image) in enumerate(zip(patient_ids, image_ids, strict=True)):
        name = patient
        if name is None:
            name = image
            while name in taken:
                name += " (image)"
            taken.add(name)
        codes[row] = numbers.setdefault(name, len(numbers))
    return tuple(numbers), codes
