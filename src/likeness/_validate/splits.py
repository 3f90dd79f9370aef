"""A division of the patients, and what the score bank says under it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._audit.comparisons import sample_of_patients
from likeness._audit.options import AuditOptions
from likeness._audit.scoring import LOCAL
from likeness._validate.options import SHARES
from likeness.calibration.multiplicity import combine_families
from likeness.calibration.negative_control import NegativeControl, negative_control
from likeness.calibration.p_values import p_values
from likeness.calibration.tail import Tail, fit_tail
from likeness.scores.ranking import FAMILIES, Family, PatientRanking, fisher
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from likeness._validate.bank import ScoreBank, Scored


_FOLDS: Final = 10


@dataclass(frozen=True)
class Split:
    """Which groups were trained on, which were held out, which are new."""

    train: Flags
    """(K,)."""
    test: Flags
    novel: Flags


def divide(num_groups: int, *, seed: int, number: int) -> Split:
    """Return a random division of the groups, 60 : 20 : 20."""
    order = np.random.default_rng([seed, 77, number]).permutation(num_groups)
    num_train, num_test = (round(share * num_groups) for share in SHARES)
    masks = np.zeros((3, num_groups), dtype=np.bool_)
    masks[0, order[:num_train]] = True
    masks[1, order[num_train : num_train + num_test]] = True
    masks[2, order[num_train + num_test :]] = True
    return Split(masks[0], masks[1], masks[2])


@dataclass(frozen=True)
class Standing:
    """The best group of every query among those that count, and by how much it stands out."""

    group: NDArray[np.int32]
    """(n,), -1 where none counts."""
    similarity: Floats
    """(n,) NaN where none counts."""
    second: Floats
    """(n,) similarity of the next group; NaN where there is none."""
    contrast: Floats
    """(n,) as `PatientRanking.contrast`; NaN with fewer than two groups."""

    def rows(self, index: Integers | Flags) -> Standing:
        """Return some of the queries."""
        return Standing(
            self.group[index], self.similarity[index], self.second[index], self.contrast[index]
        )


def standing(ranking: PatientRanking, keep: Flags) -> Standing:
    """Return what ``ranking.keep_groups(keep)`` says about the first two groups, in less time.

    Parameters
    ----------
    keep
        (K,) the groups that count.
    """
    counts = (ranking.group >= 0) & keep[np.maximum(ranking.group, 0)]
    rows = np.arange(len(ranking))
    first = counts.argmax(axis=1)
    has_first = counts[rows, first]
    counts[rows, first] = False
    second = counts.argmax(axis=1)
    has_second = counts[rows, second]
    best = np.where(has_first, ranking.similarity[rows, first], np.nan)
    next_best = np.where(has_second, ranking.similarity[rows, second], np.nan)
    return Standing(
        np.where(has_first, ranking.group[rows, first], -1).astype(np.int32),
        best,
        next_best,
        fisher(best) - fisher(next_best),
    )


def join_standings(parts: list[Standing]) -> Standing:
    """Put several one after the other."""
    return Standing(
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.similarity for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.contrast for part in parts]),
    )


@dataclass(frozen=True)
class _Null:
    """What training images reach among the others, in one family."""

    contrast: Floats
    groups: NDArray[np.int32]
    tail: Tail | None


@dataclass(frozen=True)
class Judged:
    """The decision on every query of a part, before many of them are looked at together."""

    p: Floats
    """(n,) over all families."""
    group: NDArray[np.int32]
    """(n,) the group that the best family names."""

    def rows(self, index: Integers | Flags) -> Judged:
        """Return some of the queries."""
        return Judged(self.p[index], self.group[index])


class Calibrated:
    """The null of one split: training images against the other training patients.

    As in an audit, the families that cost more take theirs from a sample.
    """

    def __init__(self, bank: ScoreBank, split: Split) -> None:
        self._bank = bank
        self.split = split
        self.families: tuple[Family, ...] = tuple(f for f in FAMILIES if f in bank.real.rankings)
        real = bank.real.queries
        self._train_rows = np.flatnonzero(split.train[real.excluded])

    @cached_property
    def _nulls(self) -> dict[Family, _Null]:
        nulls: dict[Family, _Null] = {}
        for family in self.families:
            rows = self._train_rows
            groups = self._bank.real.queries.excluded[rows]
            if family in LOCAL:
                few = sample_of_patients(groups, AuditOptions().local_sample, seed=0)
                rows, groups = rows[few], groups[few]
            part = self._bank.real.rankings[family].rows(rows)
            contrast = standing(part, self.split.train).contrast
            nulls[family] = _Null(contrast, groups, fit_tail(contrast, groups=groups))
        return nulls

    @cached_property
    def control(self) -> NegativeControl:
        """What the negative control of an audit says: held-out images, one of each patient."""
        rows = self.rows_of(self.split.test)
        rng = np.random.default_rng([len(rows), *rows[:8].tolist()])
        shuffled = rng.permutation(rows)
        groups = self._bank.real.queries.excluded[shuffled]
        one_each = rng.permutation(shuffled[np.unique(groups, return_index=True)[1]])
        p, _ = self._p_values(self._bank.real, one_each)
        return negative_control(np.array_split(p, min(_FOLDS, len(p))))

    def judge(self, scored: Scored, rows: Integers) -> Judged:
        """Return p-values of some queries, the training groups alone counting.

        They are multiplied by the inflation that the negative control has found, as in an audit.

        Parameters
        ----------
        rows
            (n,) which queries of the part.
        """
        p, group = self._p_values(scored, rows)
        return Judged(np.minimum(1.0, p * self.control.inflation), group)

    def _p_values(self, scored: Scored, rows: Integers) -> tuple[Floats, NDArray[np.int32]]:
        p = np.ones((len(rows), len(self.families)))
        named = np.full((len(rows), len(self.families)), -1, dtype=np.int32)
        for column, family in enumerate(self.families):
            place = standing(scored.rankings[family].rows(rows), self.split.train)
            null = self._nulls[family]
            p[:, column] = p_values(
                place.contrast, null.contrast, groups=null.groups, tail=null.tail
            ).working
            named[:, column] = place.group
        combined, best = combine_families(p)
        return combined, named[np.arange(len(rows)), best]

    def rows_of(self, which: Flags) -> Integers:
        """Return the real images of the groups marked in `which` (K,)."""
        return np.flatnonzero(which[self._bank.real.queries.excluded])


def innocent_rows(scored: Scored, bank: ScoreBank, split: Split) -> Integers:
    """Return the queries of a kind of control that are innocent in a split.

    Images made from one real image: those of patients who were not trained on. Averages: those of
    at least two training patients; with one alone they would be a blended copy.
    """
    queries = scored.queries
    members = queries.members
    if (members >= 0).any():
        trained = split.train[bank.groups[np.maximum(members, 0)]] & (members >= 0)
        return np.flatnonzero(trained.sum(axis=1) >= 2)
    return np.flatnonzero(~split.train[bank.groups[queries.row]])
