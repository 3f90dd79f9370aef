"""Pixels of 16-bit colour PNGs, which Pillow would cut down to 8 bits.

The five row filters predict a byte from its left, upper and upper-left neighbours, so all pixels on
one anti-diagonal can be undone at once.

Source: W3C PNG Specification (Third Edition), section 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likeness.readers._png_chunks import PngParts
    from likeness.readers._sources import Source

_BYTES = 2
_NUM_FILTERS = 5


def decode_16bit(source: Source, parts: PngParts, raw: bytes) -> NDArray[np.uint16]:
    """Return the pixels (H, W, samples) of a 16-bit PNG, alpha included.

    Parameters
    ----------
    raw
        Rows with their filter bytes, as `_png_chunks.inflate` gives them.

    Raises
    ------
    UnreadableImageError
        ``damaged``.
    """
    check_filters(source, parts, raw)
    image = np.empty((parts.height, parts.width, parts.samples), np.uint16)
    for (top, left, down, right), block in _blocks(parts, raw):
        target = image[top::down, left::right]
        rows, columns, samples = target.shape
        unfiltered = _unfilter(block[:, 0], block[:, 1:].reshape(rows, columns, samples * _BYTES))
        target[:] = unfiltered.view(">u2").reshape(target.shape)
    return image


def check_filters(source: Source, parts: PngParts, raw: bytes) -> None:
    """Refuse rows packed in a way that does not exist.

    Raises
    ------
    UnreadableImageError
        ``damaged``.
    """
    highest = max(int(block[:, 0].max()) for _, block in _blocks(parts, raw))
    if highest >= _NUM_FILTERS:
        source.refuse("damaged", f"there is no row filter {highest}")


def _blocks(
    parts: PngParts, raw: bytes
) -> Iterator[tuple[tuple[int, int, int, int], NDArray[np.uint8]]]:
    """Yield each pass with its rows, filter bytes first."""
    at = 0
    for each, rows, length in parts.row_sizes():
        yield each, np.frombuffer(raw, np.uint8, rows * length, at).reshape(rows, length)
        at += rows * length


def _unfilter(filters: NDArray[np.uint8], deltas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the row filters of (rows, columns, bytes of a pixel)."""
    rows, columns, width = deltas.shape
    # A border of zeros above and to the left stands for the neighbours outside.
    out: NDArray[Any] = np.zeros((rows + 1, columns + 1, width), np.int16)
    for diagonal in range(rows + columns - 1):
        y = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        x = diagonal - y
        left, up, corner = out[y + 1, x], out[y, x + 1], out[y, x]
        kind = filters[y, np.newaxis]
        to_left, to_up = np.abs(up - corner), np.abs(left - corner)
        to_corner = np.abs(left + up - 2 * corner)
        paeth = np.where(
            (to_left <= to_up) & (to_left <= to_corner),
            left,
            np.where(to_up <= to_corner, up, corner),
        )
        guess = np.select(
            [kind == 1, kind == 2, kind == 3, kind == 4],
            [left, up, (left + up) // 2, paeth],
            0,
        )
        out[y + 1, x + 1] = (deltas[y, x] + guess) & 0xFF
    return np.ascontiguousarray(out[1:, 1:].astype(np.uint8))
