"""The rules of the literature on the same images: what each finds, whom each accuses.

All work on the plain correlation r of block means, d = sqrt(2 (1 - r)), within the training images
of a split:

- highest r: above the 99 % quantile of what held-out images reach (Akbar et al. 2025);
- d1 / d2 < 1/3 between single images (Gu et al. 2023), and between patients;
- closer than 95 % of held-out images are (Dar et al. 2023, its direction mended: both sides search
  the same training images);
- not authentic: closer to its nearest training image than that one is to any other (Alaa et al.
  2022).

One rule judges the set alone: C_T, a Mann-Whitney comparison of distances (Meehan et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._progress import SILENT, Progress
from likeness._validate.mixtures import NOVEL
from likeness._validate.splits import Split, Standing, divide, innocent_rows, standing
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from likeness._validate.bank import ScoreBank, Scored
    from likeness._validate.options import ValidationOptions

RULES: Final = {
    "highest_r": "highest r above the 99 % quantile of held-out images",
    "ratio_images": "d1/d2 below 1/3, single images",
    "ratio_patients": "d1/d2 below 1/3, patients",
    "dar": "closer than 95 % of held-out images",
    "authenticity": "not authentic",
}
RATIO: Final = 1.0 / 3.0


@dataclass
class PanelResults:
    """Shares of images that each rule flags, one entry per split."""

    flagged: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Rule -> kind of image (copy or innocent) -> share flagged."""
    set_alarms: dict[str, list[bool]] = field(default_factory=dict)
    """Kind of innocent images -> whether C_T gave p at most 0.05, one per null split."""


def run_panel(
    bank: ScoreBank, options: ValidationOptions, progress: Progress = SILENT
) -> PanelResults:
    """Apply every rule in every split."""
    results = PanelResults()
    with progress.task("rules of the literature", options.null_splits, unit="splits") as task:
        for number in range(options.null_splits):
            split = divide(bank.num_groups, seed=options.seed, number=options.splits + number)
            view = _View(bank, split)
            if number < options.splits:
                _flag_all(view, results)
            _data_copying(view, options, number, results)
            task.advance()
    return results


class _View:
    """Plain correlations within the training images of one split."""

    def __init__(self, bank: ScoreBank, split: Split) -> None:
        self.bank = bank
        self.split = split
        self._train_images = split.train[bank.reference_groups]
        itself = standing(bank.real.nearest, self._train_images).similarity
        self._between_train = np.nan_to_num(itself, nan=-1.0)
        """(r,) how close each reference is to the nearest other training image."""
        real = bank.real
        held_out = np.flatnonzero(split.test[real.queries.excluded])
        self.held_out = self.highest(real, held_out)

    def highest(self, scored: Scored, rows: Integers) -> Floats:
        """Return the highest r with a training image."""
        return standing(scored.rankings["plain"].rows(rows), self.split.train).similarity

    def flags(self, scored: Scored, rows: Integers) -> dict[str, Flags]:
        """Return what each rule flags."""
        patients = standing(scored.rankings["plain"].rows(rows), self.split.train)
        images = standing(scored.nearest.rows(rows), self._train_images)
        level_99, level_95 = np.quantile(self.held_out, [0.99, 0.95])
        nearest = np.maximum(images.group, 0)
        return {
            "highest_r": patients.similarity > level_99,
            "ratio_images": _ratio(images) < RATIO,
            "ratio_patients": _ratio(patients) < RATIO,
            "dar": patients.similarity > level_95,
            "authenticity": (images.group >= 0)
            & (images.similarity > self._between_train[nearest]),
        }

    def rows(self) -> dict[str, tuple[Scored, Integers]]:
        """Return every kind of image, with its rows in this split."""
        bank, split = self.bank, self.split
        kinds = {NOVEL: (bank.real, np.flatnonzero(split.novel[bank.real.queries.excluded]))}
        for part in bank.of("control"):
            kinds[part.queries.name] = (part, innocent_rows(part, bank, split))
        for part in bank.of("copy"):
            kinds[part.queries.name] = (part, np.flatnonzero(split.train[part.queries.truth]))
        return {name: (part, rows) for name, (part, rows) in kinds.items() if len(rows)}


def _ratio(place: Standing) -> Floats:
    """Return d1 / d2; 1 where there is no second, and where both are 0."""
    first, second = (
        np.sqrt(2.0 * np.maximum(1.0 - r, 0.0)) for r in (place.similarity, place.second)
    )
    ratio = np.divide(first, second, out=np.ones_like(first), where=second > 0)
    return np.where(np.isnan(ratio), 1.0, ratio)


def _flag_all(view: _View, results: PanelResults) -> None:
    for kind, (part, rows) in view.rows().items():
        for rule, flags in view.flags(part, rows).items():
            shares = results.flagged.setdefault(rule, {}).setdefault(kind, [])
            shares.append(float(flags.mean()))


def _data_copying(
    view: _View, options: ValidationOptions, number: int, results: PanelResults
) -> None:
    """Run C_T on every kind of innocent images."""
    from scipy.stats import mannwhitneyu  # here: it takes most of a second to import

    rng = np.random.default_rng([options.seed, 6, number])
    for kind, (part, rows) in view.rows().items():
        if part.queries.role == "copy":
            continue
        chosen = rng.choice(rows, min(options.synthetic, len(rows)), replace=False)
        closeness = view.highest(part, chosen)
        p = mannwhitneyu(closeness, view.held_out, alternative="greater").pvalue
        results.set_alarms.setdefault(kind, []).append(bool(p <= 0.05))
