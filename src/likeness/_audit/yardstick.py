"""Which comparison is the baseline, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness._audit.comparisons import Highest
from likeness._audit.duplicates import Contamination
from likeness._audit.options import AuditOptions
from likeness._findings import Baseline, Check
from likeness.calibration import Threshold, calibrate, fewest_images
from likeness.types import Floats

FEW_PATIENTS = 20
"""Below this the baseline hangs on a handful of people, and a check says so."""


@dataclass(frozen=True)
class Candidate:
    """A comparison that could be the baseline."""

    highest: Highest
    contamination: Contamination
    name: str
    """In words: "the test set"."""

    @property
    def usable(self) -> Highest:
        """The rows that may stand in a baseline."""
        return self.highest.rows(~self.contamination.images & ~np.isnan(self.highest.score))

    def problem(self, options: AuditOptions) -> str:
        """Return why it cannot be the baseline, or an empty string."""
        if self.contamination.share > options.max_contamination:
            what = (
                "have an almost equal image under another patient"
                if self.highest.comparison == "train->train"
                else "are also training images, almost equal to one, or of a training patient"
            )
            return (
                f"{self.contamination.num_found} of {len(self.contamination.images)} "
                f"images of {self.name} ({self.contamination.share:.2%}) {what}; more than "
                f"{options.max_contamination:.2%} is too many"
            )
        needed = fewest_images(options.false_flag_rate)
        if len(self.usable.score) < needed:
            return (
                f"{self.name} gives {len(self.usable.score)} baseline images; a false-flag rate of "
                f"{options.false_flag_rate:g} needs {needed}"
            )
        return ""


@dataclass(frozen=True)
class Yardstick:
    """The chosen baseline with its threshold."""

    baseline: Baseline
    threshold: Threshold | None
    scores: Floats
    """(b,) decision scores of the baseline images, sorted."""
    problems: tuple[str, ...]
    """Why other comparisons, or all, are not the baseline."""


def choose_yardstick(
    test: Candidate | None, train: Candidate | None, options: AuditOptions
) -> Yardstick:
    """Choose the test set if it is fit, else the training images of other patients.

    Without a fit comparison there is no threshold; then not even one that the user gives decides.
    """
    problems: list[str] = []
    for candidate in (test, train):
        if candidate is None:
            continue
        problem = candidate.problem(options)
        if problem:
            problems.append(problem)
            continue
        usable = candidate.usable
        scores = np.sort(usable.score)
        if options.threshold is None:
            threshold = calibrate(scores, false_flag_rate=options.false_flag_rate)
        else:
            threshold = _given(options.threshold, scores)
        if candidate is test:
            reason = "held-out test images against the training images"
        else:
            reason = "training images against the training images of other patients"
            why = f"; {problems[0]}" if problems else "; there is no test set"
            reason += why
        baseline = Baseline(
            comparison=usable.comparison,
            reason=reason,
            num_images=len(scores),
            num_patients=usable.num_patients,
            false_flag_rate=threshold.false_flag_rate,
            threshold=threshold.value,
            threshold_source="baseline" if options.threshold is None else "user",
            median=float(np.median(scores)),
            quantile_99=float(np.quantile(scores, 0.99)),
            maximum=float(scores[-1]),
        )
        return Yardstick(baseline, threshold, scores, tuple(problems))
    why = "; ".join(problems) or "there are no real images to compare with"
    return Yardstick(
        Baseline(
            comparison=None,
            reason=why,
            num_images=0,
            num_patients=0,
            false_flag_rate=options.false_flag_rate,
            threshold=None,  # without any yardstick, not even a given threshold can decide
            threshold_source="none",
            median=None,
            quantile_99=None,
            maximum=None,
        ),
        None,
        np.empty(0),
        tuple(problems),
    )


def baseline_checks(yardstick: Yardstick, test: Candidate | None) -> list[Check]:
    """Return the rows of "can this audit be trusted?" that concern the baseline."""
    baseline = yardstick.baseline
    checks = []
    if baseline.comparison is None:
        checks.append(
            Check("Baseline", "FAIL", baseline.reason, "Give a test set of patients held out.")
        )
    else:
        few = baseline.num_patients < FEW_PATIENTS
        checks.append(
            Check(
                "Baseline",
                "WARN" if few else "PASS",
                f"{baseline.comparison}, {baseline.num_images} images of "
                f"{baseline.num_patients} patients: {baseline.reason}",
                f"Fewer than {FEW_PATIENTS} patients: the threshold hangs on a few people."
                if few
                else "",
            )
        )
    if test is None:
        checks.append(
            Check(
                "Test set",
                "WARN",
                "none given; the verdict speaks of copies only",
                "Hold out at least 20 % of the patients before training.",
            )
        )
    else:
        removed = int(test.contamination.images.sum())
        problem = next((text for text in yardstick.problems if "test set" in text), "")
        detail = f"{removed} of {len(test.contamination.images)} test images left the baseline"
        if test.contamination.shared_patients:
            detail += f"; {len(test.contamination.shared_patients)} patients are also in train"
        if problem:
            checks.append(
                Check("Test set", "FAIL", problem, "Hold out patients that are not in train.")
            )
        else:
            checks.append(
                Check(
                    "Test set",
                    "WARN" if removed else "PASS",
                    detail,
                    "They are marked left_out in baseline.parquet; equal and almost equal ones are "
                    "listed under duplicates."
                    if removed
                    else "",
                )
            )
    if baseline.threshold_source == "user":
        checks.append(
            Check(
                "Threshold",
                "WARN",
                f"{baseline.threshold} was given by the user: not calibrated",
                "Leave out --threshold to calibrate it on real images.",
            )
        )
    return checks


def _given(value: float, scores: Floats) -> Threshold:
    """Return a threshold of the user's with the false-flag rate that the baseline shows for it."""
    rate = (1 + int((scores > value).sum())) / (len(scores) + 1)
    return Threshold(value, rate, len(scores))
