"""Figures 1 and 4: training and synthetic images side by side, a line per channel.

They show patients and are not to be shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from likeness.errors import InputError
from likeness.experiments.figures.canvas import (
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
    from matplotlib.figure import Figure

    from likeness.experiments.figures.contents import ImageRow


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
    refuse_empty(rows, "rows of images")
    if columns < 1:
        msg = f"columns is {columns}; at least 1 is needed."
        raise InputError(msg)
    for row in rows:
        if row.images.ndim != 4 or not row.images.size:
            msg = f"{row.label!r}: images have shape {row.images.shape}; (N, C, H, W) was expected."
            raise InputError(msg)
        check_names(row.label, row.channels, row.images.shape[1])
    lines = [(row, channel) for row in rows for channel in range(row.images.shape[1])]
    columns = min(columns, max(len(row.images) for row in rows))
    with default_style():
        figure = blank_figure(0.95 * columns + label_width(rows), 0.95 * len(lines) + 0.35)
        axes = figure.subplots(len(lines), columns, squeeze=False)
        for line, (row, channel) in zip(axes, lines, strict=True):
            count = min(columns, len(row.images))
            chosen = np.linspace(0, len(row.images) - 1, count).astype(np.int64)
            window = grey_window(row.images[chosen][:, channel])
            for place, axis in enumerate(line):
                if place < count:
                    show_picture(axis, row.images[chosen[place], channel], window)
                else:
                    axis.set_axis_off()
            several = row.images.shape[1] > 1
            first = not several or channel == 0
            name_line(line[0], row.label if first else "", row.channels[channel] if several else "")
        add_title(figure, title)
    return figure
