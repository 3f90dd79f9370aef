"""Is the upper bound of the copy rate above the true rate as often as it says?

The copies of each level are divided in two: one half plays the self-check of an audit, from which
the sensitivity comes; from the other half the "generator" makes its copies at a known rate. The
number of copies is binomial, as it is for a generator that draws image by image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._progress import SILENT, Progress
from likeness._validate.mixtures import NOVEL, join, judged_innocents
from likeness._validate.splits import Calibrated, divide
from likeness.alterations import MANDATORY_LEVELS
from likeness.calibration.bounds import copy_rate_bound
from likeness.calibration.multiplicity import benjamini_hochberg, flagged_alone

if TYPE_CHECKING:
    from likeness._validate.bank import ScoreBank
    from likeness._validate.options import ValidationOptions

TRUE_RATES: Final = (0.005, 0.01, 0.05)
PLANTED: Final = 200
"""Copies in the self-check of one level."""
_REPEATS: Final = 10


@dataclass
class CoverageResults:
    """Whether the bound held."""

    held: dict[str, dict[float, list[bool]]] = field(default_factory=dict)
    """Level -> true rate -> one entry per repeat of each split."""
    bounds: dict[str, dict[float, list[float]]] = field(default_factory=dict)
    """The bounds themselves."""


def run_coverage(
    bank: ScoreBank, options: ValidationOptions, progress: Progress = SILENT
) -> CoverageResults:
    """Compare bounds with true rates."""
    results = CoverageResults()
    with progress.task("bounds", options.splits, unit="splits") as task:
        for number in range(options.splits):
            _one_split(bank, number, options, results)
            task.advance()
    return results


def _one_split(
    bank: ScoreBank, number: int, options: ValidationOptions, results: CoverageResults
) -> None:
    split = divide(bank.num_groups, seed=options.seed, number=number)
    calibrated = Calibrated(bank, split)
    innocents = judged_innocents(bank, calibrated)[NOVEL].p
    size = min(options.synthetic, len(innocents))
    rng = np.random.default_rng([options.seed, 5, number])
    for level in MANDATORY_LEVELS:
        made = [
            (part, np.flatnonzero(split.train[part.queries.truth]))
            for part in bank.of("copy")
            if part.queries.level == level
        ]
        copies = join([calibrated.judge(part, rows) for part, rows in made])
        truth = np.concatenate([part.queries.truth[rows] for part, rows in made])
        right = copies.group == truth
        for _ in range(_REPEATS):
            order = rng.permutation(len(truth))
            half = order[: len(order) // 2]
            check = half[:PLANTED]
            caught = int((flagged_alone(copies.p[check], size, options.q) & right[check]).sum())
            for rate in TRUE_RATES:
                count = min(int(rng.binomial(size, rate)), len(order) - len(half))
                copied = rng.choice(order[len(half) :], count, replace=False)
                novel = rng.choice(len(innocents), size - count, replace=False)
                p = np.concatenate([innocents[novel], copies.p[copied]])
                flagged = int(benjamini_hochberg(p, options.q).sum())
                bound = copy_rate_bound(flagged, size, caught, len(check)).rate
                results.held.setdefault(level, {}).setdefault(rate, []).append(rate <= bound)
                results.bounds.setdefault(level, {}).setdefault(rate, []).append(bound)
