"""``progress.png``: the loss above, what the samples share with the training images below."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._files import atomic_write, writing_to
from likeness.errors import MissingExtraError
from likeness.monitoring.history import read_losses

if TYPE_CHECKING:
    from likeness.monitoring.check import Check

_BLUE, _GREY, _RED = "#1f5fa8", "#808080", "#c0392b"


def draw_progress(path: Path, checks: list[Check], *, metrics: Path | None = None) -> None:
    """Draw all checks.

    Parameters
    ----------
    path
        The PNG file.
    checks
        With none the loss is drawn alone.
    metrics
        ``metrics.jsonl`` of the run; without it the losses that came with the checks are drawn.

    Raises
    ------
    MissingExtraError
        If matplotlib is absent.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = "To draw progress.png, matplotlib is needed: pip install 'likeness[generate]'"
        raise MissingExtraError(msg) from error
    figure = Figure(figsize=(8, 6.5 if checks else 3), layout="constrained")
    if checks:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.6])
        _draw_correlations(lower, checks)
    else:
        upper = lower = figure.subplots()
    _draw_losses(upper, checks, metrics)
    lower.set_xlabel("step")
    with writing_to(path), atomic_write(path, private=True) as stream:
        figure.savefig(stream, format="png", dpi=120)


def _draw_losses(axes: Any, checks: list[Check], metrics: Path | None) -> None:  # noqa: ANN401
    curves = read_losses(metrics)
    given = [(check.step, check.loss) for check in checks if check.loss is not None]
    if not curves and given:
        table = np.array(given, dtype=np.float64)
        axes.plot(table[:, 0], table[:, 1], marker="o", markersize=3, color=_GREY, label="loss")
    for name, (steps, values) in curves.items():
        axes.plot(steps, values, linewidth=1, label=name)
    axes.set_ylabel("loss")
    if curves or given:
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "no loss known", transform=axes.transAxes, ha="center", color=_GREY)
        axes.set_yticks([])


def _draw_correlations(axes: Any, checks: list[Check]) -> None:  # noqa: ANN401
    steps = np.array([check.step for check in checks])
    last = checks[-1]
    if last.baseline is not None:
        axes.axhline(last.baseline, color=_GREY, label="test images with train (baseline, 95 %)")
        axes.axhspan(last.baseline_low, last.baseline_high, color=_GREY, alpha=0.25, linewidth=0)
    for name, label, style in (
        ("mean_highest", "samples with train", "o-"),
        ("mean_highest_test", "samples with test", "o:"),
    ):
        values = np.array([getattr(check, name) for check in checks], dtype=np.float64)
        axes.plot(steps, values, style, color=_BLUE, markersize=4, label=label)
    axes.set_ylabel("mean highest r", color=_BLUE)
    right = axes.twinx()
    rate = 100 * np.array([check.copy_rate for check in checks])
    low = 100 * np.array([check.copy_rate_low for check in checks])
    high = 100 * np.array([check.copy_rate_high for check in checks])
    whiskers = np.maximum(0.0, np.stack([rate - low, high - rate]))
    right.errorbar(
        steps, rate, yerr=whiskers, fmt="s--", color=_RED, markersize=4, capsize=2, linewidth=1,
        label="copies (95 %)",
    )  # fmt: skip
    right.set_ylabel("copies among the samples, %", color=_RED)
    right.set_ylim(bottom=0)
    stops = [check.step for check in checks if check.should_stop]
    if stops:
        axes.axvline(stops[0], color=_RED, linewidth=1, alpha=0.6, label="copies first found")
    lines = [*axes.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    names = [*axes.get_legend_handles_labels()[1], *right.get_legend_handles_labels()[1]]
    axes.legend(
        lines, names, frameon=False, fontsize="small", ncols=3, loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )  # fmt: skip
