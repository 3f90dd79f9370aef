"""Figures 2 and 5: a synthetic image, its most correlated training image, both in a scatter plot.

Beside them stand the slices before and after. They show patients and are not to be shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import InputError
from likeness.experiments.figures.canvas import (
    COLOURS,
    add_title,
    blank_figure,
    check_names,
    default_style,
    grey_window,
    label_width,
    name_line,
    refuse_empty,
    show_picture,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from likeness.experiments.figures.contents import Kind, PairRow

_HEADERS: Final[dict[Kind, tuple[str, str]]] = {
    "slices": ("previous slice", "next slice"),
    "matches": ("second most correlated", "third most correlated"),
}


def pair_sheet(
    rows: Sequence[PairRow], *, shown: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draw figure 2 or 5: synthetic, most correlated, scatter plot, and two neighbours.

    Parameters
    ----------
    rows
        One per model and data set.
    shown
        Names of the channels that are shown, a line for each; by default the first that was
        compared. The scatter plot holds all that were compared in any case.

    Raises
    ------
    InputError
        If there are no rows, shapes differ within one, or a channel to be shown is not there.
    MissingExtraError
        If matplotlib is absent.
    """
    refuse_empty(rows, "pairs")
    for row in rows:
        _check_pair(row, shown)
    lines = [
        (row, list(row.channels).index(name), place == 0)
        for row in rows
        for place, name in enumerate([row.channels[row.compared[0]]] if shown is None else shown)
    ]
    kinds = {row.kind for row in rows}
    with default_style():
        figure = blank_figure(1.75 * 5 + label_width(rows), 1.8 * len(lines) + 0.6)
        axes = figure.subplots(len(lines), 5, squeeze=False)
        for line, (row, channel, is_first) in zip(axes, lines, strict=True):
            window = grey_window(row.synthetic[channel], row.training[channel])
            show_picture(line[0], row.synthetic[channel], window)
            show_picture(line[1], row.training[channel], window)
            for axis, other, what in zip(line[3:], row.others, _HEADERS[row.kind], strict=True):
                if other is None:
                    axis.set_axis_off()
                    axis.text(0.5, 0.5, "none", ha="center", va="center", fontsize=8)
                else:
                    show_picture(axis, other[channel], window)
                if len(kinds) > 1:
                    axis.set_title(what, fontsize=7)
            if is_first:
                _scatter(line[2], row)
            else:
                line[2].set_axis_off()
            several = len(row.channels) > 1
            name_line(
                line[0], row.label if is_first else "", row.channels[channel] if several else ""
            )
        for axis, text in zip(axes[0][:2], ("synthetic", "most correlated training"), strict=True):
            axis.set_title(text, fontsize=8)
        if len(kinds) == 1:
            for axis, text in zip(axes[0][3:], _HEADERS[rows[0].kind], strict=True):
                axis.set_title(text, fontsize=8)
        add_title(figure, title)
    return figure


def _scatter(axis: Axes, row: PairRow) -> None:
    window = grey_window(row.synthetic[list(row.compared)], row.training[list(row.compared)])
    points = len(row.compared) * row.synthetic[0].size
    size = float(np.clip(2.5 * np.sqrt(3000 / points), 0.3, 2.5))
    for number, channel in enumerate(row.compared):
        # Tens of thousands of points as shapes make a PDF that nobody can open.
        axis.scatter(
            row.training[channel].ravel(), row.synthetic[channel].ravel(), s=size, alpha=0.35,
            linewidths=0, color=COLOURS[number % len(COLOURS)], rasterized=True,
            label=" " + row.channels[channel],
        )  # fmt: skip
    axis.plot(window, window, color="#888888", linewidth=0.6, zorder=0)
    axis.set(xlim=window, ylim=window, aspect="equal")
    axis.set_xlabel("training", fontsize=7, labelpad=1)
    axis.set_ylabel("synthetic", fontsize=7, labelpad=1)
    axis.tick_params(labelsize=6)
    axis.set_title(f"r = {row.r:.4f}", fontsize=8)
    if len(row.compared) > 1:
        legend = axis.legend(
            fontsize=5.5, frameon=False, loc="upper left", borderaxespad=0.1, handletextpad=0,
            labelspacing=0.15, markerscale=float(4 / np.sqrt(size)),
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)


def _check_pair(row: PairRow, shown: Sequence[str] | None) -> None:
    pictures = [row.synthetic, row.training, *(one for one in row.others if one is not None)]
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1 or row.synthetic.ndim != 3 or not row.synthetic.size:
        msg = f"{row.label!r}: images of shapes {sorted(shapes)}; one shape (C, H, W) was expected."
        raise InputError(msg)
    check_names(row.label, row.channels, len(row.synthetic))
    if not row.compared or not all(0 <= k < len(row.synthetic) for k in row.compared):
        msg = f"{row.label!r}: compared is {tuple(row.compared)} of {len(row.synthetic)} channels."
        raise InputError(msg)
    missing = [name for name in shown or () if name not in row.channels]
    if missing or (shown is not None and not shown):
        msg = f"{row.label!r} has no channel {missing}, only {', '.join(row.channels)}."
        raise InputError(msg)
