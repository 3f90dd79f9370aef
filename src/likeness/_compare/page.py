"""The comparison as one self-contained page: numbers and drawings made from them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from likeness._compare.charts import Line, Mark, interval_chart
from likeness._compare.wording import MEASURES
from likeness._versions import package_version
from likeness.report import text
from likeness.report.charts import Series, ridgeline
from likeness.report.svg import at_both_widths

if TYPE_CHECKING:
    from likeness._compare.comparison import Comparison

LIMITS: Final = (
    "The comparison decides nothing: the verdicts are those of the audits, each for its own sets.",
    "The mean highest correlation rises with the number of training patients. Only audits on the "
    "same training set can be compared by it.",
    "A gap above zero need not be memorization: smooth images resemble everybody. A gap below zero "
    "clears nothing: images may be poor, and a few of them copies all the same. The copies are "
    "listed in the reports of the audits.",
    "Intervals tell how the numbers vary with other images of the same generator and other "
    "held-out patients. How they vary with another training run is not in them.",
    "Nothing here names a patient or an image, but counts are exact, also those below 5, which the "
    "summary of an audit hides. The names of the audits were chosen by whoever made this page.",
)


def comparison_page(comparison: Comparison) -> str:
    """Return the page as HTML."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def finalise(value: Any) -> Any:  # noqa: ANN401
        plain = isinstance(value, str) and not isinstance(value, Markup)
        return text.visible(value) if plain else value

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("likeness._compare"), PackageLoader("likeness.report")]),
        autoescape=True,
        finalize=finalise,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = files("likeness.report").joinpath("templates", "style.css").read_text("utf-8")
    environment.globals.update(style=Markup(style))
    # The macros of the report need them, whether or not they are called.
    environment.filters.update(correlation=text.correlation, distance_to_one=text.distance_to_one)
    return environment.get_template("comparison.html.j2").render(
        rows=comparison.rows,
        measures=[
            {
                "label": one.label,
                "note": one.note,
                "cells": [_parted(one.cell(row)) for row in comparison.rows],
            }
            for one in MEASURES
        ],
        notices=comparison.notices,
        differences=comparison.differences,
        charts=_charts(comparison),
        limits=LIMITS,
        version=package_version("likeness"),
    )


def _parted(cell: str) -> tuple[str, str]:
    """Return a number and its interval, which stands below it."""
    number, bracket, interval = cell.partition(" (")
    return number, interval.removesuffix(")") if bracket else ""


def _charts(comparison: Comparison) -> list[tuple[Any, str, str]]:
    rows = comparison.rows
    series = [
        one
        for row, (synthetic, baseline) in zip(rows, comparison.lists, strict=True)
        for one in (
            Series("s-synthetic-train", _short(row.name), synthetic, "synthetic images"),
            Series("s-test-train", "baseline", baseline, "real images"),
        )
        if len(one.values)
    ]
    means = [
        Line(row.name, [
            Mark(key, words, estimate, is_square)
            for key, words, estimate, is_square in (
                ("s-synthetic-train", "synthetic", row.mean, False),
                ("s-test-train", "baseline", row.baseline, True),
            )
            if estimate is not None
        ])
        for row in rows
    ]  # fmt: skip
    shares = [
        Line(row.name, [
            Mark(key, words, estimate, is_square)
            for key, words, estimate, is_square in (
                ("s-train-train", "AUC", row.auc, False),
                ("s-synthetic-test", "share above", row.above, True),
            )
            if estimate is not None
        ])
        for row in rows
    ]  # fmt: skip
    found = []
    if series:
        found.append((
            at_both_widths(
                lambda width: ridgeline(series, title="Distributions by audit", width=width)
            ),
            "Highest correlation of every image",
            "With any training image, without flips and turns. Triangle: median. Each row is "
            "scaled to its own highest bar.",
        ))  # fmt: skip
        found.append((
            at_both_widths(
                lambda width: interval_chart(means, title="Means by audit", width=width)
            ),
            "Mean highest correlation",
            "Circle: synthetic images; square: real images of other people in the same training "
            "set. Lines: 95 % intervals.",
        ))  # fmt: skip
    if any(line.marks for line in shares):
        found.append((
            at_both_widths(
                lambda width: interval_chart(
                    shares, title="AUC and share above", ends=(0, 1), reference=0.5, width=width
                )
            ),
            "Against the own baseline",
            "Circle: AUC, 0.5 (dotted) where synthetic images are as close as new patients. "
            "Square: share of synthetic images above 99 % of the real ones.",
        ))  # fmt: skip
    return found


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:25]}..."
