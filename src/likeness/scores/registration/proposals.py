"""Which references deserve a closer look, and from which pose.

All poses of one query against all references is one matrix product of whole numbers, exact in
float32. Of every reference the largest absolute value over the poses counts: a negative one is an
inverted copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores.registration.poses import turned_poses
from likeness.types import TRANSFORMS, Flags, Floats, Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.scores.ranking import PatientRanking
    from likeness.scores.registration.features import Features
    from likeness.scores.registration.options import RegistrationOptions

_FIRST_LOOK: Final = 256
"""References that are sorted before all of them are: nearly always enough."""


@dataclass(frozen=True)
class Candidates:
    """References of one query that are aligned with it."""

    image: NDArray[np.int32]
    """(K,) index of the reference."""
    transform: NDArray[np.int32]
    """(K,) index into `TRANSFORMS` of what is done to the query first."""
    start: Floats
    """(K, 4) angle, zoom, down, right where the alignment starts."""

    def __len__(self) -> int:
        return len(self.image)


class Proposer:
    """Finds the candidates of a query."""

    def __init__(
        self,
        references: Features,
        varies: Flags,
        groups: NDArray[np.int32],
        poses: Floats,
        options: RegistrationOptions,
        block: int,
        allowed: tuple[Transform, ...],
    ) -> None:
        self._references = references
        self._varies = varies
        self._all_vary = bool(varies.all())
        self._groups = groups
        self._poses = poses
        self._options = options
        self._block = block
        self._transforms = [t for t in options.transforms if t in allowed and t != "identity"]
        self._turned = options.is_turned_pose()

    def candidates(
        self,
        posed: Features,
        varies: Flags,
        excluded: int,
        proposed: list[tuple[int, int]],
    ) -> Candidates:
        """Choose the candidates of one query.

        Parameters
        ----------
        posed
            The query in all poses.
        varies
            (C,) which of its channels are not constant.
        excluded
            Group that must not be met, or -1.
        proposed
            (reference, transform) pairs that other rankings name.
        """
        shared = self._shared(varies)
        barred = (shared == 0) | (self._groups == excluded)
        weight = (1.0 / np.maximum(shared, 1)).astype(np.float32)
        chosen = dict.fromkeys(proposed)
        strength = self._strengths(posed.values) * weight
        strength[barred] = -np.inf
        turned, number = self._turned_strengths(posed, weight, barred)
        many, few = self._options.candidates, self._options.turned_candidates
        if turned.max() > strength.max():
            # The query itself seems to be turned. Its runner-up must then be sought among turned
            # references as thoroughly as elsewhere, or the nearest would stand out from nobody.
            many, few = few, many
        chosen.update((pair, None) for pair in self._best(strength, many))
        if few:
            pairs = self._best(turned, few)
            chosen.update(((image, int(number[image])), None) for image, _ in pairs)
        pairs = [
            pair
            for pair in chosen
            if not barred[pair[0]]
        ]  # fmt: skip
        image = np.array([pair[0] for pair in pairs], dtype=np.int32)
        transform = np.array([pair[1] for pair in pairs], dtype=np.int32)
        return Candidates(image, transform, self._starts(posed, image, transform))

    def _shared(self, varies: Flags) -> NDArray[np.int64]:
        """Return (m,) how many channels vary in the query and in the reference."""
        if self._all_vary:
            return np.full(len(self._groups), varies.sum())
        both: NDArray[np.int64] = (self._varies & varies).sum(axis=1)
        return both

    def _strengths(self, posed: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (m,) largest absolute product over the poses."""
        strength = np.empty(len(self._references.values), dtype=np.float32)
        for start in range(0, len(strength), self._block):
            part = slice(start, start + self._block)
            products = posed @ self._references.values[part].T
            np.maximum(products.max(axis=0), -products.min(axis=0), out=strength[part])
        return strength

    def _turned_strengths(
        self, posed: Features, weight: NDArray[np.float32], barred: Flags
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return (m,) the strength under the best flip or quarter turn, and which that is."""
        best = np.full(len(weight), -np.inf, dtype=np.float32)
        number = np.zeros(len(weight), dtype=np.int32)
        if not (self._transforms and self._turned.any() and self._options.turned_candidates):
            return best, number
        some = posed.some(self._turned)
        for name in self._transforms:
            strength = self._strengths(some.turned(name)) * weight
            better = strength > best
            best[better], number[better] = strength[better], TRANSFORMS.index(name)
        best[barred] = -np.inf
        return best, number

    def _best(self, strength: NDArray[np.float32], count: int) -> list[tuple[int, int]]:
        """Return the strongest references, a few of each group, from two groups at least."""
        if len(strength) > _FIRST_LOOK:
            least = np.partition(strength, -_FIRST_LOOK)[-_FIRST_LOOK]
            found, enough = self._first(np.flatnonzero(strength >= least), strength, count)
            if enough:
                return found
        return self._first(np.arange(len(strength)), strength, count)[0]

    def _first(
        self, images: NDArray[np.intp], strength: NDArray[np.float32], count: int
    ) -> tuple[list[tuple[int, int]], bool]:
        order = images[np.lexsort((images, -strength[images]))]
        found: list[tuple[int, int]] = []
        taken: dict[int, int] = {}
        for image in order[strength[order] > -np.inf].tolist():
            group = int(self._groups[image])
            if len(found) >= count and group in taken:
                continue
            if taken.get(group, 0) < self._options.per_group:
                taken[group] = taken.get(group, 0) + 1
                found.append((image, 0))
            if len(found) >= count and len(taken) > 1:
                return found, True
        return found, False

    def _starts(
        self, posed: Features, image: NDArray[np.int32], transform: NDArray[np.int32]
    ) -> Floats:
        """Return (K, 4) the pose of the largest absolute product."""
        starts = np.empty((len(image), 4))
        for number in np.unique(transform).tolist():
            rows = np.flatnonzero(transform == number)
            name: Transform = TRANSFORMS[number]
            products = posed.turned(name) @ self._references.values[image[rows]].T
            best = np.abs(products).argmax(axis=0)
            starts[rows] = turned_poses(self._poses[best], name)
        return starts


def proposed_pairs(
    proposals: Sequence[PatientRanking], row: int, depth: int, allowed: tuple[Transform, ...]
) -> list[tuple[int, int]]:
    """Return the first images of other rankings for one query, each with its transform.

    A ranking with one number of placement names the transform by its index; the others see the
    query as it is.
    """
    pairs: dict[tuple[int, int], None] = {}
    for ranking in proposals:
        named = ranking.placement.shape[2] == 1
        for column in range(min(depth, ranking.depth)):
            image = int(ranking.image[row, column])
            number = int(ranking.placement[row, column, 0]) if named and image >= 0 else 0
            if image >= 0 and TRANSFORMS[number] in allowed:
                pairs[image, number] = None
    return list(pairs)
