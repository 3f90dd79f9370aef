"""What does not change while a model trains: the real images, and what they reach by chance.

All of it comes from the functions of the audit, so that a check says what an audit would.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from likeness._audit.baselines import Places
from likeness._audit.checks import obstacles_to_clearance
from likeness._audit.comparisons import Searcher
from likeness._audit.decided import why_no_baseline
from likeness._audit.deciding import Flagged, Judged, flag, judge
from likeness._audit.duplicates import Contamination, contamination_of_test, equal_pixels
from likeness._audit.inputs import (
    Inputs,
    choose_channels,
    refuse_damage,
    refuse_mismatch,
    refuse_tiny,
)
from likeness._audit.null import Null, choose_null
from likeness._audit.options import FDR_GATE, AuditOptions
from likeness._audit.rates import rates_of
from likeness._audit.scoring import FEWEST_TEST_PEOPLE, ORIENTED, AllScores, score_all
from likeness._audit.self_check import Trial, check_itself, not_run
from likeness._audit.set_level import membership_of
from likeness._audit.verdict import FEWEST_SYNTHETIC, Grounds, reach_verdict
from likeness._findings import Rates, VerdictCode
from likeness._progress import SILENT, Progress
from likeness.datasets import ImageSet, as_image_set
from likeness.scores import Scorer
from likeness.search import choose_engine
from likeness.types import Flags, Floats

_DRAWS: Final = 2000
"""Resampled sets of test patients behind the interval of the baseline."""


@dataclass(frozen=True)
class Looked:
    """What the audit's rules say of some samples."""

    judged: Judged | None
    flagged: Flagged
    identical: Flags
    """(n,) samples that equal a training image, constant ones not counted."""
    varies: Flags
    """(n,) samples that have a score."""
    rates: Rates
    verdict: VerdictCode
    reasons: list[str]
    highest: Floats
    """(n,) highest r with a training image, as the images are; NaN for a constant sample."""
    highest_turned: Floats
    """(n,) the same over flips and quarter turns."""
    highest_test: Floats
    """(n,) highest r with a test image."""


