"""The paper's figures, in its arrangement, from what the stages found.

Figures 1 to 3 show the slices of volumes, 4 to 6 the radiographs: training and synthetic images;
synthetic images beside the training image that they are most correlated with; distributions of the
highest correlations. The first two kinds show patients and are not to be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.datasets import ImageSet
from likeness.errors import OptionError
from likeness.experiments.comparing import read_lists
from likeness.experiments.configurations import MODEL_NAMES
from likeness.experiments.figures.contents import Distribution, ImageRow, Panel, pair_row
from likeness.experiments.figures.distribution_sheets import distribution_sheet
from likeness.experiments.figures.image_sheets import image_sheet
from likeness.experiments.figures.pair_sheets import pair_sheet
from likeness.experiments.figures.saving import save_figure
from likeness.experiments.images import training_images
from likeness.experiments.results import Results, RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = 8
"""Images per row of a sheet."""
_COLOURS: Final = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d")
_STYLES: Final = ("-", "--", ":")
_HELD_OUT: Final = "#555555"


def draw(name: str, results: Results, folders: Mapping[str, Path], stem: Path) -> None:
    """Draw a figure and write it as PDF and PNG, the same bytes for the same results.

    Raises
    ------
    OptionError
        If there is no such figure.
    """
    drawings: dict[str, Callable[[], Figure]] = {
        "fig1": lambda: _sheets(results, folders, slices=True),
        "fig2": lambda: _pairs(results, folders, slices=True),
        "fig3": lambda: _distributions(results, slices=True),
        "fig4": lambda: _sheets(results, folders, slices=False),
        "fig5": lambda: _pairs(results, folders, slices=False),
        "fig6": lambda: _distributions(results, slices=False),
        "curve": lambda: _curves(results),
    }
    if name not in drawings:
        msg = f"There is no figure {name!r}, only {', '.join(drawings)}."
        raise OptionError(msg)
    save_figure(drawings[name](), stem)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _chosen(results: Results, *, slices: bool) -> list[RunResult]:
    """Return the medium runs, first seed, of slices or of radiographs."""
    configuration = results.configuration
    found = []
    for one in results.runs:
        source = configuration.sources[configuration.data_named(one.run.data).source]
        wanted = one.run.size == "medium" and one.run.seed == 0
        if wanted and (source.collection != "cxr") == slices:
            found.append(one)
    return found


def _nothing(figure: Figure, what: str) -> Figure:
    figure.text(0.5, 0.5, f"No run shows {what}.", ha="center", va="center")
    return figure


def _label(one: RunResult) -> str:
    return f"{one.run.data}, {MODEL_NAMES[one.run.model]}"


def _sheets(results: Results, folders: Mapping[str, Path], *, slices: bool) -> Figure:
    runs = _chosen(results, slices=slices)
    if not runs:
        return _nothing(_figure(6, 1), "such images")
    rows: dict[str, ImageRow] = {}
    for one in runs:
        data = results.configuration.data_named(one.run.data)
        label = f"{one.run.data}, training"
        if label not in rows:
            rows[label] = _spread(label, training_images(data, dict(folders)))
        samples = ImageSet.open(folders[f"sample/{one.run.name}"] / "set")
        rows[_label(one)] = _spread(_label(one), samples)
    return image_sheet(
        list(rows.values()),
        columns=_SHOWN,
        title="Training images and synthetic images (not chosen by hand)",
    )


def _spread(label: str, images: ImageSet) -> ImageRow:
    chosen = np.linspace(0, len(images) - 1, min(_SHOWN, len(images))).astype(np.int64)
    return ImageRow(label, images.take(chosen), images.channels)


def _pairs(results: Results, folders: Mapping[str, Path], *, slices: bool) -> Figure:
    runs = _chosen(results, slices=slices)
    if not runs:
        return _nothing(_figure(6, 1), "such pairs")
    rows = []
    for one in runs:
        data = results.configuration.data_named(one.run.data)
        training = training_images(data, dict(folders))
        samples = ImageSet.open(folders[f"sample/{one.run.name}"] / "set")
        lists = read_lists(folders[f"compare/{one.run.name}"])
        best = int(np.argmax(one.synthetic))
        matches = [int(lists["training"][best]), *map(int, lists["next"][best][1:3])]
        r = float(one.synthetic[best])
        rows.append(pair_row(_label(one), samples.take([best])[0], training, matches, r))
    return pair_sheet(
        rows,
        shown=("flair",) if all("flair" in row.channels for row in rows) else None,
        title="Of each generator the synthetic image with the highest correlation",
    )


def _distributions(results: Results, *, slices: bool) -> Figure:
    runs = _chosen(results, slices=slices)
    if not runs:
        return _nothing(_figure(6, 1), "such correlations")
    by_data: dict[str, list[RunResult]] = {}
    for one in runs:
        by_data.setdefault(one.run.data, []).append(one)
    panels = []
    for data, group in by_data.items():
        lines = [Distribution(MODEL_NAMES[one.run.model], one.synthetic) for one in group]
        held_out = Distribution("held-out images", group[0].held_out, is_baseline=True)
        panels.append(Panel(f"{data}: by model", [*lines, held_out]))
    for model, name in MODEL_NAMES.items():
        lines = [
            Distribution(one.run.data, one.synthetic) for one in runs if one.run.model == model
        ]
        if len(lines) > 1:
            panels.append(Panel(f"{name}: by data", lines))
    panels.extend(
        Panel(
            f"{_label(one)}: against test",
            [
                Distribution("synthetic - training", one.synthetic),
                Distribution("synthetic - held-out", one.with_held_out),
                Distribution("held-out - training", one.held_out, is_baseline=True),
            ],
        )
        for one in runs
    )
    return distribution_sheet(panels)


def _curves(results: Results) -> Figure:
    runs = [one for one in results.runs if len(one.curve.seen) > 1]
    if not runs:
        return _nothing(_figure(6, 1), "more than its end")
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    names = list(dict.fromkeys(f"{_label(one)}, {one.run.size}" for one in runs))
    for one in runs:
        seen = np.asarray(one.curve.seen) / 1000
        label: str | None = f"{_label(one)}, {one.run.size}"
        colour = _COLOURS[names.index(str(label)) % len(_COLOURS)]
        style = _STYLES[one.run.seed % len(_STYLES)]
        if one.run.seed:
            label = None
        for axis, name in ((left, "auc"), (right, "above")):
            found = [getattr(point, name) for point in one.curve.found]
            middle = np.array([each.value for each in found])
            spread = np.array([[each.low, each.high] for each in found]).T
            axis.plot(seen, middle, style, marker="o", markersize=3, color=colour, label=label)
            axis.fill_between(seen, spread[0], spread[1], color=colour, alpha=0.12, linewidth=0)
    left.axhline(0.5, color=_HELD_OUT, linewidth=0.8, linestyle=":")
    right.axhline(0.01, color=_HELD_OUT, linewidth=0.8, linestyle=":")
    left.set_ylabel("AUC against held-out images (.5: as new patients)", fontsize=7)
    right.set_ylabel("share above 99 % of the held-out images", fontsize=7)
    for axis in (left, right):
        axis.set_xlabel("images seen, thousands", fontsize=7)
        axis.set_ylim(-0.02, 1.02)
        axis.tick_params(labelsize=6)
    left.legend(fontsize=6, frameon=False)
    title = "Memorization while training; bands: 95 % intervals"
    if any(one.run.seed for one in runs):
        title += "; dashed: the same with other seeds"
    figure.suptitle(title, fontsize=9)
    return figure
