"""Persons under two ids, and pictures that are there twice.

Two patients of one set that share an equal or practically equal picture (r_ch at 64 x 64 at least
`SAME_IMAGE`) are taken for one person, as an audit takes them. Weaker likeness, from the limit of
"almost equal" on, joins nobody: such pairs are listed for somebody who knows the patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from likeness._neighbours.joining import SAME_IMAGE, Joining, members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness._neighbours.compared import Compared
    from likeness.datasets import ImageSet
    from likeness.types import Integers


@dataclass(frozen=True)
class Joined:
    """Who and what is the same, within one set."""

    person: NDArray[np.int32]
    """(K,) number of the person behind each patient code."""
    picture: NDArray[np.int32]
    """(n,) number of the picture that each image shows."""
    people: list[list[int]]
    """Patient codes of every person with more than one."""

    @property
    def num_people(self) -> int:
        """Number of persons."""
        return int(self.person.max()) + 1

    @property
    def num_pictures(self) -> int:
        """Number of different pictures."""
        return int(self.picture.max()) + 1


def join_within(images: ImageSet, compared: Compared) -> Joined:
    """Join patients and images of one set that was compared with itself."""
    codes = images.patient_codes
    people, pictures = Joining(images.num_patients), Joining(len(images))
    for first, second in _same(compared).tolist():
        people.join(int(codes[first]), int(codes[second]))
        pictures.join(first, second)
    # Constant images show nobody, but equal ones are one picture.
    for row, first in enumerate(compared.first_equal.tolist()):
        pictures.join(first, row)
    person = people.groups()
    return Joined(person, pictures.groups(), members_of(person))


def join_across(images: ImageSet, other: ImageSet, compared: Compared) -> list[tuple[int, int]]:
    """Return pairs of patient codes (set, other) that are taken for one person."""
    pairs = _same(compared)
    codes = np.stack([images.patient_codes[pairs[:, 0]], other.patient_codes[pairs[:, 1]]], axis=1)
    return [(int(a), int(b)) for a, b in np.unique(codes, axis=0)] if len(codes) else []


def _same(compared: Compared) -> Integers:
    near = compared.near
    practically = near.similarity >= SAME_IMAGE
    return np.concatenate(
        [
            compared.equal,
            np.stack([near.query[practically], near.reference[practically]], axis=1),
        ]
    )