@dataclass(frozen=True)
class RealSide:
    """Training and test images, compared once."""

    inputs: Inputs
    """Whose synthetic images are not those of any model."""
    scores: AllScores
    contamination: Contamination
    null: Null
    trial: Trial
    searcher: Searcher
    options: AuditOptions
    baseline: tuple[float, float, float] | None
    """Mean highest r of usable test images with training images, and its 95 % interval."""

    @classmethod
    def compare(
        cls,
        train: ImageSet,
        test: ImageSet,
        *,
        folder: Path,
        options: AuditOptions,
        progress: Progress = SILENT,
    ) -> RealSide:
        """Compare the real images.

        Parameters
        ----------
        folder
            For unfinished and finished comparisons, where the training set cannot keep them.

        Raises
        ------
        ImageMismatchError
            If the sets differ in shape, channels or number type.
        DamagedSetError
            If a set on disk is not as it was written.
        """
        accounts = {}
        for role, images in (("train", train), ("test", test)):
            _, accounts[role] = as_image_set(images, work=folder / "work" / "sets", role=role)
            refuse_tiny(role, images)
            refuse_damage(role, images, progress)
        # The audit's comparisons want some synthetic images; a training image stands in for them.
        stand_in = _unowned(train.take(np.arange(1)), train)
        inputs = Inputs(train, stand_in, test, accounts, choose_channels(train, options.channels))
        refuse_mismatch(inputs)
        engine = choose_engine(options.engine, options.threads)
        places = Places.of(train, folder, fresh=False)
        searcher = Searcher(options, inputs.channels, engine, places, progress)
        scores = score_all(inputs, options, places=places, progress=progress)
        assert scores.test is not None
        contamination = contamination_of_test(
            test,
            train,
            scores.test.rows["dihedral"],
            scores.test.rankings["dihedral"],
            options.near_duplicate,
            train_varies=scores.train_varies,
        )
        usable = ~contamination.images
        null = choose_null(scores, train, test, scores.test.keep(usable), seed=options.seed)
        trial = Trial(1.0, None, [], reduced=False, fdr=options.fdr, skipped=True)
        if null.families:
            trial = check_itself(scores, null, inputs, contamination, options)
        highest, _ = searcher.compare("test->train", test, train)
        baseline = _mean_of_patients(
            highest.correlation_identity[usable], test.patient_codes[usable], options.seed
        )
        return cls(inputs, scores, contamination, null, trial, searcher, options, baseline)

    def look_at(self, images: ImageSet, *, work: Path) -> Looked:
        """Compare samples with the real images, and judge them as an audit does.

        Parameters
        ----------
        work
            Folder for what is unfinished; its owner removes it.
        """
        options, inputs = self.options, replace(self.inputs, synthetic=images)
        assert inputs.test is not None
        scorer, test_scorer = self.scores.scorer, self.scores.test_scorer
        assert test_scorer is not None
        depth = _kept(self.scores)
        scores = replace(
            self.scores,
            synthetic=_forgetful(scorer).score(images, depth=depth, name="samples -> train"),
            synthetic_test=_forgetful(test_scorer).score(
                images, families=ORIENTED, depth=depth, name="samples -> test"
            )["dihedral"],
        )
        varies: Flags = (scores.synthetic["dihedral"].image[:, :1] >= 0).any(axis=1)  # type: ignore[assignment]
        identical = equal_pixels(images, inputs.train) & varies
        judged = None
        nothing = np.zeros(len(images), dtype=np.bool_)
        flagged = Flagged(nothing, nothing, np.full(len(images), np.nan))
        check = not_run("there is no baseline")
        if self.null.families:
            judged = judge(scores.synthetic, self.null.families, inflation=self.trial.inflation)
            flagged = flag(judged, fdr_copy=options.fdr, fdr_gate=FDR_GATE).joined_by(identical)
            check = self.trial.finish(
                num_judged=int((judged.image >= 0).sum()), num_flagged=int(flagged.copies.sum())
            )
        num_flagged, num_judged = int(flagged.copies.sum()), int(varies.sum())
        rates = rates_of(
            scores,
            inputs.train,
            inputs.test,
            ~self.contamination.images,
            num_flagged=num_flagged,
            num_judged=num_judged,
            seed=options.seed,
        )
        negative = self.trial.negative
        membership = membership_of(
            inputs,
            scores,
            self.contamination,
            options,
            None if negative is None else negative.membership_p,
        )
        verdict, reasons = reach_verdict(
            Grounds(
                num_judged=num_judged,
                num_flagged=num_flagged,
                num_identical=int(identical.sum()),
                has_baseline=judged is not None,
                why_no_baseline=why_no_baseline(inputs),
                self_check=check,
                membership=membership,
                rates=rates,
                obstacles=obstacles_to_clearance(inputs, self.contamination),
            )
        )
        searcher = replace(self.searcher, places=Places(work, self.searcher.places.kept))
        among_train, _ = searcher.compare("synthetic->train", images, inputs.train)
        among_test, _ = searcher.compare("synthetic->test", images, inputs.test)
        return Looked(
            judged=judged,
            flagged=flagged,
            identical=identical,
            varies=varies,
            rates=rates,
            verdict=verdict,
            reasons=reasons,
            highest=among_train.correlation_identity,
            highest_turned=among_train.correlation,
            highest_test=among_test.correlation_identity,
        )

    def doubts(self, num_samples: int) -> list[str]:
        """Return what forbids a verdict or makes it weak, in sentences, before any sample."""
        if not self.null.families:
            return [
                f"No copy can be named: {why_no_baseline(self.inputs)}. Checks will only compare "
                "means. Needed: more training patients, or 200 held-out patients."
            ]
        found = []
        fewest = min(len(null.contrast) for null in self.null.families.values())
        families = len(self.null.families)
        smallest = families / (fewest + 1)
        if (
            any(null.tail is None for null in self.null.families.values())
            and smallest > self.options.fdr / num_samples
        ):
            found.append(
                f"A single copy among {num_samples} samples cannot be named: the baseline "
                f"({fewest} images of {self.null.num_people} people) ends at p = {smallest:.2g}, "
                f"and {self.options.fdr / num_samples:.2g} is needed. Needed: about a hundred "
                "training patients, or 200 held-out patients."
            )
        if num_samples < FEWEST_SYNTHETIC:
            found.append(
                f"{num_samples} samples per check: copies can be found, but that there are none "
                f"can be said from {FEWEST_SYNTHETIC} samples on."
            )
        check = self.trial.finish(num_judged=num_samples, num_flagged=0)
        if not check.run:
            found.append("The self-check is off: no check can say that no copy was detected.")
        elif not check.passed:
            found.append(f"No check can say that no copy was detected: {check.reason}.")
        usable = self.inputs.test
        assert usable is not None
        held_out = len(np.unique(usable.patient_codes[~self.contamination.images]))
        if held_out < FEWEST_TEST_PEOPLE:
            found.append(
                f"{held_out} usable test patients: the baseline of the curve rests on few people; "
                f"with {FEWEST_TEST_PEOPLE} or more the self-check uses them too."
            )
        return found + obstacles_to_clearance(self.inputs, self.contamination)


def sample_set(samples: np.ndarray, train: ImageSet) -> ImageSet:
    """Make a set of samples, which belong to nobody, with the channels of the training images."""
    return _unowned(samples, train)


def _unowned(images: np.ndarray, like: ImageSet) -> ImageSet:
    ids = [f"sample-{number:06d}" for number in range(len(images))]
    return ImageSet.from_arrays(images, image_ids=ids, channels=like.channels)


def _forgetful(scorer: Scorer) -> Scorer:
    """Return the same scorer, which keeps nothing of the samples with the training set."""
    other = copy.copy(scorer)
    other.store = None
    return other


def _kept(scores: AllScores) -> int:
    """Return how many people the audit keeps per synthetic image."""
    return max(64, scores.synthetic["dihedral"].depth)


def _mean_of_patients(
    values: Floats, codes: np.ndarray, seed: int
) -> tuple[float, float, float] | None:
    """Return the mean over images, and its 95 % interval from resampled patients."""
    there = ~np.isnan(values)
    if not there.any():
        return None
    _, patient = np.unique(codes[there], return_inverse=True)
    sums = np.bincount(patient, weights=values[there])
    counts = np.bincount(patient).astype(np.float64)
    rng = np.random.default_rng([seed, 11])
    drawn = rng.integers(0, len(sums), (_DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values[there].mean()), float(low), float(high)
