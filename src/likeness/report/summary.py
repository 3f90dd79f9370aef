"""The summary that may be handed on: numbers and fixed sentences, nothing else.

`SummaryFacts` is the whitelist. Every field is a number, a date, or a code out of a fixed list;
free text of the findings (sentences, reasons, names of files, patients, checks, settings) has no
way in. The page is made of `SummaryFacts` alone. To show more, add a field here and say why it
cannot name anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from likeness.report import charts, text, wording
from likeness.report.render import as_html, render

if TYPE_CHECKING:
    from likeness._findings import Comparison, Findings, VerdictCode

# Smaller counts of people single them out.
SMALLEST_COUNT: Final = 5

_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}((a|b|rc|\.dev|\.post)\d{1,4})?")


@dataclass(frozen=True)
class DistributionFacts:
    """One row of the table of distributions."""

    comparison: Comparison
    num_images: int
    mean_correlation_identity: float | None
    median_score: float | None
    quantile_99_score: float | None
    maximum_score: float | None
    maximum_correlation: float | None


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
    num_expected: float
    num_undefined: int
    num_pairs: int
    num_patients_affected: int
    num_train_patients: int
    sets: tuple[SetFacts, ...]
    baseline: Comparison | None
    baseline_images: int
    baseline_patients: int
    threshold: float | None
    threshold_from_user: bool
    false_flag_rate: float
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
        statuses = [check.status for check in findings.checks]
        version = findings.provenance.versions.get("likeness", "")
        return SummaryFacts(
            verdict=findings.verdict.code,
            num_synthetic=counts.synthetic,
            num_flagged=counts.flagged,
            num_expected=counts.expected,
            num_undefined=counts.undefined,
            num_pairs=counts.pairs,
            num_patients_affected=counts.patients,
            num_train_patients=counts.train_patients,
            sets=tuple(
                SetFacts(s.role, s.num_images, s.num_patients, s.num_left_out)
                for s in findings.sets
            ),
            baseline=baseline.comparison,
            baseline_images=baseline.num_images,
            baseline_patients=baseline.num_patients,
            threshold=baseline.threshold,
            threshold_from_user=baseline.threshold_source == "user",
            false_flag_rate=baseline.false_flag_rate,
            distributions=tuple(
                DistributionFacts(
                    d.comparison,
                    d.num_images,
                    d.mean_correlation_identity,
                    d.median_score,
                    d.quantile_99_score,
                    d.maximum_score,
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


def suppress(number: int) -> str:
    """Write a count; counts from 1 to 4 become "fewer than 5"."""
    if 0 < number < SMALLEST_COUNT:
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
        comparison_words=wording.COMPARISON_WORDS,
        comparison_meaning=wording.COMPARISON_MEANING,
        comparison_keys=wording.COMPARISON_KEYS,
        chart=_chart(facts),
        suppress=suppress,
        share=share,
    )


def _chart(facts: SummaryFacts) -> dict[str, Any] | None:
    rows = [
        charts.RangeRow(
            wording.COMPARISON_KEYS[row.comparison],
            wording.COMPARISON_WORDS[row.comparison],
            row.median_score,
            row.quantile_99_score,
            row.maximum_score,
        )
        for row in facts.distributions
        if row.median_score is not None
        and row.quantile_99_score is not None
        and row.maximum_score is not None
    ]
    if not rows:
        return None
    title = "Median, 99 % quantile and maximum of the decision score in each comparison"
    return {
        name: as_html(charts.range_chart(rows, title=title, threshold=facts.threshold, width=width))
        for name, width in (("wide", charts.WIDE), ("narrow", charts.NARROW))
    }
