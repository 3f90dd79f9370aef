"""Rows as text: a table that stands on its side, measures down and audits across."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from likeness.report.wording import VERDICT_WORDS

if TYPE_CHECKING:
    from likeness._compare.comparison import Comparison
    from likeness._compare.rows import Row
    from likeness.calibration.memorization import Estimate

NONE: Final = "-"
_WIDTH: Final = 28
"""Letters of a column in a terminal."""
_ACROSS: Final = 3
"""Audits beside each other in a terminal; more follow below."""


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    label: str
    note: str
    """What it is; empty where the label says it."""
    cell: Callable[[Row], str]


def _correlation(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def _auc(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _set(images: int, patients: int | None) -> str:
    if not images:
        return "none"
    known = "patients not known" if patients is None else f"{patients:,} patients"
    return f"{images:,} images, {known}"


def _baseline(row: Row) -> str:
    if row.baseline_of is None:
        return "none"
    return f"{row.baseline_of}, {row.baseline_images:,} images of {row.baseline_patients:,} people"


def _shown(row: Row) -> str:
    if row.train_patients is None:
        return f"{row.patients:,} of {row.train:,} images"
    return f"{row.patients:,} of {row.train_patients:,}"


def _equal(row: Row) -> str:
    equal = row.equal_size
    if equal is None:
        return NONE
    return (
        f"{equal.train:.4f} and {equal.test:.4f}, {equal.patients:,} people; "
        f"difference {_correlation(equal.difference)}"
    )


def _self_check(row: Row) -> str:
    levels = ", ".join(
        f"{level} {caught:,}/{planted:,}" for level, (caught, planted) in row.caught.items()
    )
    return f"{row.self_check}; {levels}" if levels else row.self_check


MEASURES: Final = (
    Measure("verdict", "Of the audit.", lambda row: verdict_words(row.verdict)),
    Measure("synthetic images", "", lambda row: f"{row.synthetic:,}"),
    Measure("training set", "", lambda row: _set(row.train, row.train_patients)),
    Measure("test set", "", lambda row: _set(row.test, row.test_patients)),
    Measure("copies listed", "By the audit, at its false discovery rate.",
            lambda row: f"{row.copies:,}"),
    Measure("share listed", "Of the images judged; exact interval.",
            lambda row: _share(row.copy_rate)),
    Measure("patients shown", "Training patients with at least one listed image.", _shown),
    Measure("mean highest r, train",
            "Synthetic -> train, without flips and turns: the paper's number.",
            lambda row: _correlation(row.mean)),
    Measure("baseline from", "Real images of other people, in the same training set.", _baseline),
    Measure("mean highest r, baseline", "", lambda row: _correlation(row.baseline)),
    Measure("gap", "Mean highest r, train minus baseline.", lambda row: _correlation(row.gap)),
    Measure("above the baseline's 99 %", "Share of synthetic images; 1 % would be usual.",
            lambda row: _share(row.above)),
    Measure("AUC",
            "How often a synthetic image is higher than a baseline image; 0.5 as new patients.",
            lambda row: _auc(row.auc)),
    Measure("mean highest r, test",
            "Synthetic -> test: over another number of patients, not to be held against train.",
            lambda row: _correlation(row.with_test)),
    Measure("train and test, equal size",
            "Synthetic -> train and -> test over equal numbers of patients; block means, turned.",
            _equal),
    Measure("self-check", "Planted copies that the audit caught, by level.", _self_check),
)  # fmt: skip


def verdict_words(code: str) -> str:
    """Return a verdict in words."""
    return next((words for known, words in VERDICT_WORDS.items() if known == code), code)


def lines_of(comparison: Comparison) -> list[str]:
    """Return the comparison as a terminal shows it: tables, notices, what differs."""
    rows = comparison.rows
    lines: list[str] = []
    for start in range(0, len(rows), _ACROSS):
        part = rows[start : start + _ACROSS]
        table = [["", *(row.name for row in part)]]
        table += [[one.label, *(one.cell(row) for row in part)] for one in MEASURES]
        lines += [*_laid_out(table), ""]
    lines += [
        line
        for notice in comparison.notices
        for line in textwrap.wrap(notice, 96, initial_indent="note  ", subsequent_indent="      ")
    ]
    if len(rows) > 1:
        if comparison.notices:
            lines.append("")
        lines += _differences(comparison.differences)
    return lines


def _differences(differences: dict[str, list[str]]) -> list[str]:
    if not differences:
        return ["differs    nothing: sets, settings, engine and versions are the same"]
    lines = ["differs"]
    for name, values in differences.items():
        lines += textwrap.wrap(
            f"{name}: {' | '.join(values)}", 96, initial_indent="  ", subsequent_indent="    "
        )
    return lines


def _laid_out(table: Sequence[Sequence[str]]) -> list[str]:
    """Lay out cells in columns; a long cell goes on below."""
    first = max(len(row[0]) for row in table)
    lines = []
    for row in table:
        cells = [textwrap.wrap(cell, _WIDTH) or [""] for cell in row[1:]]
        for number in range(max(map(len, cells))):
            label = row[0] if number == 0 else ""
            texts = [cell[number] if number < len(cell) else "" for cell in cells]
            joined = "  ".join(f"{text:<{_WIDTH}}" for text in texts)
            lines.append(f"{label:<{first}}  {joined}".rstrip())
    return lines
