"""The table of the protocol: goal, estimate, interval, reached or not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from likeness._validate import membership
from likeness._validate.intervals import (
    Measured,
    mean_of_splits,
    share_of_patients,
    share_of_runs,
)
from likeness._validate.mixtures import MIXED
from likeness._validate.options import COPY_RATES, HEADLINE_RATE, LARGE
from likeness.alterations import LEVELS

if TYPE_CHECKING:
    from likeness._validate.bank import ScoreBank
    from likeness._validate.coverage import CoverageResults
    from likeness._validate.membership import MembershipResults
    from likeness._validate.mixtures import MixtureResults
    from likeness._validate.options import ValidationOptions

SENSITIVITY_GOALS: Final = {"L0": 0.99, "L1": 0.98, "L2": 0.95, "L3": 0.80, "L4": 0.80}
FALSE_SHARE_GOAL: Final = 0.07
ANY_FLAG_GOAL: Final = 0.10
SIZE_GOAL: Final = (0.03, 0.08)
COVERAGE_GOAL: Final = 0.95
ALARM_GOAL: Final = 1.0

LEVEL_WORDS: Final = {
    "L0": "encoding, size, gain, gamma",
    "L1": "noise to 1 sd, blur to 2 px, blend of 90 % and more",
    "L2": "flips, quarter turns, shift to 8 px, rotation to 3 degrees",
    "L3": "rotation to 7 degrees, zoom, shift to 16 px, bending 3 px, blur 4 px, blend 70 %",
    "L4": "half an image, a quarter of an image",
    "L5": "beyond: strong noise, large rotation, inversion, slices between, other images",
}
Comparison = Literal["at least", "at most", "between", "measured"]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    section: Literal["sensitivity", "innocents", "membership", "bound"]
    name: str
    """Kind, level or control, in a word."""
    words: str
    comparison: Comparison
    goal_low: float | None
    goal_high: float | None
    estimate: float
    low: float
    high: float
    number: int
    unit: str
    reached: bool | None
    """None where nothing is required."""
    alone: float | None = None
    """Sensitivity for a copy that is the only one in the set."""

    @property
    def answer(self) -> Literal["measured", "yes", "open", "no"]:
        """Whether the goal was reached; "open" where only the width of the interval allows it."""
        if self.reached is None:
            return "measured"
        if not self.reached:
            return "no"
        low = -np.inf if self.goal_low is None else self.goal_low
        high = np.inf if self.goal_high is None else self.goal_high
        return "yes" if low <= self.estimate <= high else "open"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = asdict(self)
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in values.items()
        }


def make_table(
    bank: ScoreBank,
    mixtures: MixtureResults,
    tests: MembershipResults,
    coverage: CoverageResults,
    options: ValidationOptions,
) -> list[Row]:
    """Return all rows, in the order of the protocol."""
    large = bank.num_groups >= LARGE
    rows = []
    for level in LEVELS:
        names = [part.queries.name for part in bank.of("copy") if part.queries.level == level]
        goal = SENSITIVITY_GOALS.get(level)
        if names:
            rows.append(_sensitivity(level, LEVEL_WORDS[level], names, bank, mixtures, goal, large))
        rows += [
            _sensitivity(name, name.replace("_", " "), [name], bank, mixtures, None, large)
            for name in names
        ]
    rows += _innocents(mixtures, options, large=large)
    rows += _membership(tests, large=large)
    for bounded, rates in coverage.held.items():
        held = np.array([held for per_rate in rates.values() for held in per_rate])
        # The repeats of one split share its images: the splits are what is counted.
        per_split = held.reshape(len(rates), options.splits, -1).mean(axis=(0, 2))
        rows.append(
            _row(
                "bound",
                f"bound {bounded}",
                "the true rate of copies lies below the 95 % bound",
                "at least",
                (COVERAGE_GOAL, None),
                mean_of_splits(per_split, seed=options.seed),
                large=large,
            )
        )
    return rows


def sensitivity_of(
    names: list[str], bank: ScoreBank, mixtures: MixtureResults, rate: float | None
) -> Measured:
    """Return the sensitivity for some kinds at a share of copies; None for a copy alone."""
    counts = [mixtures.kinds[name] for name in names]
    found = np.concatenate([c.alone if rate is None else c.found[rate] for c in counts])
    tried = np.concatenate([c.judged if rate is None else c.tried[rate] for c in counts])
    patients = np.concatenate([bank.parts[name].queries.truth for name in names])
    return share_of_patients(found, tried, patients)


def _sensitivity(
    name: str,
    words: str,
    names: list[str],
    bank: ScoreBank,
    mixtures: MixtureResults,
    goal: float | None,
    large: bool,  # noqa: FBT001
) -> Row:
    measured = sensitivity_of(names, bank, mixtures, HEADLINE_RATE)
    alone = sensitivity_of(names, bank, mixtures, None).estimate
    comparison: Comparison = "measured" if goal is None else "at least"
    return _row(
        "sensitivity", name, words, comparison, (goal, None), measured, large=large, alone=alone
    )


def _innocents(
    mixtures: MixtureResults, options: ValidationOptions, *, large: bool
) -> list[Row]:  # fmt: skip
    rows = []
    rates = [rate for rate in COPY_RATES if rate > 0]
    for kind, per_rate in mixtures.false_share.items():
        per_split = np.mean([per_rate[rate] for rate in rates], axis=0)
        rows.append(
            _row(
                "innocents",
                f"false discoveries, {kind}",
                "share of innocents among the flagged images",
                "at most",
                (None, FALSE_SHARE_GOAL),
                mean_of_splits(per_split, seed=options.seed),
                large=large,
            )
        )
        if kind == MIXED:
            wrong = mixtures.false_or_wrong[kind]
            per_split = np.mean([wrong[rate] for rate in rates], axis=0)
            rows.append(
                _row(
                    "innocents",
                    f"false or wrong patient, {kind}",
                    "the same, a copy that is flagged with another patient counted as false",
                    "at most",
                    (None, FALSE_SHARE_GOAL),
                    mean_of_splits(per_split, seed=options.seed),
                    large=large,
                )
            )
    for kind, happened in mixtures.any_flag.items():
        rows.append(
            _row(
                "innocents",
                f"any flag, {kind}",
                "sets without a copy in which anything was flagged",
                "at most",
                (None, ANY_FLAG_GOAL),
                share_of_runs(np.array(happened)),
                large=large,
            )
        )
    return rows


def _membership(tests: MembershipResults, *, large: bool) -> list[Row]:
    rows = []
    for kind, p in tests.innocent.items():
        one_sided = kind == membership.HELD_OUT
        rows.append(
            _row(
                "membership",
                f"size, {kind}",
                "p at most 0.05 though no training patient was copied",
                "at most" if one_sided else "between",
                (None if one_sided else SIZE_GOAL[0], SIZE_GOAL[1]),
                share_of_runs(np.array(p) <= 0.05),
                large=large,
            )
        )
    for rate, p in tests.power.items():
        rows.append(
            _row(
                "membership",
                f"power at {100 * rate:g} %",
                f"p at most 0.05 with {100 * rate:g} % copies",
                "measured",
                (None, None),
                share_of_runs(np.array(p) <= 0.05),
                large=large,
            )
        )
    for share, p in tests.contaminated.items():
        rows.append(
            _row(
                "membership",
                f"power, {100 * share:g} % contaminated",
                f"p at most 0.05 with {100 * membership.CONTAMINATED_RATE:g} % copies, "
                f"{100 * share:g} % of the held-out patients having been trained on",
                "measured",
                (None, None),
                share_of_runs(np.array(p) <= 0.05),
                large=large,
            )
        )
    for share, noticed in tests.alarms.items():
        rows.append(
            _row(
                "membership",
                f"alarm, {100 * share:g} % contaminated",
                "held-out patients who were trained on are noticed beforehand",
                "at least",
                (ALARM_GOAL, None),
                share_of_runs(np.array(noticed)),
                large=large,
            )
        )
    return rows


def _row(
    section: Literal["sensitivity", "innocents", "membership", "bound"],
    name: str,
    words: str,
    comparison: Comparison,
    goal: tuple[float | None, float | None],
    measured: Measured,
    *,
    large: bool,
    alone: float | None = None,
) -> Row:
    return Row(
        section,
        name,
        words,
        comparison,
        goal[0],
        goal[1],
        measured.estimate,
        measured.low,
        measured.high,
        measured.number,
        measured.unit,
        is_reached(measured, goal, large=large),
        alone,
    )


def is_reached(
    measured: Measured, goal: tuple[float | None, float | None], *, large: bool
) -> bool | None:
    """Whether a goal is reached.

    A large set must reach it with the estimate; for a small one it is enough that the 95 %
    interval includes the goal. None where there is no goal.
    """
    least, most = goal
    if least is None and most is None:
        return None
    if not np.isfinite(measured.estimate):
        return False
    high = measured.estimate if large else measured.high
    low = measured.estimate if large else measured.low
    return (least is None or high >= least) and (most is None or low <= most)
