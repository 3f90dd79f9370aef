"""The internal report: everything, with the pictures. It holds images of patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.report import evidence, sentences, text, wording
from likeness.report.audit_files import MAX_ERROR_ROWS
from likeness.report.drawings import (
    contrast_charts,
    correlation_chart,
    membership_chart,
    sensitivity_chart,
)
from likeness.report.pair_card import Yardstick, render_pair
from likeness.report.pair_files import DAMAGED, iter_pixels
from likeness.report.render import as_html, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from likeness._findings import Findings
    from likeness.report.audit_files import AuditFiles
    from likeness.report.pair_files import PairPixels

# Longer tables help no reader; the whole of them is in the Parquet files.
MAX_ROWS: Final = 200
_MAX_IDS: Final = 12

# For the words around the pairs, which depend on how many fit.
_RESERVE_BYTES: Final = 4000


@dataclass(frozen=True)
class Evidence:
    """The pairs that fit into the file."""

    html: Markup
    num_shown: int
    num_available: int
    left_out: int
    """Pairs that were wanted but would have made the file too large."""
    problem: str


def render_internal(audit: AuditFiles, *, max_bytes: int, max_pairs: int) -> str:
    """Render the internal report; pairs beyond `max_bytes` are left out, worst kept first."""
    nothing = Evidence(as_html(""), 0, len(audit.pairs), 0, "")
    base = len(_render(audit, nothing).encode("utf-8", "backslashreplace"))
    budget = max_bytes - base - _RESERVE_BYTES
    return _render(audit, _collect_evidence(audit, budget, max_pairs))


def _render(audit: AuditFiles, shown: Evidence) -> str:
    findings = audit.findings
    known = patients_known(findings)
    return render(
        "internal.html.j2",
        findings=findings,
        verdict=findings.verdict,
        counts=findings.counts,
        rates=findings.rates,
        noun="patient" if known else "training image",
        patients_known=known,
        problems=[*audit.problems, *([shown.problem] if shown.problem else [])],
        sentence=text.paragraphs(findings.verdict.sentence),
        reasons=[row for row in findings.verdict.reasons if row not in findings.verdict.sentence],
        methods=text.paragraphs(findings.methods),
        highest=_highest(findings),
        evidence=shown,
        difference_limit=f"{100 * evidence.DIFFERENCE_LIMIT:g}\N{NO-BREAK SPACE}%",
        terms=wording.TERMS,
        limits=wording.LIMITS,
        comparison_words=wording.COMPARISON_WORDS,
        comparison_meaning=wording.COMPARISON_MEANING,
        transform_words=wording.TRANSFORM_WORDS,
        left_out=audit.left_out,
        settings=sorted(_flatten(findings.provenance.settings)),
        versions=sorted(findings.provenance.versions.items()),
        max_rows=MAX_ROWS,
        max_error_rows=MAX_ERROR_ROWS,
        max_ids=_MAX_IDS,
        **_sentences(findings, noun="patient" if known else "training image"),
        **_drawings(audit),
    )


def _sentences(findings: Findings, *, noun: str) -> dict[str, Any]:
    check = findings.self_check
    return {
        "flagged_share": text.share(findings.counts.flagged, findings.counts.synthetic),
        "copy_interval": sentences.ends(findings.rates.copy_rate),
        "num_left_out": sum(row.num_left_out for row in findings.sets),
        "num_skipped": sum(row.num_skipped for row in findings.sets),
        "more_patients": sentences.more_patients(findings.affected, noun=noun),
        "negative_control": sentences.negative_control(check),
        "self_check_absent": sentences.SELF_CHECK_ABSENT,
        "membership": sentences.membership(findings.membership),
        "membership_reading": sentences.membership_reading(findings.membership),
        "equal_size": sentences.equal_size(findings.equal_size) if findings.equal_size else [],
        "released_set": sentences.released_set(findings.rates, findings.counts.flagged),
        "future_images": sentences.future_images(findings.rates, findings.counts.flagged, check),
        "ends": sentences.ends,
        "signed_percent": sentences.signed_percent,
        "density": sentences.density,
        "family": sentences.family,
    }


def _drawings(audit: AuditFiles) -> dict[str, Any]:
    return {
        "contrast_charts": contrast_charts(audit),
        "correlation_chart": correlation_chart(audit),
        "sensitivity_chart": sensitivity_chart(audit.findings.self_check.levels),
        "membership_chart": membership_chart(audit.findings.membership),
    }


def patients_known(findings: Findings) -> bool:
    """Whether it is known whose the training images are; else each counts as a patient."""
    return any(row.role == "train" and row.num_patients > 0 for row in findings.sets)


def _highest(findings: Findings) -> float | None:
    for row in findings.distributions:
        if row.comparison == "synthetic->train":
            return row.maximum_correlation
    return None


def _collect_evidence(audit: AuditFiles, budget: int, max_pairs: int) -> Evidence:
    """Render pairs, worst first, until the budget is used up."""
    names = _channel_names(audit.findings)
    yardstick = _yardstick(audit)
    wanted = audit.pairs[:max_pairs]
    cards: list[str] = []
    problem = ""
    pixels = _iter_pixels(audit)
    used = 0
    for rank, pair in enumerate(wanted, start=1):
        picture: PairPixels | None = None
        if not problem:
            try:
                picture = next(pixels, None)
                card = render_pair(rank, pair, picture, names, yardstick)
            except DAMAGED:
                problem = (
                    f"'evidence/pairs.npz' is damaged at pair {rank}: this pair and the following "
                    "ones are listed without pictures."
                )
        if problem:
            card = render_pair(rank, pair, None, names, yardstick)
        used += len(card.encode("utf-8", "backslashreplace"))
        if used > budget:
            break
        cards.append(card)
    return Evidence(
        html=as_html("".join(cards)),
        num_shown=len(cards),
        num_available=len(audit.pairs),
        left_out=len(wanted) - len(cards),
        problem=problem,
    )


def _iter_pixels(audit: AuditFiles) -> Iterator[PairPixels]:
    if audit.pictures is not None:
        yield from iter_pixels(audit.pictures)


def _channel_names(findings: Findings) -> list[str]:
    for role in ("train", "synthetic"):
        for summary in findings.sets:
            if summary.role == role:
                return list(summary.channels)
    return []


def _yardstick(audit: AuditFiles) -> Yardstick:
    baseline = audit.findings.baseline
    real = np.empty(0)
    if baseline.yardstick is not None and baseline.yardstick in audit.scores:
        real = audit.scores[baseline.yardstick].correlation
    marks = [pair.correlation for pair in audit.pairs if pair.correlation is not None]
    low = min([*marks, float(real.min())]) if real.size else 0.0
    return Yardstick(baseline, real, min(low, 0.98))


def _flatten(settings: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``a.b = value`` for nested settings."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, "none" if settings is None else str(settings)
