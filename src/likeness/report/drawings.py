"""From the tables and the findings to the drawings of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from likeness.report import charts, wording
from likeness.report.audit_files import COMPARISONS, FAMILIES
from likeness.report.contrast_chart import ContrastRows, contrast_chart
from likeness.report.set_charts import membership_line, sensitivity_bars
from likeness.report.svg import at_both_widths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness._findings import Membership, PlantedLevel
    from likeness.report.audit_files import AuditFiles, Contrasts
    from likeness.report.svg import Chart


@dataclass(frozen=True)
class FamilyChart:
    """How images stand out in one way of comparing."""

    name: str
    meaning: str
    chart: Chart


def contrast_charts(audit: AuditFiles) -> list[FamilyChart]:
    """Draw the contrasts of every family that has some."""
    findings = audit.findings
    quantiles = {row.family: row.contrast_99 for row in findings.baseline.families}
    comparison = findings.baseline.comparison
    real = (
        {}
        if comparison is None or comparison not in audit.scores
        else (audit.scores[comparison].contrasts)
    )
    scores = audit.scores.get("synthetic->train")
    synthetic = {} if scores is None else scores.contrasts
    found = []
    for family in FAMILIES:
        if family not in real and family not in synthetic:
            continue
        rows = _rows(real.get(family), synthetic.get(family), quantiles.get(family))
        words = wording.FAMILY_WORDS[family]
        chart = _at_both_widths(rows, f"How far images stand out, compared {words}")
        found.append(FamilyChart(words, wording.FAMILY_MEANING[family], chart))
    return found


def _at_both_widths(rows: ContrastRows, title: str) -> Chart:
    return at_both_widths(lambda width: contrast_chart(rows, title=title, width=width))


def _rows(
    real: Contrasts | None, synthetic: Contrasts | None, quantile_99: float | None
) -> ContrastRows:
    nothing = np.zeros(0, bool)
    return ContrastRows(
        real=np.empty(0) if real is None else real.values,
        synthetic=np.empty(0) if synthetic is None else synthetic.values,
        flagged=nothing if synthetic is None else synthetic.flagged,
        unusual=nothing if synthetic is None else synthetic.unusual,
        quantile_99=quantile_99,
        num_not_used=0 if real is None else real.num_left_out,
    )


def correlation_chart(audit: AuditFiles) -> Chart | None:
    """Draw the highest full-size correlations, the paper's number, of every comparison."""
    rows = [
        charts.Series(
            wording.COMPARISON_KEYS[name],
            wording.COMPARISON_WORDS[name],
            audit.scores[name].correlation_identity,
        )
        for name in COMPARISONS
        if name in audit.scores
    ]
    if not any(row.values.size for row in rows):
        return None
    title = "Distributions of the highest correlation of every image"
    return at_both_widths(lambda width: charts.ridgeline(rows, title=title, width=width))


def sensitivity_chart(levels: Sequence[PlantedLevel]) -> Chart | None:
    """Draw the share of planted copies caught; None where none were planted."""
    if not levels:
        return None
    title = "Share of planted copies caught, per level"
    return at_both_widths(lambda width: sensitivity_bars(levels, title=title, width=width))


def membership_chart(found: Membership) -> Chart | None:
    """Draw where the set lies among exchanged patients; None where the test is not available."""
    if not found.available or found.matched_share is None or found.expected_share is None:
        return None
    title = "Share of the synthetic images that points to training patients"
    return at_both_widths(lambda width: membership_line(found, title=title, width=width))
