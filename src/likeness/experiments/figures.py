"""The paper's figures as functions of arrays: sheets of images, pairs, distributions.

    image_sheet           figures 1 and 4: training and synthetic images, a line per channel
    pair_sheet            figures 2 and 5: a synthetic image, its most correlated training image,
                          the scatter plot of both, and the slices before and after
    distribution_sheet    figures 3 and 6: distributions of the highest correlations
    save_figure           PNG and PDF, the same bytes for the same figure

A radiograph lies in no volume: in place of slices the second and third most correlated image are
shown, and the header says so. Sheets of images and pairs show patients and are not to be shared.

Source of the arrangement: Akbar, Wang, Eklund 2025, figures 1 to 6.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from likeness._files import write_bytes
from likeness.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from likeness.datasets import ImageSet
    from likeness.types import Floats

Kind = Literal["slices", "matches"]

COLOURS: Final = ("#b34700", "#006aa6", "#00785a", "#7a3e9d", "#8a5a00", "#3a3f45", "#c2447e",
                  "#4a90a4")  # fmt: skip
"""Told apart by colour-blind readers as far as eight can be; lines differ by their dashes too."""
DASHES: Final = ("-", "--", ":", "-.")
BINS: Final = 40
_FEW: Final = 30
"""Below this many values a histogram is mostly gaps: each value gets a mark of its own."""
_LABEL_LETTERS: Final = 22
_PDF: Final = {"CreationDate": None, "Producer": None, "Creator": None}
_HEADERS: Final[dict[Kind, tuple[str, str]]] = {
    "slices": ("previous slice", "next slice"),
    "matches": ("second most correlated", "third most correlated"),
}


@dataclass(frozen=True)
class ImageRow:
    """Images of one origin, on as many lines as they have channels."""

    label: str
    images: NDArray[Any]
    """(N, C, H, W), uint8 or any numbers."""
    channels: Sequence[str]
    """C names."""


@dataclass(frozen=True)
class PairRow:
    """A synthetic image and the training image that it is most correlated with."""

    label: str
    synthetic: NDArray[Any]
    """(C, H, W)."""
    training: NDArray[Any]
    """(C, H, W)."""
    r: float
    """Their correlation, over the channels of `compared`."""
    channels: Sequence[str]
    """C names."""
    compared: Sequence[int]
    """Positions of the channels that were compared, annotations being left out."""
    others: tuple[NDArray[Any] | None, NDArray[Any] | None]
    """Two more training images (C, H, W); None where there is none."""
    kind: Kind
    """What `others` are: the slices before and after, or the second and third match."""


@dataclass(frozen=True)
class Distribution:
    """The highest correlations of the images of one comparison."""

    label: str
    values: Floats
    """(n,) finite."""
    is_baseline: bool = False
    """Of real images of other people: drawn in grey."""


@dataclass(frozen=True)
class Panel:
    """Distributions on one axis."""

    title: str
    distributions: Sequence[Distribution]


def pair_row(
    label: str,
    synthetic: NDArray[Any],
    training: ImageSet,
    matches: Sequence[int],
    r: float,
    *,
    compared: Sequence[int] | None = None,
) -> PairRow:
    """Gather what a row of a pair sheet shows.

    Parameters
    ----------
    synthetic
        (C, H, W).
    training
        The training images.
    matches
        Positions of the most correlated training images, best first; from the second on they serve
        where the best one is no slice of a volume.
    r
        Correlation with the best one.
    compared
        Positions of the channels that were compared; all but annotations by default.

    Raises
    ------
    InputError
        If `matches` is empty.
    """
    if not len(matches):
        msg = f"{label!r}: there is no training image to show."
        raise InputError(msg)
    best = int(matches[0])
    in_volume = training.volumes[best] is not None
    places: list[int | None] = (
        list(training.neighbours(best))
        if in_volume
        else [int(k) for k in matches[1:3]] + [None] * max(0, 3 - len(matches))
    )
    first, second = (None if place is None else training.take([place])[0] for place in places)
    if compared is None:
        names = training.channels
        compared = [k for k, name in enumerate(names) if name not in training.annotation_channels]
        compared = compared or range(len(names))
    return PairRow(
        label, synthetic, training.take([best])[0], float(r), training.channels, tuple(compared),
        (first, second), "slices" if in_volume else "matches",
    )  # fmt: skip


def image_sheet(rows: Sequence[ImageRow], *, columns: int = 8, title: str = "") -> Figure:
    """Draw figure 1 or 4: images side by side, a line for every channel of every row.

    Parameters
    ----------
    rows
        Training images and the images of the models. Of more images than `columns` some are taken
        at equal distances, so that nobody chooses them.
    columns
        Images per line, at least 1.

    Raises
    ------
    InputError
        If there are no rows, or a row has no images or not one name per channel.
    MissingExtraError
        If matplotlib is absent.
    """
    _refuse_empty(rows, "rows of images")
    if columns < 1:
        msg = f"columns is {columns}; at least 1 is needed."
        raise InputError(msg)
    for row in rows:
        if row.images.ndim != 4 or not row.images.size:
            msg = f"{row.label!r}: images have shape {row.images.shape}; (N, C, H, W) was expected."
            raise InputError(msg)
        _check_names(row.label, row.channels, row.images.shape[1])
    lines = [(row, channel) for row in rows for channel in range(row.images.shape[1])]
    columns = min(columns, max(len(row.images) for row in rows))
    with _style():
        figure = _figure(0.95 * columns + _label_width(rows), 0.95 * len(lines) + 0.35)
        axes = figure.subplots(len(lines), columns, squeeze=False)
        for line, (row, channel) in zip(axes, lines, strict=True):
            count = min(columns, len(row.images))
            chosen = np.linspace(0, len(row.images) - 1, count).astype(np.int64)
            window = _window(row.images[chosen][:, channel])
            for place, axis in enumerate(line):
                if place < count:
                    _show(axis, row.images[chosen[place], channel], window)
                else:
                    axis.set_axis_off()
            several = row.images.shape[1] > 1
            first = not several or channel == 0
            _name(line[0], row.label if first else "", row.channels[channel] if several else "")
        _title(figure, title)
    return figure


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
    _refuse_empty(rows, "pairs")
    for row in rows:
        _check_pair(row, shown)
    lines = [
        (row, list(row.channels).index(name), place == 0)
        for row in rows
        for place, name in enumerate([row.channels[row.compared[0]]] if shown is None else shown)
    ]
    kinds = {row.kind for row in rows}
    with _style():
        figure = _figure(1.75 * 5 + _label_width(rows), 1.8 * len(lines) + 0.6)
        axes = figure.subplots(len(lines), 5, squeeze=False)
        for line, (row, channel, is_first) in zip(axes, lines, strict=True):
            window = _window(row.synthetic[channel], row.training[channel])
            _show(line[0], row.synthetic[channel], window)
            _show(line[1], row.training[channel], window)
            for axis, other, what in zip(line[3:], row.others, _HEADERS[row.kind], strict=True):
                if other is None:
                    axis.set_axis_off()
                    axis.text(0.5, 0.5, "none", ha="center", va="center", fontsize=8)
                else:
                    _show(axis, other[channel], window)
                if len(kinds) > 1:
                    axis.set_title(what, fontsize=7)
            if is_first:
                _scatter(line[2], row)
            else:
                line[2].set_axis_off()
            several = len(row.channels) > 1
            _name(line[0], row.label if is_first else "", row.channels[channel] if several else "")
        for axis, text in zip(axes[0][:2], ("synthetic", "most correlated training"), strict=True):
            axis.set_title(text, fontsize=8)
        if len(kinds) == 1:
            for axis, text in zip(axes[0][3:], _HEADERS[rows[0].kind], strict=True):
                axis.set_title(text, fontsize=8)
        _title(figure, title)
    return figure


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
    _refuse_empty(panels, "panels")
    for panel in panels:
        _refuse_empty(panel.distributions, f"distributions in {panel.title!r}")
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
    with _style():
        figure = _figure(3.5 * columns, (2.1 + 0.27 * most) * height + 0.3)
        axes = figure.subplots(height, columns, squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, edges)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        _title(figure, title)
    return figure


def save_figure(
    figure: Figure, stem: Path, *, dpi: int = 150, private: bool = True
) -> tuple[Path, Path]:
    """Write a figure as ``STEM.png`` and ``STEM.pdf``, without date or name of the program.

    Parameters
    ----------
    stem
        The path without an ending; its folder must exist.
    private
        Readable by its owner only, as is right for pictures of patients.
    """
    paths = []
    with _style():
        for ending, metadata in (("png", {"Software": None}), ("pdf", _PDF)):
            stream = io.BytesIO()
            figure.savefig(stream, format=ending, dpi=dpi, metadata=metadata)
            paths.append(stem.with_name(f"{stem.name}.{ending}"))
            write_bytes(paths[-1], stream.getvalue(), private=private)
    return paths[0], paths[1]


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
        labels.append(" " + _wrapped(
            f"{one.label}: N = {len(one.values):,}, mean {mean:.3f}{more}", 46
        ))  # fmt: skip
    axis.set_title(_wrapped(panel.title, 44), fontsize=8, pad=9, parse_math=False)
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


def _scatter(axis: Axes, row: PairRow) -> None:
    window = _window(row.synthetic[list(row.compared)], row.training[list(row.compared)])
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
    _check_names(row.label, row.channels, len(row.synthetic))
    if not row.compared or not all(0 <= k < len(row.synthetic) for k in row.compared):
        msg = f"{row.label!r}: compared is {tuple(row.compared)} of {len(row.synthetic)} channels."
        raise InputError(msg)
    missing = [name for name in shown or () if name not in row.channels]
    if missing or (shown is not None and not shown):
        msg = f"{row.label!r} has no channel {missing}, only {', '.join(row.channels)}."
        raise InputError(msg)


def _check_names(label: str, channels: Sequence[str], count: int) -> None:
    if len(channels) != count:
        msg = f"{label!r}: {len(channels)} names for {count} channels."
        raise InputError(msg)


def _refuse_empty(given: Sequence[object], what: str) -> None:
    if not len(given):
        msg = f"There are no {what} to draw."
        raise InputError(msg)


def _window(*pictures: NDArray[Any]) -> tuple[float, float]:
    if all(picture.dtype == np.uint8 for picture in pictures):
        return 0.0, 255.0
    low = min(float(picture.min()) for picture in pictures)
    high = max(float(picture.max()) for picture in pictures)
    return low, high if high > low else low + 1.0


def _show(axis: Axes, picture: NDArray[Any], window: tuple[float, float]) -> None:
    axis.imshow(picture, cmap="gray", vmin=window[0], vmax=window[1], interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _name(axis: Axes, label: str, channel: str) -> None:
    text = "\n".join(part for part in (_wrapped(label, _LABEL_LETTERS), channel) if part)
    axis.set_ylabel(
        text, rotation=0, ha="right", va="center", fontsize=8, labelpad=6, parse_math=False
    )


def _title(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(title, fontsize=9, parse_math=False)


def _label_width(rows: Sequence[ImageRow] | Sequence[PairRow]) -> float:
    """Return how wide the labels are, in inches: about 0.075 a letter at 8 points."""
    lines = [line for row in rows for line in _wrapped(row.label, _LABEL_LETTERS).split("\n")]
    names = [name for row in rows for name in row.channels]
    return 0.3 + 0.075 * max(len(text) for text in (*lines, *names))


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width)) if len(text) > width else text


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def _style() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's are."""
    try:
        from matplotlib import style
    except ImportError as error:
        msg = "Figures need matplotlib. Install it: pip install 'likeness[metrics]'."
        raise MissingExtraError(msg) from error
    with style.context("default", after_reset=True):
        yield
