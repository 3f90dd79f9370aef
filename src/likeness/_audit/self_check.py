"""The audit, tried on images whose truth is known.

Planted copies: training images, altered in the ways of each mandatory level. A copy counts as
caught only if it would be flagged as the only copy in the set and names the right person.

Negative control: real pictures of other people, judged as if they were synthetic. They come from
the test set where it has enough patients; else training patients play the part, fold by fold, with
the baseline recomputed without the fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likeness._audit.deciding import FamilyNull, judge, null_of
from likeness._audit.planting import PlantedCopies, plant_copies
from likeness._audit.scoring import FEWEST_TEST_PEOPLE, one_per_person
from likeness._audit.set_level import innocent_membership
from likeness._findings import NegativeControl, PlantedKind, PlantedLevel, SelfCheck
from likeness.alterations import MANDATORY_LEVELS, Level
from likeness.calibration import (
    benjamini_hochberg,
    copy_rate_bound,
    flagged_alone,
    sensitivity_low,
)
from likeness.calibration.negative_control import negative_control
from likeness.datasets import ImageSet
from likeness.scores import Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likeness._audit.duplicates import Contamination
    from likeness._audit.inputs import Inputs
    from likeness._audit.null import Null
    from likeness._audit.options import AuditOptions
    from likeness._audit.scoring import AllScores, SetScores
    from likeness.types import Floats, Integers

ControlSource: TypeAlias = Literal["test", "train", "none"]

USUAL_PLANTED: Final = 200
"""Planted copies per level of an ordinary audit."""
FOLDS: Final = 10
SENSITIVE_ENOUGH: Final = 0.90
"""Lower bound of the sensitivity that a clearance needs, at every mandatory level."""

LEVEL_WORDS: Final[dict[Level, str]] = {
    "L0": "stored anew, resized, brighter or darker, other contrast",
    "L1": "noise up to one standard deviation, slight blur, blended up to a tenth with another",
    "L2": "mirrored, turned by quarters, shifted by up to 8 pixels, rotated by up to 3 degrees",
    "L3": "rotated by up to 7 degrees, zoomed by 5 %, shifted by up to 16 pixels, warped, blurred",
    "L4": "half of the image, a quarter of the image",
    "L5": "stronger alterations",
}


@dataclass(frozen=True)
class Fold:
    """Some real images, judged as if they were synthetic."""

    rows: Integers
    """Rows of the set they come from, one image per person."""
    p: Floats
    """(n,)."""


@dataclass(frozen=True)
class Trial:
    """The self-check, before it is known how many images are listed."""

    inflation: float
    negative: NegativeControl | None
    planted: list[PlantedCopies]
    reduced: bool
    fdr: float
    skipped: bool = False

    def finish(self, *, num_judged: int, num_flagged: int) -> SelfCheck:
        """Count the planted copies that would be caught alone in a set of `num_judged` images."""
        if self.skipped or not num_judged:
            return not_run("it was switched off" if self.skipped else "no image has a score")
        levels = [
            _level(
                copies.level,
                copies.kinds,
                flagged_alone(copies.p, num_judged, self.fdr) & copies.right,
                num_judged=num_judged,
                num_flagged=num_flagged,
            )
            for copies in self.planted
        ]
        reasons = []
        weak = [row for row in levels if row.sensitivity_low < SENSITIVE_ENOUGH]
        if weak:
            missed = [row for row in weak if row.caught < row.planted]
            reasons += [
                f"of {row.planted} planted copies ({row.words}) {row.caught} were caught; the "
                f"lower 95 % bound must reach {SENSITIVE_ENOUGH:.0%}"
                for row in missed
            ]
            if len(missed) < len(weak):
                fewest = min(row.planted for row in weak)
                reasons.append(f"{fewest} planted copies are too few to show it; raise --planted")
        innocent = self.negative is None or self.negative.passed
        if not innocent:
            reasons.append("real pictures of other people were flagged more often than chance does")
        return SelfCheck(
            run=True,
            reduced=self.reduced,
            passed=innocent and not weak,
            sensitive=not weak,
            negative=self.negative,
            levels=levels,
            reason="; ".join(reasons),
        )


def not_run(reason: str) -> SelfCheck:
    """Return the record of a self-check that was not run."""
    return SelfCheck(
        run=False,
        reduced=False,
        passed=False,
        sensitive=False,
        negative=None,
        levels=[],
        reason=reason,
    )


def check_itself(
    scores: AllScores,
    null: Null,
    inputs: Inputs,
    contamination: Contamination | None,
    options: AuditOptions,
) -> Trial:
    """Judge real pictures of other people and planted copies."""
    if not options.self_check:
        return Trial(1.0, None, [], reduced=False, fdr=options.fdr, skipped=True)
    source, folds = control_folds(
        scores, null.families, inputs.train, null.control, seed=options.seed
    )
    negative, inflation = _negative(source, folds, inputs, scores, contamination, options)
    planted = plant_copies(scores, null.families, inputs, inflation=inflation, options=options)
    return Trial(
        inflation, negative, planted, reduced=options.planted < USUAL_PLANTED, fdr=options.fdr
    )


def _negative(
    source: ControlSource,
    folds: list[Fold],
    inputs: Inputs,
    scores: AllScores,
    contamination: Contamination | None,
    options: AuditOptions,
) -> tuple[NegativeControl | None, float]:
    if not folds:
        return None, 1.0
    found = negative_control([fold.p for fold in folds], q=options.fdr)
    images = inputs.test if source == "test" and inputs.test is not None else inputs.train
    flagged = [
        images.image_ids[row]
        for fold in folds
        for row in fold.rows[
            benjamini_hochberg(np.minimum(1.0, fold.p * found.inflation), options.fdr)
        ]
    ]
    return NegativeControl(
        source=source,
        num_folds=found.num_folds,
        folds_with_flags=found.folds_with_flags,
        num_images=found.num_images,
        num_flagged=found.num_flagged,
        share_below_01=found.rate,
        inflation=found.inflation,
        flagged_ids=flagged,
        passed=found.passed,
        membership_p=innocent_membership(inputs, scores, contamination, options),
    ), found.inflation


def _level(
    level: Level,
    kinds: tuple[str, ...],
    caught: NDArray[np.bool_],
    *,
    num_judged: int,
    num_flagged: int,
) -> PlantedLevel:
    names = np.array(kinds)
    total = int(caught.sum())
    return PlantedLevel(
        level=level,
        words=LEVEL_WORDS[level],
        mandatory=level in MANDATORY_LEVELS,
        planted=len(names),
        caught=total,
        sensitivity_low=sensitivity_low(total, len(names)),
        rate_bound=copy_rate_bound(num_flagged, num_judged, total, len(names)).rate
        if total
        else None,
        kinds=[
            PlantedKind(kind, int((names == kind).sum()), int(caught[names == kind].sum()))
            for kind in dict.fromkeys(kinds)
        ],
    )


def control_folds(
    scores: AllScores,
    nulls: Mapping[Family, FamilyNull],
    train: ImageSet,
    usable_test: SetScores | None,
    *,
    seed: int,
) -> tuple[ControlSource, list[Fold]]:
    """Judge real pictures of other people, fold by fold.

    Parameters
    ----------
    usable_test
        The test images that are neither contaminated nor in the null; None where there are none.

    Returns
    -------
    tuple
        "test", "train" or "none", and the folds.
    """
    rng = np.random.default_rng([seed, 8])
    if usable_test is not None and set(nulls) <= set(usable_test.rankings):
        rows = usable_test.in_all_families
        if len(rows) >= FEWEST_TEST_PEOPLE:  # contaminated people are gone
            return "test", _test_folds(usable_test, rows, nulls, rng)
    folds = _train_folds(scores, scores.people.of_images(train), rng)
    return ("train" if folds else "none"), folds


def _test_folds(
    test: SetScores, rows: Integers, nulls: Mapping[Family, FamilyNull], rng: np.random.Generator
) -> list[Fold]:
    """Cut the held-out images, one of each person, into folds."""
    folds = []
    for part in np.array_split(rng.permutation(rows), FOLDS):
        chosen = np.sort(part)
        folds.append(Fold(chosen, judge(test.at(chosen), nulls).p))
    return folds


def _train_folds(
    scores: AllScores, groups: NDArray[np.int32], rng: np.random.Generator
) -> list[Fold]:
    """Leave a tenth of the people out of references and null, and judge them.

    Their rankings among the others are at hand: the columns of the fold are dropped.
    """
    null = scores.null
    rows = null.in_all_families
    people = rng.permutation(np.unique(groups[rows]))
    folds = []
    for part in np.array_split(people, min(FOLDS, len(people))):
        keep = np.ones(scores.people.num_groups, dtype=np.bool_)
        keep[part] = False
        inside = ~keep[groups]
        chosen = one_per_person(groups, rows[inside[rows]], rng)
        rest = null.keep(~inside)
        nulls = null_of(
            {family: ranking.keep_groups(keep) for family, ranking in rest.rankings.items()},
            {family: groups[rest.rows[family]] for family in rest.rankings},
        )
        if not nulls:
            return []
        queries = {family: ranking.keep_groups(keep) for family, ranking in null.at(chosen).items()}
        folds.append(Fold(chosen, judge(queries, nulls).p))
    return folds
