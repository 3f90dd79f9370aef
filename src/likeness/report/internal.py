"""The internal report: everything, with the pictures. It holds images of patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from likeness.report import charts, text, wording
from likeness.report.audit_files import COMPARISONS, DAMAGED, MAX_ERROR_ROWS, iter_pixels
from likeness.report.pair_card import Yardstick, render_pair
from likeness.report.render import as_html, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from likeness._findings import Comparison, Findings
    from likeness.report.audit_files import AuditFiles, PairPixels
    from likeness.types import Floats

# Longer tables help no reader; the whole of them is in the Parquet files.
MAX_ROWS: Final = 200
_MAX_IDS: Final = 12

# For the words around the pairs, which depend on how many fit.
_RESERVE_BYTES: Final = 4000


@dataclass(frozen=True)
class Chart:
    """A drawing for wide and one for narrow pages."""

    wide: Markup
    narrow: Markup


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
    patient_of = {copy.image_id: copy.patient_id for copy in findings.copies}
    return render(
        "internal.html.j2",
        findings=findings,
        verdict=findings.verdict,
        counts=findings.counts,
        problems=[*audit.problems, *([shown.problem] if shown.problem else [])],
        sentence=text.paragraphs(findings.verdict.sentence),
        methods=text.paragraphs(findings.methods),
        flagged_share=text.share(findings.counts.flagged, findings.counts.synthetic),
        num_left_out=sum(summary.num_left_out for summary in findings.sets),
        num_skipped=sum(summary.num_skipped for summary in findings.sets),
        highest=_highest(findings),
        correlation_chart=_correlation_chart(audit),
        score_chart=_score_chart(audit),
        distributions=findings.distributions,
        comparison_words=wording.COMPARISON_WORDS,
        comparison_meaning=wording.COMPARISON_MEANING,
        comparison_keys=wording.COMPARISON_KEYS,
        transform_words=wording.TRANSFORM_WORDS,
        limits=wording.LIMITS,
        evidence=shown,
        any_flagged_pair=any(pair.flagged for pair in audit.pairs),
        left_out=audit.left_out,
        settings=sorted(_flatten(findings.provenance.settings)),
        versions=sorted(findings.provenance.versions.items()),
        max_rows=MAX_ROWS,
        max_error_rows=MAX_ERROR_ROWS,
        max_ids=_MAX_IDS,
        patient_of=patient_of,
    )


def _highest(findings: Findings) -> float | None:
    for row in findings.distributions:
        if row.comparison == "synthetic->train":
            return row.maximum_correlation
    return None


def _correlation_chart(audit: AuditFiles) -> Chart | None:
    rows = [
        _series(name, audit.scores[name].correlation_identity)
        for name in COMPARISONS
        if name in audit.scores
    ]
    return _draw(rows, "Distributions of the highest correlation of every image", None)


def _score_chart(audit: AuditFiles) -> Chart | None:
    threshold = audit.findings.baseline.threshold
    rows = []
    for name in COMPARISONS:
        if name not in audit.scores:
            continue
        found = audit.scores[name]
        note = ""
        if name == "synthetic->train":
            note = f"{text.count(int(found.flagged.sum()))} flagged"
        elif threshold is not None:
            note = f"{text.count(int((found.score > threshold).sum()))} above"
            if found.left_out.any():
                note += f", {text.count(int(found.left_out.sum()))} not used"
        rows.append(_series(name, found.score, note))
    return _draw(rows, "Distributions of the decision score of every image", threshold)


def _series(name: Comparison, values: Floats, note: str = "") -> charts.Series:
    return charts.Series(
        wording.COMPARISON_KEYS[name], wording.COMPARISON_WORDS[name], values, note
    )


def _draw(rows: Sequence[charts.Series], title: str, threshold: float | None) -> Chart | None:
    if not any(row.values.size for row in rows):
        return None
    wide, narrow = (
        as_html(charts.ridgeline(rows, title=title, threshold=threshold, width=width))
        for width in (charts.WIDE, charts.NARROW)
    )
    return Chart(wide, narrow)


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


def _yardstick(audit: AuditFiles) -> Yardstick | None:
    comparison = audit.findings.baseline.comparison
    if comparison is None or comparison not in audit.scores:
        return None
    found = audit.scores[comparison]
    scores = found.score[~found.left_out]
    if scores.size == 0:
        return None
    marks = [pair.score for pair in audit.pairs if pair.score is not None]
    low = min(float(scores.min()), *marks) if marks else float(scores.min())
    return Yardstick(scores, min(low, 0.98))


def _flatten(settings: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``a.b = value`` for nested settings."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, "none" if settings is None else str(settings)
