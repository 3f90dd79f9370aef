"""The paper's figures, in its arrangement, from what the stages found.

Figures 1 to 3 show the slices of volumes, 4 to 6 the radiographs: training and synthetic images;
synthetic images beside the training image that they are most correlated with; distributions of the
highest correlations. The first two kinds show patients and are not to be shared.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import write_bytes
from likeness.datasets import ImageSet
from likeness.errors import OptionError
from likeness.experiments.comparing import read_lists
from likeness.experiments.configurations import MODEL_NAMES
from likeness.experiments.images import training_images
from likeness.experiments.results import Results, RunResult

_SHOWN: Final = 8
"""Images per row of a sheet."""
_COLOURS: Final = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d")
_HELD_OUT: Final = "#555555"
_PDF: Final = {"CreationDate": None, "Producer": None, "Creator": None}


def draw(name: str, results: Results, folders: Mapping[str, Path], stem: Path) -> None:
    """Draw a figure and write it as PDF and PNG, the same bytes for the same results.

    Raises
    ------
    OptionError
        If there is no such figure.
    """
    drawings: dict[str, Callable[[], Any]] = {
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
    figure = drawings[name]()
    for ending, metadata in (("png", {"Software": None}), ("pdf", _PDF)):
        stream = io.BytesIO()
        figure.savefig(stream, format=ending, dpi=150, metadata=metadata)
        write_bytes(stem.with_suffix(f".{ending}"), stream.getvalue(), private=True)


def _figure(width: float, height: float) -> Any:  # noqa: ANN401
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


def _nothing(figure: Any, what: str) -> Any:  # noqa: ANN401
    figure.text(0.5, 0.5, f"No run shows {what}.", ha="center", va="center")
    return figure


def _label(one: RunResult) -> str:
    return f"{one.run.data}, {MODEL_NAMES[one.run.model]}"


def _sheets(results: Results, folders: Mapping[str, Path], *, slices: bool) -> Any:  # noqa: ANN401
    runs = _chosen(results, slices=slices)
    if not runs:
        return _nothing(_figure(6, 1), "such images")
    rows: list[tuple[str, ImageSet]] = []
    for one in runs:
        data = results.configuration.data_named(one.run.data)
        label = f"{one.run.data}, training"
        if label not in [name for name, _ in rows]:
            rows.append((label, training_images(data, dict(folders))))
        rows.append((_label(one), ImageSet.open(folders[f"sample/{one.run.name}"] / "set")))
    channels = rows[0][1].channels
    lines = [(label, images, k) for label, images in rows for k in range(len(channels))]
    figure = _figure(1.0 * _SHOWN + 2.2, 1.0 * len(lines) + 0.4)
    axes = figure.subplots(len(lines), _SHOWN, squeeze=False)
    for line, (label, images, channel) in zip(axes, lines, strict=True):
        chosen = np.linspace(0, len(images) - 1, min(_SHOWN, len(images))).astype(np.int64)
        pictures = images.take(chosen)
        for place, axis in enumerate(line):
            axis.set_axis_off()
            if place < len(pictures):
                _show(axis, pictures[place, channel])
        text = label if len(channels) == 1 else f"{label}\n{images.channels[channel]}"
        _name(line[0], text)
    figure.suptitle("Training images and synthetic images (not chosen by hand)", fontsize=9)
    return figure


def _pairs(results: Results, folders: Mapping[str, Path], *, slices: bool) -> Any:  # noqa: ANN401
    runs = _chosen(results, slices=slices)
    if not runs:
        return _nothing(_figure(6, 1), "such pairs")
    last = ("previous slice", "next slice") if slices else ("second", "third")
    columns = ("synthetic image", "most correlated training image", "intensities", *last)
    figure = _figure(1.9 * len(columns) + 1.2, 1.9 * len(runs) + 0.5)
    axes = figure.subplots(len(runs), len(columns), squeeze=False)
    for line, one in zip(axes, runs, strict=True):
        data = results.configuration.data_named(one.run.data)
        training = training_images(data, dict(folders))
        samples = ImageSet.open(folders[f"sample/{one.run.name}"] / "set")
        lists = read_lists(folders[f"compare/{one.run.name}"])
        best = int(np.argmax(one.synthetic))
        match = int(lists["training"][best])
        kept = [k for k, name in enumerate(training.channels)
                if name not in training.annotation_channels]  # fmt: skip
        shown = training.channels.index("flair") if "flair" in training.channels else kept[0]
        synthetic, original = samples.take([best])[0], training.take([match])[0]
        _show(line[0], synthetic[shown])
        _show(line[1], original[shown])
        line[2].scatter(
            original[kept].ravel(), synthetic[kept].ravel(), s=1, color=_COLOURS[0], linewidths=0
        )
        line[2].set(xlim=(0, 255), ylim=(0, 255), aspect="equal")
        line[2].set_xlabel("training", fontsize=6, labelpad=1)
        line[2].set_ylabel("synthetic", fontsize=6, labelpad=1)
        line[2].tick_params(labelsize=5)
        line[2].set_title(f"r = {one.synthetic[best]:.4f}", fontsize=7)
        others: Sequence[int | None] = (
            training.neighbours(match) if slices else [int(k) for k in lists["next"][best][1:3]]
        )
        for axis, other in zip(line[3:], others, strict=False):
            if other is None or other < 0:
                axis.text(0.5, 0.5, "none", ha="center", va="center", fontsize=7)
            else:
                _show(axis, training.take([other])[0][shown])
        for place in (0, 1, 3, 4):
            line[place].set_axis_off()
        _name(line[0], f"{_label(one)}\n{training.channels[shown]}" if slices else _label(one))
    for axis, text in zip(axes[0], columns, strict=True):
        if text != "intensities":
            axis.set_title(text, fontsize=7)
    figure.suptitle(
        "Of each generator the synthetic image with the highest correlation", fontsize=9
    )
    return figure


def _distributions(results: Results, *, slices: bool) -> Any:  # noqa: ANN401
    runs = _chosen(results, slices=slices)
    if not runs:
        return _nothing(_figure(6, 1), "such correlations")
    by_data: dict[str, list[RunResult]] = {}
    for one in runs:
        by_data.setdefault(one.run.data, []).append(one)
    models = [m for m in MODEL_NAMES if any(one.run.model == m for one in runs)]
    panels: list[tuple[str, list[tuple[str, Any]]]] = []
    for data, group in by_data.items():
        lines = [(MODEL_NAMES[one.run.model], one.synthetic) for one in group]
        panels.append((f"{data}: by model", [*lines, ("held-out images", group[0].held_out)]))
    for model in models:
        lines = [(one.run.data, one.synthetic) for one in runs if one.run.model == model]
        if len(lines) > 1:
            panels.append((f"{MODEL_NAMES[model]}: by data", lines))
    panels.extend(
        (
            f"{_label(one)}: against test",
            [
                ("synthetic - training", one.synthetic),
                ("synthetic - held-out", one.with_held_out),
                ("held-out - training", one.held_out),
            ],
        )
        for one in runs
    )
    wide = 3
    high = -(-len(panels) // wide)
    figure = _figure(3.4 * wide, 2.4 * high)
    axes = figure.subplots(high, wide, squeeze=False).ravel()
    low = min(float(values.min()) for _, lines in panels for _, values in lines)
    bins = np.linspace(low, 1, 41)
    for axis, (title, lines) in zip(axes, panels, strict=False):
        for (name, values), colour in zip(lines, _COLOURS, strict=False):
            own = _HELD_OUT if name.startswith("held-out") else colour
            axis.hist(values, bins=bins, density=True, histtype="step", color=own,
                      label=f"{name}, n = {len(values):,}, mean {values.mean():.3f}")  # fmt: skip
            axis.axvline(values.mean(), color=own, linewidth=0.8, linestyle=":")
        axis.set_title(title, fontsize=8)
        axis.tick_params(labelsize=6)
        axis.set_xlabel("highest correlation", fontsize=6)
        axis.legend(fontsize=5, loc="upper left", frameon=False)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return figure


def _curves(results: Results) -> Any:  # noqa: ANN401
    runs = [one for one in results.runs if len(one.curve.seen) > 1]
    if not runs:
        return _nothing(_figure(6, 1), "more than its end")
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    for one, colour in zip(runs, _COLOURS * 4, strict=False):
        seen = np.asarray(one.curve.seen) / 1000
        label = f"{_label(one)}, {one.run.size}"
        for axis, name in ((left, "auc"), (right, "above")):
            found = [getattr(point, name) for point in one.curve.found]
            middle = np.array([each.value for each in found])
            spread = np.array([[each.low, each.high] for each in found]).T
            axis.plot(seen, middle, marker="o", markersize=3, color=colour, label=label)
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
    figure.suptitle("Memorization while training; bands: 95 % intervals", fontsize=9)
    return figure


def _show(axis: Any, picture: Any) -> None:  # noqa: ANN401
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _name(axis: Any, text: str) -> None:  # noqa: ANN401
    axis.text(-0.12, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=7)
