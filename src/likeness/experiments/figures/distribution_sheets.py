"""Figures 3 and 6: distributions of the highest correlations, panels on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import InputError
from likeness.experiments.figures.canvas import (
    COLOURS,
    DASHES,
    add_title,
    blank_figure,
    default_style,
    refuse_empty,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from likeness.experiments.figures.contents import Panel
    from likeness.types import Floats

BINS: Final = 40
_FEW: Final = 30
"""Below this many values a histogram is mostly gaps: each value gets a mark of its own."""


def distribution_sheet(
    panels: Sequence[Panel], *, columns: int = 3, low: float | None = None, title: str = ""
) -> Figure:
    """Draw figure 3 or 6: histograms of the highest correlations, panels on one scale.

    Below each panel stands the number of images and the mean of every distribution; the mean is
    marked by a vertical line.

    Parameters
    ----------
    panels
        By model, by data size, against the test images.
    columns
        Panels per line, at least 1.
    low
        Where the axes begin; at the lowest value by default. Values below are not drawn but counted
        in the legend.

    Raises
    ------
    InputError
        If there are no panels, one holds nothing, or values are not finite.
    MissingExtraError
        If matplotlib is absent.
    """
    refuse_empty(panels, "panels")
    for panel in panels:
        refuse_empty(panel.distributions, f"distributions in {panel.title!r}")
        for one in panel.distributions:
            if not len(one.values) or not np.isfinite(one.values).all():
                msg = f"{one.label!r}: no values, or some that are no numbers."
                raise InputError(msg)
    everything = np.concatenate([d.values for panel in panels for d in panel.distributions])
    start = float(everything.min()) if low is None else low
    end = max(1.0 if start > -1 else 0.0, float(everything.max()))
    start = min(start, end - 0.02)
    edges = np.linspace(start, end, BINS + 1)
    columns = max(1, min(columns, len(panels)))
    height = -(-len(panels) // columns)
    most = max(len(panel.distributions) for panel in panels)
    with default_style():
        figure = blank_figure(3.5 * columns, (2.1 + 0.27 * most) * height + 0.3)
        axes = figure.subplots(height, columns, squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, edges)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        add_title(figure, title)
    return figure


def _draw_panel(axis: Axes, panel: Panel, edges: Floats) -> None:
    handles: list[Artist] = []
    labels: list[str] = []
    colours = iter(COLOURS * (1 + len(panel.distributions) // len(COLOURS)))
    for number, one in enumerate(panel.distributions):
        colour = "#555555" if one.is_baseline else next(colours)
        dash = DASHES[number % len(DASHES)]
        drawn = one.values[one.values >= edges[0]]
        mean = float(one.values.mean())
        if len(one.values) < _FEW:
            heights = np.full(len(drawn), 1.0 / max(1, len(one.values)) / float(np.diff(edges)[0]))
            handles.append(
                axis.vlines(drawn, 0, heights, color=colour, linewidth=1, linestyle=dash)
            )
        else:
            counts = np.histogram(drawn, bins=edges)[0]
            density = counts / (len(one.values) * np.diff(edges))
            axis.stairs(density, edges, fill=True, color=colour, alpha=0.13)
            handles.append(axis.stairs(density, edges, color=colour, linestyle=dash, linewidth=1.2))
        if mean >= edges[0]:
            axis.axvline(mean, color=colour, linestyle=dash, linewidth=0.9)
            axis.plot([mean], [1.02], marker="v", color=colour, markersize=5, clip_on=False,
                      transform=axis.get_xaxis_transform())  # fmt: skip
        below = len(one.values) - len(drawn)
        more = f", {below:,} below {edges[0]:.2f}" if below else ""
        labels.append(" " + wrapped(
            f"{one.label}: N = {len(one.values):,}, mean {mean:.3f}{more}", 46
        ))  # fmt: skip
    axis.set_title(wrapped(panel.title, 44), fontsize=8, pad=9, parse_math=False)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("highest correlation", fontsize=7)
    axis.set_ylabel("density", fontsize=7)
    axis.tick_params(labelsize=6.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    legend = axis.legend(
        handles, labels, fontsize=6.5, frameon=False, loc="upper center",
        bbox_to_anchor=(0.5, -0.2), borderaxespad=0, handlelength=2.4,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
