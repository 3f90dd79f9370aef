"""The summary that may be handed on: numbers and fixed sentences, nothing else.

`SummaryFacts` is the whitelist. Every field is a number, a date, or a code out of a fixed list;
free text of the findings (sentences, reasons, names of files, patients, checks, settings) has no
way in. The page is made of `SummaryFacts` alone. To show more, add a field here and say why it
cannot name anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from likeness.report import charts, text, wording
from likeness.report.render import render
from likeness.report.svg import at_both_widths

if TYPE_CHECKING:
    from likeness._findings import (
        Comparison,
        EqualSize,
        Findings,
        Membership,
        SelfCheck,
        VerdictCode,
    )
    from likeness.report.svg import Chart

# Smaller counts of people single them out.
SMALLEST_COUNT: Final = 5

_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}((a|b|rc|\.dev|\.post)\d{1,4})?")


@dataclass(frozen=True)
class DistributionFacts:
    """One row of the table of distributions."""

    comparison: Comparison
    num_images: int
    mean_correlation_identity: float | None
    median_correlation: float | None
    quantile_99_correlation: float | None
    maximum_correlation: float | None


@dataclass(frozen=True)
class LevelFacts:
    """Planted copies of one level; the words come from a fixed list."""

    level: str
    """L0 to L5."""
    mandatory: bool
    planted: int
    caught: int
    sensitivity_low: float
    rate_bound: float | None


@dataclass(frozen=True)
class SelfCheckFacts:
    """The audit, tried on images whose truth is known."""

    run: bool
    reduced: bool
    passed: bool
    num_real: int
    """Real pictures of other people, judged as if synthetic."""
    num_real_flagged: int
    levels: tuple[LevelFacts, ...]


@dataclass(frozen=True)
class SetLevelFacts:
    """The test of the set as a whole, and the comparison of equal numbers of patients."""

    available: bool
    matched_share: float | None
    expected_share: float | None
    band_low: float | None
    band_high: float | None
    p_value: float | None
    delta: float | None
    fewest_leaked_05: int | None
    equal_patients: int | None
    equal_train_mean: float | None
    equal_test_mean: float | None


@dataclass(frozen=True)
class SetFacts:
    """One of the three sets: how much of it there was."""

    role: str
    """train, test or synthetic."""
    num_images: int
    num_patients: int
    num_left_out: int


@dataclass(frozen=True)
class SummaryFacts:
    """All that the summary knows."""

    verdict: VerdictCode
    num_synthetic: int
    num_flagged: int
    num_unusual: int
    """Listed at the wider rate, the copies not counted."""
    num_expected: float
    fdr_copy: float
    """Share of the listed images that are mistakes, at most, on average."""
    copy_rate_low: float | None
    copy_rate_high: float | None
    """95 % interval; None where it would give a small count away."""
    num_in_set: int
    num_audited: int
    num_unseen: int
    """With 95 %, at most so many recognisable copies among the images not audited."""
    next_new: float | None
    """Probability that the next image shows a patient not seen yet; None likewise."""
    num_undefined: int
    num_pairs: int
    num_patients_affected: int
    num_train_patients: int
    patients_known: bool
    """False where every training image counts as a patient of its own."""
    sets: tuple[SetFacts, ...]
    baseline: Comparison | None
    baseline_images: int
    baseline_people: int
    yardstick_median: float | None
    """Full-size r that half of the real images reach with a picture of another person."""
    yardstick_99: float | None
    """The same, of one in a hundred."""
    self_check: SelfCheckFacts
    set_level: SetLevelFacts
    distributions: tuple[DistributionFacts, ...]
    num_passed: int
    num_warned: int
    num_failed: int
    num_duplicates: int
    version: str | None
    """Version of Likeness, digits only; None where it is not one."""
    date: str | None
    """Day of the audit, UTC."""

    @staticmethod
    def from_findings(findings: Findings) -> SummaryFacts:
        """Take the numbers, and no word, out of the findings."""
        counts, baseline = findings.counts, findings.baseline
        rates, affected = findings.rates, findings.affected
        shown = not _small(counts.flagged)
        statuses = [check.status for check in findings.checks]
        version = findings.provenance.versions.get("likeness", "")
        return SummaryFacts(
            verdict=findings.verdict.code,
            num_synthetic=counts.synthetic,
            num_flagged=counts.flagged,
            num_unusual=max(0, counts.unusual - counts.flagged),
            num_expected=counts.expected,
            fdr_copy=baseline.fdr_copy,
            copy_rate_low=rates.copy_rate.low if shown else None,
            copy_rate_high=rates.copy_rate.high if shown else None,
            num_in_set=rates.num_in_set,
            num_audited=rates.num_audited,
            num_unseen=rates.unseen_in_set,
            next_new=affected.next_new if not _small(affected.singletons) else None,
            num_undefined=counts.undefined,
            num_pairs=counts.pairs,
            num_patients_affected=counts.patients,
            num_train_patients=counts.train_patients,
            patients_known=any(s.role == "train" and s.num_patients > 0 for s in findings.sets),
            sets=tuple(
                SetFacts(s.role, s.num_images, s.num_patients, s.num_left_out)
                for s in findings.sets
            ),
            baseline=baseline.comparison,
            baseline_images=baseline.num_images,
            baseline_people=baseline.num_groups,
            yardstick_median=baseline.median,
            yardstick_99=baseline.quantile_99,
            self_check=_self_check(findings.self_check),
            set_level=_set_level(findings.membership, findings.equal_size),
            distributions=tuple(
                DistributionFacts(
                    d.comparison,
                    d.num_images,
                    d.mean_correlation_identity,
                    d.median_correlation,
                    d.quantile_99_correlation,
                    d.maximum_correlation,
                )
                for d in findings.distributions
            ),
            num_passed=statuses.count("PASS"),
            num_warned=statuses.count("WARN"),
            num_failed=statuses.count("FAIL"),
            num_duplicates=max(findings.duplicates_total, len(findings.duplicates)),
            version=version if _VERSION.fullmatch(version) else None,
            date=text.day(findings.provenance.started),
        )


def _self_check(check: SelfCheck) -> SelfCheckFacts:
    negative = check.negative
    return SelfCheckFacts(
        run=check.run,
        reduced=check.reduced,
        passed=check.passed,
        num_real=0 if negative is None else negative.num_images,
        num_real_flagged=0 if negative is None else negative.num_flagged,
        levels=tuple(
            LevelFacts(
                row.level,
                row.mandatory,
                row.planted,
                row.caught,
                row.sensitivity_low,
                row.rate_bound,
            )
            for row in check.levels
            if row.level in wording.LEVEL_WORDS
        ),
    )


def _set_level(found: Membership, equal: EqualSize | None) -> SetLevelFacts:
    return SetLevelFacts(
        available=found.available,
        matched_share=found.matched_share,
        expected_share=found.expected_share,
        band_low=found.band_low,
        band_high=found.band_high,
        p_value=found.p_value,
        delta=found.delta,
        fewest_leaked_05=found.fewest_leaked_05,
        equal_patients=None if equal is None else equal.num_patients,
        equal_train_mean=None if equal is None else equal.train_mean,
        equal_test_mean=None if equal is None else equal.test_mean,
    )


def _small(number: int) -> bool:
    return 0 < number < SMALLEST_COUNT


def suppress(number: int) -> str:
    """Write a count; counts from 1 to 4 become "fewer than 5"."""
    if _small(number):
        return f"fewer than {SMALLEST_COUNT}"
    return text.count(number)


def share(part: int, whole: int) -> str:
    """Write a part of a whole, without a percentage where it would give a small count away."""
    if min(part, whole) < SMALLEST_COUNT or part > whole:
        return f"{suppress(part)} of {suppress(whole)}"
    return text.share(part, whole)


def render_summary(facts: SummaryFacts) -> str:
    """Render the page."""
    return render(
        "summary.html.j2",
        facts=facts,
        sentence=wording.SUMMARY_SENTENCES[facts.verdict],
        limits=wording.LIMITS,
        level_words=wording.LEVEL_WORDS,
        comparison_words=wording.COMPARISON_WORDS,
        comparison_meaning=wording.COMPARISON_MEANING,
        comparison_keys=wording.COMPARISON_KEYS,
        chart=_chart(facts),
        suppress=suppress,
        share=share,
        hide_bounds=_small(facts.num_flagged),
    )


def _chart(facts: SummaryFacts) -> Chart | None:
    rows = [
        charts.RangeRow(
            wording.COMPARISON_KEYS[row.comparison],
            wording.COMPARISON_WORDS[row.comparison],
            row.median_correlation,
            row.quantile_99_correlation,
            row.maximum_correlation,
        )
        for row in facts.distributions
        if row.median_correlation is not None
        and row.quantile_99_correlation is not None
        and row.maximum_correlation is not None
    ]
    if not rows:
        return None
    title = "Median, 99 % quantile and maximum of the highest correlation in each comparison"
    return at_both_widths(lambda width: charts.range_chart(rows, title=title, width=width))
