"""The page of a validation: one file, numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._validate import panel as rules
from likeness._validate.charts import Dot, Line, dot_chart, line_chart
from likeness._validate.options import COPY_RATES, HEADLINE_RATE
from likeness._validate.table import SENSITIVITY_GOALS, Row
from likeness._validate.wording import CAPTIONS, LIMITS
from likeness._versions import package_version
from likeness.alterations import ALTERATIONS, CONTROLS, LEVELS

if TYPE_CHECKING:
    from likeness._validate.run import Validation


_MOST_LETTERS: Final = 44


@dataclass(frozen=True)
class Chart:
    """One figure of the page."""

    name: str
    title: str
    drawing: str


def render_page(validation: Validation) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("likeness._validate", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("likeness.report").joinpath("templates", "style.css").read_text("utf-8")
    rows = [row for row in validation.rows if row.section != "sensitivity" or row.name in LEVELS]
    columns, table = panel_table(validation)
    return environment.get_template("validation.html.j2").render(
        style=Markup(style),
        made=f"{validation.num_patients:,} patients, {validation.num_images:,} images",
        summary=validation.summary(),
        how=how_it_was_done(validation),
        captions=CAPTIONS,
        goals=[
            {
                **row.to_dict(),
                "name": row.name.replace("_", " "),
                "goal": goal_words(row),
                "answer": row.answer,
            }
            for row in rows
        ],
        charts=[
            {"name": chart.name, "title": chart.title, "drawing": Markup(chart.drawing)}
            for chart in draw_charts(validation)
        ],
        panel_columns=columns,
        panel=table,
        limits=LIMITS + tuple(f"Left out: {text}." for text in validation.left_out),
        settings=sorted(validation.options.settings().items()),
        version=package_version("likeness"),
    )


def how_it_was_done(validation: Validation) -> str:
    """Say in a paragraph what was compared."""
    options = validation.options
    return (
        f"The patients were divided at random, {options.splits} times, into training, held-out and "
        f"novel ones (60 : 20 : 20). Copies of training images, altered in "
        f"{len(validation.sensitivity)} ways, were hidden among "
        f"{validation.mixture_size:,} images of novel patients, and the audit's decision was held "
        f"against the truth. Rates without any copy come from {options.null_splits} divisions, the "
        f"membership test from {options.membership_splits}."
    )


def goal_words(row: Row) -> str:
    """Write a goal."""
    if row.comparison == "at least" and row.goal_low is not None:
        return f"at least {100 * row.goal_low:g} %"
    if row.comparison == "at most" and row.goal_high is not None:
        return f"at most {100 * row.goal_high:g} %"
    if row.comparison == "between" and row.goal_low is not None and row.goal_high is not None:
        return f"{100 * row.goal_low:g} to {100 * row.goal_high:g} %"
    return "none"


def draw_charts(validation: Validation) -> list[Chart]:
    """Return all figures, in the order of the page."""
    rows = validation.rows
    sensitivity = [row for row in rows if row.section == "sensitivity"]
    innocents = [row for row in rows if row.section == "innocents"]
    rates = np.array([rate for rate in COPY_RATES if rate > 0])
    curves = [
        Line(level, rates, np.array([validation.levels[level][rate].estimate for rate in rates]))
        for level in LEVELS
        if level in validation.levels
    ]
    roc = [
        Line(level, validation.false_positive_rates, curve)
        for level, curve in validation.roc.items()
    ]
    size = next(row for row in rows if row.section == "membership")
    power = [row for row in rows if row.section == "membership" and row.name.startswith("power at")]
    shares = np.array([0.0, *(float(row.name.split()[2]) / 100 for row in power)])
    heights = np.array([size.estimate, *(row.estimate for row in power)])
    return [
        Chart(
            "sensitivity",
            f"Copies found, {100 * HEADLINE_RATE:g} % of the images being copies",
            dot_chart([_dot(row, strong=row.name in LEVELS) for row in sensitivity],
                      title="Sensitivity per level and kind"),
        ),
        Chart(
            "rates",
            "Copies found against their share",
            line_chart(curves, title="Sensitivity against the share of copies",
                       x_label="share of copies in the set", logarithmic=True),
        ),
        Chart(
            "roc",
            "Copies found against innocents accused",
            line_chart(roc, title="Receiver operating characteristic",
                       x_label="share of innocents accused", logarithmic=True),
        ),
        Chart(
            "innocents",
            "Innocents accused",
            dot_chart([_dot(row, strong=False) for row in innocents],
                      title="False discoveries and flags without copies", top=0.25),
        ),
        Chart(
            "power",
            "The test of the whole set",
            line_chart([Line("p at most 0.05", shares, heights)], title="Power of the test",
                       x_label="share of copies in the set", reference=0.05),
        ),
    ]  # fmt: skip


def panel_table(validation: Validation) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and lines of the table of rules."""
    of_level = {
        level: [kind.name for kind in ALTERATIONS if kind.level == level] for level in LEVELS
    }
    innocents = [control.name for control in CONTROLS]
    lines = []
    for rule, kinds in validation.panel.flagged.items():
        means = {kind: float(np.mean(values)) for kind, values in kinds.items()}
        levels = [_mean([means[name] for name in of_level[level] if name in means])
                  for level in LEVELS]  # fmt: skip
        lines.append(
            {"rule": rules.RULES[rule], "shares": [*levels, *(means.get(n) for n in innocents)]}
        )
    alarms = {kind: float(np.mean(v)) for kind, v in validation.panel.set_alarms.items()}
    lines.append(
        {
            "rule": "C_T, alarms for whole sets",
            "shares": [*[None] * len(LEVELS), *(alarms.get(name) for name in innocents)],
        }
    )
    alone = {row.name: row.alone for row in validation.rows if row.name in LEVELS}
    lines.append(
        {
            "rule": "this audit",
            "shares": [
                *(alone.get(level) for level in LEVELS),
                *(validation.per_image.get(name) for name in innocents),
            ],
        }
    )
    return [*LEVELS, *(name.replace("_", " ") for name in innocents)], lines


def _dot(row: Row, *, strong: bool) -> Dot:
    goal = SENSITIVITY_GOALS.get(row.name) if row.section == "sensitivity" else row.goal_low
    label = f"{row.name}  {_shortened(row.words)}" if strong else row.name
    return Dot(
        label.replace("_", " "), row.estimate, row.low, row.high, goal, row.goal_high, strong
    )


def _shortened(words: str) -> str:
    """Return as many parts of a list as fit beside a chart."""
    parts = words.split(", ")
    kept = [part for i, part in enumerate(parts) if len(", ".join(parts[: i + 1])) <= _MOST_LETTERS]
    return ", ".join(kept) + (" ..." if len(kept) < len(parts) else "")


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
