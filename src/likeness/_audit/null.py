"""Which real images are the null: training images, or held-out ones where training people are few.

Training images among other people need no test set and no assumption on one, so they come first.
But to name one image among a thousand the tail of the null must be carried on, which takes about a
hundred people. With fewer, half of the held-out people take their place: pictures of people whom
training has not seen, among all training images. The other half is left for the negative control.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._audit.deciding import FamilyNull, null_of
from likeness.scores import Family

if TYPE_CHECKING:
    from likeness._audit.scoring import AllScores, SetScores
    from likeness._findings import Comparison
    from likeness.datasets import ImageSet
    from likeness.types import Flags

FEWEST_HELD_OUT = 200
"""Held-out people, a half of whom can carry a tail."""


@dataclass(frozen=True)
class Null:
    """What contrasts are held against."""

    families: dict[Family, FamilyNull]
    """Empty where nothing can be decided."""
    comparison: Comparison | None
    """train->train or test->train; None where there is no null."""
    images: Flags
    """Which images of that set belong to it."""
    people: NDArray[np.int32]
    """Whose images those are, of all images of that set."""
    control: SetScores | None
    """Test images that play the innocent; None where there is no usable test set."""

    @property
    def num_images(self) -> int:
        """Images in it."""
        return int(self.images.sum())

    @property
    def num_people(self) -> int:
        """People in it."""
        return len(np.unique(self.people[self.images]))


def choose_null(
    scores: AllScores,
    train: ImageSet,
    test: ImageSet | None,
    usable_test: SetScores | None,
    *,
    seed: int,
) -> Null:
    """Choose the null.

    Parameters
    ----------
    test, usable_test
        The test set, and the scores of its images of people whom training has not seen.
    seed
        Decides which half of the held-out people it is.
    """
    groups = scores.people.of_images(train)
    rows = scores.null.rows
    families = null_of(scores.null.rankings, {family: groups[rows[family]] for family in rows})
    if not _has_tails(families) and test is not None and usable_test is not None:
        held_out = _half_of_the_held_out(scores, test, usable_test, seed)
        if held_out is not None:
            return held_out
    images = np.zeros(len(train), dtype=np.bool_)
    if families:
        images[rows["plain"]] = True
    return Null(families, "train->train" if families else None, images, groups, usable_test)


def _half_of_the_held_out(
    scores: AllScores, test: ImageSet, usable: SetScores, seed: int
) -> Null | None:
    if not set(scores.null.rankings) <= set(usable.rankings):
        return None
    codes = test.patient_codes
    people = np.unique(codes[usable.in_all_families])
    if len(people) < FEWEST_HELD_OUT:
        return None
    drawn = np.random.default_rng([seed, 9]).permutation(people)[: len(people) // 2]
    chosen = np.isin(codes, drawn)
    half = usable.keep(chosen)
    families = null_of(half.rankings, {family: codes[rows] for family, rows in half.rows.items()})
    if not _has_tails(families):
        return None
    images = np.zeros(len(test), dtype=np.bool_)
    for rows in half.rows.values():
        images[rows] = True
    return Null(families, "test->train", images, codes, usable.keep(~chosen))


def _has_tails(families: dict[Family, FamilyNull]) -> bool:
    return bool(families) and all(null.tail is not None for null in families.values())
