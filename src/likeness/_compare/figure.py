"""The figure of a comparison: distributions by audit, means, and AUC with intervals."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._files import write_bytes
from likeness.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from likeness._compare.comparison import Comparison
    from likeness.calibration.memorization import Estimate

_SYNTHETIC: Final = "#b34700"
_BASELINE: Final = "#006aa6"
_SHARE: Final = "#3a3f45"
_BINS: Final = 60
_FEW: Final = 30
"""Below this many values a histogram is mostly gaps: each value gets a mark of its own."""
_PDF: Final = {"CreationDate": None, "Producer": None, "Creator": None}


def need_matplotlib() -> None:
    """Check that a figure can be drawn.

    Raises
    ------
    MissingExtraError
        If matplotlib is absent.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        msg = (
            "The figure needs matplotlib. Give --no-figure, or install it: "
            "pip install 'likeness[metrics]'."
        )
        raise MissingExtraError(msg) from error


def draw_comparison(comparison: Comparison, png: Path, pdf: Path) -> None:
    """Draw the figure; the same bytes for the same comparison.

    Raises
    ------
    MissingExtraError
        If matplotlib is absent.
    """
    need_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context("default", after_reset=True):  # whatever the user's own defaults are
        count = len(comparison.rows)
        figure = Figure(figsize=(11, 1.3 + 0.95 * count), layout="constrained")
        grid = figure.add_gridspec(count, 3, width_ratios=(3, 2, 2))
        figures = [figure.add_subplot(grid[place, 0]) for place in range(count)]
        _distributions(figures, comparison)
        means, shares = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[:, 2])
        rows = comparison.rows
        _intervals(means, [(row.mean, row.baseline) for row in rows], (_SYNTHETIC, _BASELINE))
        means.set_xlabel("mean highest correlation, 95 % interval", fontsize=8)
        _intervals(shares, [(row.auc, row.above) for row in rows], (_SYNTHETIC, _SHARE))
        shares.axvline(0.5, color="#888888", linewidth=0.8, linestyle=":")
        shares.set_xlim(-0.03, 1.03)
        shares.set_xlabel("AUC (circle), share above 99 % of real (square)", fontsize=8)
        figure.suptitle(
            "Synthetic images (circle, filled) and real images of other people (square, dashed) in "
            "the training set of each audit",
            fontsize=8.5,
        )
        for path, ending, metadata in ((png, "png", {"Software": None}), (pdf, "pdf", _PDF)):
            stream = io.BytesIO()
            figure.savefig(stream, format=ending, dpi=150, metadata=metadata)
            write_bytes(path, stream.getvalue())


def _distributions(axes: Sequence[Axes], comparison: Comparison) -> None:
    everything = [values for pair in comparison.lists for values in pair if len(values)]
    low = min((float(values[0]) for values in everything), default=0.0)
    high = max(1.0, low + 0.02)
    edges = np.linspace(low, high, _BINS + 1)
    for axis, row, pair in zip(axes, comparison.rows, comparison.lists, strict=True):
        for values, colour, dash in zip(pair, (_SYNTHETIC, _BASELINE), ("-", "--"), strict=True):
            if not len(values):
                continue
            if len(values) < _FEW:
                axis.vlines(values, 0, 0.6, color=colour,
                            linewidth=1, linestyle=dash)  # fmt: skip
            else:
                counts = np.histogram(values, edges)[0]
                heights = counts / counts.max()
                if dash == "-":
                    axis.stairs(heights, edges, fill=True, color=colour, alpha=0.2)
                axis.stairs(heights, edges, color=colour, linestyle=dash, linewidth=1.1)
            axis.axvline(float(values.mean()), color=colour, linewidth=1, linestyle=dash)
        axis.set_yticks([])
        axis.set_xlim(low, high)
        axis.set_ylim(0, 1.08)
        last = axis is axes[-1]
        axis.tick_params(labelsize=7, labelbottom=last)
        axis.set_title(
            f"{textwrap.shorten(row.name, 60, placeholder=' ...')}   N = {len(pair[0]):,} and "
            f"{len(pair[1]):,}",
            fontsize=8, loc="left", pad=3, parse_math=False,
        )  # fmt: skip
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        if last:
            axis.set_xlabel(
                "highest correlation with any training image (each to its own height)", fontsize=8
            )


def _intervals(
    axis: Axes,
    pairs: Sequence[tuple[Estimate | None, Estimate | None]],
    colours: tuple[str, str],
) -> None:
    for place, pair in enumerate(pairs):
        for found, colour, mark, shift in zip(pair, colours, "os", (-0.12, 0.12), strict=True):
            if found is not None:
                y = place + shift
                axis.plot([found.low, found.high], [y, y], "|-", color=colour, linewidth=1.5)
                axis.plot([found.value], [y], mark, color=colour, markersize=5)
    axis.set_yticks([])
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="x", labelsize=7)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    for place in range(1, len(pairs)):
        axis.axhline(place - 0.5, color="#dddddd", linewidth=0.6)
