"""Copies hidden among innocents: how many are found, how many innocents are accused.

For each split and share of copies a set of m images is drawn, judged, and flagged with
Benjamini-Hochberg; what was flagged is held against what was hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from likeness._progress import SILENT, Progress
from likeness._validate.options import COPY_RATES
from likeness._validate.splits import Calibrated, Judged, Split, divide, innocent_rows
from likeness.alterations import LEVELS, MANDATORY_LEVELS
from likeness.calibration.multiplicity import benjamini_hochberg, flagged_alone
from likeness.types import Floats, Integers

if TYPE_CHECKING:
    from likeness._validate.bank import ScoreBank
    from likeness._validate.options import ValidationOptions

NOVEL = "novel"
MIXED = "all of these"
TEST_COPIES = "copies of held-out patients"
TWO = "average of two"
SEVERAL = "average of three to five"
STRANGER = "average, naming none of them"
_MOST_REPEATS = 50
_REPEATS = 5
"""Mixtures per split and share of copies from which its false discoveries are averaged."""
_FALSE_POSITIVE_RATES = np.logspace(-4, 0, 81)


@dataclass
class KindCount:
    """How often each copy of one kind was flagged with its own patient."""

    found: dict[float, Floats]
    tried: dict[float, Floats]
    alone: Floats
    """Flagged as the only copy in the set."""
    judged: Floats
    """Splits in which the patient was trained on."""


@dataclass
class MixtureResults:
    """What the mixtures show."""

    kinds: dict[str, KindCount] = field(default_factory=dict)
    false_share: dict[str, dict[float, list[float]]] = field(default_factory=dict)
    """Innocents, share of copies -> flagged innocents over all flagged, one per split."""
    false_or_wrong: dict[str, dict[float, list[float]]] = field(default_factory=dict)
    """The same; a copy that is flagged with another patient counts as false."""
    any_flag: dict[str, list[bool]] = field(default_factory=dict)
    """Innocents -> whether any image was flagged where none was a copy, one per null split."""
    per_image: dict[str, list[float]] = field(default_factory=dict)
    """Innocents -> share of images with p at most 0.01, one per null split."""
    control_failed: list[bool] = field(default_factory=list)
    """Whether the negative control of an audit failed, one per null split."""
    inflated: list[bool] = field(default_factory=list)
    """Whether it multiplied the p-values."""
    sizes: list[int] = field(default_factory=list)
    """Images in each mixture."""
    roc: dict[str, Floats] = field(default_factory=dict)
    """Level -> share of copies with a p-value below that of the given share of innocents."""

    @property
    def false_positive_rates(self) -> Floats:
        """The shares of innocents at which `roc` is given."""
        return _FALSE_POSITIVE_RATES


def run_mixtures(
    bank: ScoreBank, options: ValidationOptions, progress: Progress = SILENT
) -> MixtureResults:
    """Draw and judge all mixtures and all sets without copies."""
    results = MixtureResults()
    for part in bank.of("copy"):
        zeros = [np.zeros(len(part.queries)) for _ in range(2)]
        results.kinds[part.queries.name] = KindCount(
            {rate: np.zeros(len(part.queries)) for rate in COPY_RATES if rate > 0},
            {rate: np.zeros(len(part.queries)) for rate in COPY_RATES if rate > 0},
            zeros[0],
            zeros[1],
        )
    roc_parts: dict[str, list[Floats]] = {level: [] for level in LEVELS}
    with progress.task("mixtures", options.splits, unit="splits") as task:
        for number in range(options.splits):
            _mixtures_of_split(bank, number, options, results, roc_parts)
            task.advance()
    results.roc = {
        level: np.mean(curves, axis=0) for level, curves in roc_parts.items() if curves
    }  # fmt: skip
    with progress.task("sets without copies", options.null_splits, unit="splits") as task:
        for number in range(options.null_splits):
            _null_split(bank, options.splits + number, options, results)
            task.advance()
    return results


def judged_innocents(bank: ScoreBank, calibrated: Calibrated) -> dict[str, Judged]:
    """Return the p-values of every kind of innocent images of a split."""
    split = calibrated.split
    innocents = {NOVEL: calibrated.judge(bank.real, calibrated.rows_of(split.novel))}
    for part in bank.of("control"):
        rows = innocent_rows(part, bank, split)
        judged = calibrated.judge(part, rows)
        if part.queries.name == "average":
            several = (part.queries.members[rows] >= 0).sum(axis=1) > 2
            innocents[SEVERAL] = judged.rows(several)
            innocents[TWO] = judged.rows(~several)
            innocents[STRANGER] = _naming_strangers(bank, split, judged)
        else:
            innocents[part.queries.name] = judged
    # An average of two is also a copy, blended half and half: it is shown, but not mixed in.
    innocents[MIXED] = join([innocents[name] for name in innocents if name not in {TWO, STRANGER}])
    held_out = [
        calibrated.judge(part, np.flatnonzero(split.test[part.queries.truth]))
        for part in bank.of("copy")
        if part.queries.level in MANDATORY_LEVELS
    ]
    innocents[TEST_COPIES] = join(held_out)
    return {name: judged for name, judged in innocents.items() if len(judged.p)}


def _naming_strangers(bank: ScoreBank, split: Split, averages: Judged) -> Judged:
    """Leave averages alone that point to one of those who were averaged.

    An average of two patients is also a copy of both, blended half and half.
    """
    part = bank.parts["average"]
    members = part.queries.members[innocent_rows(part, bank, split)]
    of = np.where(members >= 0, bank.groups[np.maximum(members, 0)], -1)
    inside = (of == averages.group[:, None]).any(axis=1)
    return Judged(np.where(inside, 1.0, averages.p), averages.group)


def join(parts: list[Judged]) -> Judged:
    """Put several judged parts one after the other."""
    return Judged(
        np.concatenate([part.p for part in parts]), np.concatenate([part.group for part in parts])
    )


def _mixtures_of_split(
    bank: ScoreBank,
    number: int,
    options: ValidationOptions,
    results: MixtureResults,
    roc_parts: dict[str, list[Floats]],
) -> None:
    split = divide(bank.num_groups, seed=options.seed, number=number)
    calibrated = Calibrated(bank, split)
    rng = np.random.default_rng([options.seed, 1, number])
    innocents = judged_innocents(bank, calibrated)
    copies: dict[str, tuple[Integers, Judged]] = {}
    for part in bank.of("copy"):
        rows = np.flatnonzero(split.train[part.queries.truth])
        if len(rows):
            copies[part.queries.name] = (rows, calibrated.judge(part, rows))
    size = min(options.synthetic, len(innocents[NOVEL].p))
    results.sizes.append(size)
    truth = {part.queries.name: part.queries.truth for part in bank.of("copy")}
    of_level = {
        level: [
            part.queries.name
            for part in bank.of("copy")
            if part.queries.level == level and part.queries.name in copies
        ]
        for level in LEVELS
    }
    for name, (rows, judged) in copies.items():
        count = results.kinds[name]
        right = judged.group == truth[name][rows]
        count.alone[rows] += flagged_alone(judged.p, size, options.q) & right
        count.judged[rows] += 1
    for level, names in of_level.items():
        if names:
            p = np.concatenate([copies[name][1].p for name in names])
            roc_parts[level].append(_roc(p, innocents[NOVEL].p))
            number_of_copies = sum(len(copies[name][0]) for name in names)
            for rate in COPY_RATES:
                if rate > 0:
                    # Small shares draw few copies: as often as gives each about one chance.
                    often = min(_MOST_REPEATS, round(number_of_copies / max(1, rate * size)))
                    for _ in range(max(1, often)):
                        _mix(
                            names,
                            copies,
                            truth,
                            innocents[NOVEL],
                            rate,
                            size,
                            rng,
                            options,
                            results,
                        )
    mandatory = [name for level in MANDATORY_LEVELS for name in of_level[level]]
    for kind, judged in innocents.items():
        for rate in COPY_RATES:
            if rate > 0:
                shares = [
                    _mix(mandatory, copies, truth, judged, rate, size, rng, options, None)
                    for _ in range(_REPEATS)
                ]
                mild, strict = np.mean(shares, axis=0).tolist()
                results.false_share.setdefault(kind, {}).setdefault(rate, []).append(mild)
                results.false_or_wrong.setdefault(kind, {}).setdefault(rate, []).append(strict)


def _mix(
    names: list[str],
    copies: dict[str, tuple[Integers, Judged]],
    truth: dict[str, np.ndarray],
    innocents: Judged,
    rate: float,
    size: int,
    rng: np.random.Generator,
    options: ValidationOptions,
    results: MixtureResults | None,
) -> tuple[float, float]:
    """Draw one set, flag, count; return both shares of false discoveries."""
    num_copies = max(1, round(rate * size))
    num_innocents = min(size - num_copies, len(innocents.p))
    chosen = rng.choice(len(innocents.p), num_innocents, replace=False)
    drawn = _draw_copies(names, copies, num_copies, rng)
    p, right = [innocents.p[chosen]], [np.zeros(num_innocents, dtype=np.bool_)]
    for name, places in drawn.items():
        rows, judged = copies[name]
        p.append(judged.p[places])
        right.append(judged.group[places] == truth[name][rows[places]])
    flags = benjamini_hochberg(np.concatenate(p), options.q)
    is_right = np.concatenate(right)
    total = max(1, int(flags.sum()))
    if results is not None:
        start = num_innocents
        for name, places in drawn.items():
            rows = copies[name][0][places]
            stop = start + len(places)
            count = results.kinds[name]
            # A kind may give the same copy only once, so plain indexing counts rightly.
            count.found[rate][rows] += (flags & is_right)[start:stop]
            count.tried[rate][rows] += 1
            start = stop
    return (
        float(flags[:num_innocents].sum()) / total,
        float((flags & ~is_right).sum()) / total,
    )


def _draw_copies(
    names: list[str],
    copies: dict[str, tuple[Integers, Judged]],
    number: int,
    rng: np.random.Generator,
) -> dict[str, Integers]:
    """Draw copies, the kinds taking turns in a random order, none twice."""
    order = [names[i] for i in rng.permutation(len(names))]
    left = {name: len(copies[name][0]) for name in order}
    wanted = dict.fromkeys(order, 0)
    while number > 0 and any(wanted[name] < left[name] for name in order):
        for name in order:
            if number > 0 and wanted[name] < left[name]:
                wanted[name] += 1
                number -= 1
    return {
        name: rng.choice(left[name], count, replace=False)
        for name, count in wanted.items()
        if count
    }


def _roc(copies: Floats, innocents: Floats) -> Floats:
    """Return the share of copies found at each share of innocents accused."""
    ordered = np.sort(innocents)
    places = np.floor(_FALSE_POSITIVE_RATES * len(ordered)).astype(int)
    limits = np.append(ordered, np.inf)[places]
    # Accused are innocents with a p-value strictly below the limit: at most the share allowed.
    found: Floats = np.searchsorted(np.sort(copies), limits, side="left") / len(copies)
    return found


def _null_split(
    bank: ScoreBank, number: int, options: ValidationOptions, results: MixtureResults
) -> None:
    split = divide(bank.num_groups, seed=options.seed, number=number)
    calibrated = Calibrated(bank, split)
    innocents = judged_innocents(bank, calibrated)
    results.control_failed.append(not calibrated.control.passed)
    results.inflated.append(calibrated.control.inflation > 1.0)
    rng = np.random.default_rng([options.seed, 2, number])
    size = min(options.synthetic, len(innocents[NOVEL].p))
    for kind, judged in innocents.items():
        chosen = rng.choice(len(judged.p), min(size, len(judged.p)), replace=False)
        p = judged.p[chosen]
        results.any_flag.setdefault(kind, []).append(bool(benjamini_hochberg(p, options.q).any()))
        results.per_image.setdefault(kind, []).append(float((p <= 0.01).mean()))
