"""Does the set as a whole point to the training patients? Size and power of that test.

In each split the synthetic set is made of innocents, of images that a smooth generator could have
made, or of these with copies among them; the test is run on it. Where nothing was copied its
p-values are at most 0.05 in 5 % of the splits. Contamination: a share of the held-out patients was
trained on in secret, and their copies count against the test. An audit looks for such patients
first: `alarms` says how often it would notice one whose pictures are in both sets and differ by how
they were stored (L0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from likeness._progress import SILENT, Progress
from likeness._validate.options import CONTAMINATIONS, MEMBERSHIP_RATES
from likeness._validate.splits import Split, Standing, divide, join_standings, standing
from likeness.alterations import MANDATORY_LEVELS
from likeness.calibration.membership import membership_test
from likeness.types import Flags

if TYPE_CHECKING:
    from likeness._validate.bank import ScoreBank, Scored
    from likeness._validate.options import ValidationOptions

NOVEL = "novel patients"
SHRUNK = ("shrunk_70", "shrunk_40")
HELD_OUT = "copies of held-out patients"
CONTAMINATED_RATE = 0.1
"""Share of copies at which the effect of a contaminated split is shown."""
NEAR_DUPLICATE = 0.995
"""r_ch of block means from which an audit reports two images of different sets as almost equal."""
_SEEDS_APART = 1_000_003


@dataclass
class MembershipResults:
    """p-values of the test, one per split."""

    innocent: dict[str, list[float]] = field(default_factory=dict)
    """What the set is made of -> p."""
    power: dict[float, list[float]] = field(default_factory=dict)
    """Share of copies of training patients -> p."""
    contaminated: dict[float, list[float]] = field(default_factory=dict)
    """Share of held-out patients that were trained on -> p, at `CONTAMINATED_RATE`."""
    alarms: dict[float, list[bool]] = field(default_factory=dict)
    """Share of held-out patients that were trained on -> whether one is noticed."""


def run_membership(
    bank: ScoreBank, options: ValidationOptions, progress: Progress = SILENT
) -> MembershipResults:
    """Run the test on every kind of set in every split."""
    results = MembershipResults()
    with progress.task("membership tests", options.membership_splits, unit="splits") as task:
        for number in range(options.membership_splits):
            _one_split(bank, number, options, results)
            task.advance()
    return results


def _one_split(
    bank: ScoreBank, number: int, options: ValidationOptions, results: MembershipResults
) -> None:
    split = divide(bank.num_groups, seed=options.seed, number=number)
    rng = np.random.default_rng([options.seed, 3, number])
    pool = _Pool(bank, split)
    novel = pool.real(split.novel)
    size = min(options.synthetic, len(novel.group))

    def p_of(parts: list[Standing]) -> float:
        # One seed per split: equal permutations for the sets of a split, others in the next.
        return pool.test(parts, options.permutations, options.seed * _SEEDS_APART + number)

    def some(whole: Standing, count: int) -> Standing:
        return whole.rows(rng.choice(len(whole.group), min(count, len(whole.group)), replace=False))

    results.innocent.setdefault(NOVEL, []).append(p_of([some(novel, size)]))
    for name in SHRUNK:
        made = pool.control(name)
        if len(made.group):
            results.innocent.setdefault(name, []).append(p_of([some(made, size)]))
    hidden = np.zeros(bank.num_groups, dtype=np.bool_)
    held_out = np.flatnonzero(split.test)
    held_out_copies = pool.copies(split.test)
    if len(held_out_copies.group):
        count = max(1, round(CONTAMINATED_RATE * size))
        mixed = [some(novel, size - count), some(held_out_copies, count)]
        results.innocent.setdefault(HELD_OUT, []).append(p_of(mixed))
    copies = pool.copies(split.train)
    for rate in MEMBERSHIP_RATES[1:]:
        count = max(1, round(rate * size))
        mixed = [some(novel, size - count), some(copies, count)]
        results.power.setdefault(rate, []).append(p_of(mixed))
    for share in CONTAMINATIONS:
        hidden[:] = False
        chosen = rng.choice(held_out, max(1, round(share * len(held_out))), replace=False)
        hidden[chosen] = True
        count = max(1, round(CONTAMINATED_RATE * size))
        mixed = [some(novel, size - count), some(pool.copies(split.train | hidden), count)]
        results.contaminated.setdefault(share, []).append(p_of(mixed))
        seen = some(pool.stored_anew(), len(chosen)).similarity >= NEAR_DUPLICATE
        results.alarms.setdefault(share, []).append(bool(seen.any()))


class _Pool:
    """Training and held-out patients together, as the test sees them."""

    def __init__(self, bank: ScoreBank, split: Split) -> None:
        self._bank = bank
        self._split = split
        self._known: Flags = split.train | split.test
        self._copies = [
            (part, self._standing(part))
            for part in bank.of("copy")
            if part.queries.level in MANDATORY_LEVELS
        ]

    def real(self, which: Flags) -> Standing:
        """Return the real images of some groups."""
        rows = which[self._bank.real.queries.excluded]
        return self._standing(self._bank.real).rows(rows)

    def control(self, name: str) -> Standing:
        """Return the controls made from novel patients."""
        part = self._bank.parts[name]
        rows = self._split.novel[self._bank.groups[part.queries.row]]
        return self._standing(part).rows(rows)

    def copies(self, which: Flags) -> Standing:
        """Return copies of all mandatory levels of some groups."""
        parts = [place.rows(which[part.queries.truth]) for part, place in self._copies]
        return join_standings(parts)

    def stored_anew(self) -> Standing:
        """Return re-encoded, resized or brightened images of training patients."""
        split = self._split
        return join_standings(
            [
                place.rows(split.train[part.queries.truth] & (place.group == part.queries.truth))
                for part, place in self._copies
                if part.queries.level == "L0"
            ]
        )

    def test(self, parts: list[Standing], permutations: int, seed: int) -> float:
        """Return the p-value of the membership test for a set."""
        whole = join_standings(parts)
        known = np.flatnonzero(self._known)
        place = np.full(len(self._known), -1)
        place[known] = np.arange(len(known))
        found = np.where(whole.group >= 0, place[np.maximum(whole.group, 0)], -1)
        return membership_test(
            found, whole.contrast, self._split.train[known], permutations=permutations, seed=seed
        ).p

    def _standing(self, part: Scored) -> Standing:
        return standing(part.rankings["dihedral"], self._known)
