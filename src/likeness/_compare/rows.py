"""One audit as a row of numbers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from likeness.calibration.memorization import Estimate, memorization

if TYPE_CHECKING:
    from likeness._compare.reading import Audited
    from likeness._findings import Interval
    from likeness.types import Floats

_DRAWS: Final = 2000
SelfCheckResult = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class AtEqualSize:
    """Synthetic -> train beside synthetic -> test, as if there were equally many people.

    As the audit stored it: r_ch of 64 x 64 block means over the flips and turns.
    """

    patients: int
    """On either side."""
    train: float
    test: float
    difference: Estimate


@dataclass(frozen=True)
class Row:
    """One audit. Intervals are 95 %: synthetic images drawn one by one, real ones by patient."""

    name: str
    run_id: str
    verdict: str
    synthetic: int
    undefined: int
    """Synthetic images without contrast, which have no correlation."""
    train: int
    train_patients: int | None
    """None where the patients are not known."""
    test: int
    test_patients: int | None
    copies: int
    """Synthetic images that the audit lists."""
    copy_rate: Estimate | None
    """Of the audit: share of the judged images that it lists, with its exact interval; None where
    nothing could be judged."""
    patients: int
    """Training patients whom they show; training images where patients are not known."""
    unusual: int
    mean: Estimate | None
    """Mean highest correlation synthetic -> train, without flips and turns; None where no image has
    one."""
    baseline_of: str | None
    """``test->train``, ``train->train``, or None."""
    baseline_images: int
    baseline_patients: int
    baseline: Estimate | None
    """Mean highest correlation of real images of other people, in the same training set."""
    gap: Estimate | None
    """`mean` minus `baseline`: both are maxima over the same training images."""
    above: Estimate | None
    """Share of synthetic images above the 99th percentile of the baseline."""
    auc: Estimate | None
    """Share of pairs in which the synthetic image is higher than the baseline image; ties half."""
    with_test: Estimate | None
    """Mean highest correlation synthetic -> test. Its maximum is over another number of patients:
    not to be held against `mean`."""
    equal_size: AtEqualSize | None
    self_check: SelfCheckResult
    caught: dict[str, tuple[int, int]]
    """Planted copies that the self-check caught, and how many it planted, by level."""


def row_of(audited: Audited) -> Row:
    """Return the row of an audit."""
    findings = audited.findings
    counts, rates, check = findings.counts, findings.rates, findings.self_check
    numbers: dict[str, Any] = dict.fromkeys(("mean", "baseline", "gap", "above", "auc"))
    people = len(np.unique(audited.baseline_people))
    if len(audited.synthetic) and not len(audited.baseline):
        numbers["mean"] = estimated_mean(audited.synthetic, audited.name)
    elif len(audited.synthetic):
        found, _ = memorization(
            audited.synthetic, audited.baseline, audited.baseline_people, name=audited.name
        )
        numbers = {name: getattr(found, name) for name in numbers}
    equal = findings.equal_size
    return Row(
        name=audited.name,
        run_id=findings.provenance.run_id,
        verdict=findings.verdict.code,
        synthetic=counts.synthetic,
        undefined=audited.undefined,
        train=counts.train,
        train_patients=_known_patients(audited, "train", counts.train_patients),
        test=counts.test,
        test_patients=_known_patients(audited, "test", counts.test_patients),
        copies=counts.flagged,
        copy_rate=_estimate(rates.copy_rate) if rates.num_audited else None,
        patients=counts.patients,
        unusual=counts.unusual,
        baseline_of=audited.baseline_of,
        baseline_images=len(audited.baseline),
        baseline_patients=people,
        with_test=estimated_mean(audited.with_test, audited.name)
        if len(audited.with_test)
        else None,
        equal_size=None
        if equal is None
        else AtEqualSize(
            equal.num_patients, equal.train_mean, equal.test_mean, _estimate(equal.difference)
        ),
        self_check=("passed" if check.passed else "failed") if check.run else "not run",
        caught={level.level: (level.caught, level.planted) for level in check.levels},
        **numbers,
    )


def estimated_mean(values: Floats, name: str) -> Estimate:
    """Return a mean over synthetic images, with its interval by the bootstrap.

    The draws are those of `calibration.memorization` for the same name, image by image.
    """
    rng = np.random.default_rng([1, zlib.crc32(name.encode())])
    drawn = [
        float(values[rng.integers(len(values), size=len(values))].mean()) for _ in range(_DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def _known_patients(audited: Audited, role: str, count: int) -> int | None:
    about = audited.about(role)
    return count if about is not None and about.num_patients else None


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.estimate, interval.low, interval.high)
