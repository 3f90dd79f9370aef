"""Which references deserve a closer look, and from which pose.

All poses of one query against references is one matrix product of whole numbers, exact in float32.
Of every reference the largest absolute value over the poses counts: a negative one is an inverted
copy. Only the strongest references matter, so most are left out by a bound (`shortlist`): the
strengths of the most promising ones say what the others must reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores.registration.poses import turned_poses
from likeness.types import TRANSFORMS, Flags, Floats, Integers, Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.scores.ranking import PatientRanking
    from likeness.scores.registration.features import Features
    from likeness.scores.registration.options import RegistrationOptions
    from likeness.scores.registration.shortlist import FeatureIndex

_FIRST_LOOK: Final = 256
"""References that are sorted before all of them are: nearly always enough."""
_PROMISING: Final = 64
"""References that are compared first, to learn what the others must reach."""


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


@dataclass(frozen=True)
class _Side:
    """A query in some poses, under one or several transforms."""

    posed: list[tuple[Transform, NDArray[np.float32]]]
    """Name and (n, C D)."""


@dataclass(frozen=True)
class _Strengths:
    """Some references with the largest absolute product over the poses of a query."""

    image: Integers
    strength: NDArray[np.float32]
    """(k,) divided by the number of channels that vary in both."""
    number: NDArray[np.int32]
    """(k,) index into `TRANSFORMS`."""

    def __len__(self) -> int:
        return len(self.image)

    @property
    def highest(self) -> float:
        """The largest of them; -inf where there is none."""
        return float(self.strength.max(initial=-np.inf))


class Proposer:
    """Finds the candidates of a query."""

    def __init__(
        self,
        references: FeatureIndex,
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
        upright, turned = self._strongest(posed, weight, barred)
        many, few = self._options.candidates, self._options.turned_candidates
        if turned.highest > upright.highest:
            # The query itself seems to be turned. Its runner-up must then be sought among turned
            # references as thoroughly as elsewhere, or the nearest would stand out from nobody.
            many, few = few, many
        chosen.update((pair, None) for pair in self._best(upright, many))
        if few:
            chosen.update((pair, None) for pair in self._best(turned, few))
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

    def _strongest(
        self, posed: Features, weight: NDArray[np.float32], barred: Flags
    ) -> tuple[_Strengths, _Strengths]:
        """Return the strengths of all references that may be chosen, as the query is and turned."""
        count = max(self._options.candidates, self._options.turned_candidates)
        sides = [_Side([("identity", posed.values)])]
        if self._transforms and self._turned.any() and self._options.turned_candidates:
            some = posed.some(self._turned)
            sides.append(_Side([(name, some.turned(name)) for name in self._transforms]))
        found = [self._side(side, weight, barred, count) for side in sides]
        nothing = _Strengths(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int32))
        return found[0], found[1] if len(found) > 1 else nothing

    def _side(
        self, side: _Side, weight: NDArray[np.float32], barred: Flags, count: int
    ) -> _Strengths:
        """Return the strengths of all references that can be among the first `count`."""
        images = np.flatnonzero(~barred)
        if not self._references.bounded or len(images) <= _FIRST_LOOK:
            return self._strengths(side, images, weight)
        posed = np.concatenate([features for _, features in side.posed])
        bound = self._bounds(posed, None, weight)[images]
        for look in ("rough", "close"):
            if look == "close":
                bound = self._bounds(posed, images, weight)
            least = self._least(side, images, bound, weight, count)
            reached = bound >= least
            images, bound = images[reached], bound[reached]
        return self._strengths(side, images, weight)

    def _bounds(
        self, posed: NDArray[np.float32], images: Integers | None, weight: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        bound = self._references.bounds(posed, self._block, images)
        bound *= weight if images is None else weight[images]
        # The product with the weight is rounded, and the strength's own.
        bound *= np.float32(1.0 + 1e-6)
        return bound

    def _least(
        self,
        side: _Side,
        images: Integers,
        bound: NDArray[np.float32],
        weight: NDArray[np.float32],
        count: int,
    ) -> float:
        """Return what the first `count` references reach at least; -inf where that is not known.

        References that are left out can only make the others' places better, so what a few of them
        need to be chosen is what all need at least.
        """
        if len(images) <= _PROMISING:
            return -np.inf
        promising = images[np.argpartition(-bound, _PROMISING)[:_PROMISING]]
        groups = self._groups[promising]
        if (groups == groups[0]).all():
            others = np.where(self._groups[images] == groups[0], -np.inf, bound)
            promising = np.append(promising, images[others.argmax()])
        begun = self._strengths(side, np.unique(promising), weight)
        chosen, enough = self._first(np.arange(len(begun)), begun, count)
        if not enough:
            return -np.inf
        return float(begun.strength[np.isin(begun.image, [image for image, _ in chosen])].min())

    def _strengths(self, side: _Side, images: Integers, weight: NDArray[np.float32]) -> _Strengths:
        """Return the largest absolute product over the poses, and under which transform it is."""
        strength = np.full(len(images), -np.inf, dtype=np.float32)
        number = np.zeros(len(images), dtype=np.int32)
        for start in range(0, len(images), self._block):
            part = slice(start, start + self._block)
            features = self._references.take(images[part]).T
            for name, posed in side.posed:
                products = posed @ features
                each = np.maximum(products.max(axis=0), -products.min(axis=0))
                each *= weight[images[part]]
                better = each > strength[part]
                strength[part][better] = each[better]
                number[part][better] = TRANSFORMS.index(name)
        return _Strengths(images, strength, number)

    def _best(self, found: _Strengths, count: int) -> list[tuple[int, int]]:
        """Return the strongest references, a few of each group, from two groups at least."""
        if len(found) > _FIRST_LOOK:
            least = np.partition(found.strength, -_FIRST_LOOK)[-_FIRST_LOOK]
            first, enough = self._first(np.flatnonzero(found.strength >= least), found, count)
            if enough:
                return first
        return self._first(np.arange(len(found)), found, count)[0]

    def _first(
        self, places: NDArray[np.intp], strengths: _Strengths, count: int
    ) -> tuple[list[tuple[int, int]], bool]:
        image, strength = strengths.image[places], strengths.strength[places]
        order = np.lexsort((image, -strength))
        order = order[strength[order] > -np.inf]
        found: list[tuple[int, int]] = []
        taken: dict[int, int] = {}
        numbers = strengths.number[places]
        for place in order.tolist():
            group = int(self._groups[image[place]])
            if len(found) >= count and group in taken:
                continue
            if taken.get(group, 0) < self._options.per_group:
                taken[group] = taken.get(group, 0) + 1
                found.append((int(image[place]), int(numbers[place])))
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
            products = posed.turned(name) @ self._references.take(image[rows].astype(np.int64)).T
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
