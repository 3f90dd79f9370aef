"""Compiled: from images to the rounded coefficients of the coarse level."""

from __future__ import annotations

import numba
import numpy as np

_SLACK = 1e-9
_UP = 1 + 1e-6


@numba.njit(nogil=True, cache=True)
def fold(images, out, moments):  # type: ignore[no-untyped-def]
    """Sum 2 x 2 pixels of images (n, H, W), then add and subtract mirrored halves of a window.

    out (n, 2, 2, h / 4, w / 4): the rows' halves added or subtracted, then the columns', of the
    h x w pixels in the middle. moments (n, 3): sums of all pixels and of their squares, and the sum
    of the pixels outside.
    """
    count, height, width = images.shape
    rows, columns = height // 2, width // 2
    half, half_columns = out.shape[3], out.shape[4]
    top, first = rows // 2 - half, columns // 2 - half_columns
    small = np.empty((rows, columns), dtype=np.int32)
    for n in range(count):
        total, squares = np.int64(0), np.int64(0)
        for i in range(rows):
            line, line_squares = np.int32(0), np.int32(0)
            for j in range(columns):
                a, b = np.int32(images[n, 2 * i, 2 * j]), np.int32(images[n, 2 * i, 2 * j + 1])
                c = np.int32(images[n, 2 * i + 1, 2 * j])
                d = np.int32(images[n, 2 * i + 1, 2 * j + 1])
                four = a + b + c + d
                small[i, j] = four
                line += four
                line_squares += a * a + b * b + c * c + d * d
            total += line
            squares += line_squares
        inside = np.int64(0)
        for i in range(half):
            for j in range(half_columns):
                a, b = small[top + i, first + j], small[top + i, columns - 1 - first - j]
                c = small[rows - 1 - top - i, first + j]
                d = small[rows - 1 - top - i, columns - 1 - first - j]
                inside += a + b + c + d
                out[n, 0, 0, i, j] = a + b + c + d
                out[n, 0, 1, i, j] = a - b + c - d
                out[n, 1, 0, i, j] = a + b - c - d
                out[n, 1, 1, i, j] = a - b - c + d
        moments[n, 0], moments[n, 1], moments[n, 2] = total, squares, total - inside


@numba.njit(nogil=True, cache=True)
def round_low(planes, moments, pixels, places, low, numbers, left):  # type: ignore[no-untyped-def]
    """Divide coefficients of 2 x 2 sums (n, F) by the norm, and round those at `places`.

    low (n, K) float32 gets numbers that bfloat16 holds, numbers (n, 2) the norms of what `low`
    leaves and of its rounding, left (n,) the square of the first before it is made larger. planes
    are overwritten by their quotients, 0 where an image is constant.

    A squared norm gets `_SLACK` for the rounding of sums in float64, all of vectors of norm 1, and
    what is stored in float32 is made larger by `_UP`, so that rounding cannot make it smaller. The
    rounding of `low` is enlarged by another hundredth, which `bounds` needs.
    """
    buffer = np.empty(1, dtype=np.float32)
    bits = buffer.view(np.uint32)
    half, odd, upper = np.uint32(0x7FFF), np.uint32(1), np.uint32(0xFFFF0000)
    for n in range(len(planes)):
        variance = pixels * moments[n, 1] - moments[n, 0] * moments[n, 0]
        if variance <= 0:
            planes[n] = 0.0
            left[n] = -1.0
            continue
        planes[n] *= 0.5 / np.sqrt(variance / pixels)  # a sum of four is twice a unit pattern
        rest, lost = 1.0, 0.0
        for k in range(len(places)):
            value = planes[n, places[k]]
            buffer[0] = value
            word = bits[0]
            bits[0] = (word + half + ((word >> np.uint32(16)) & odd)) & upper
            low[n, k] = buffer[0]
            rest -= value * value
            lost += (value - buffer[0]) ** 2
        left[n] = rest
        numbers[n, 0] = np.sqrt(max(rest, 0.0) + _SLACK) * _UP
        numbers[n, 1] = np.sqrt(lost + _SLACK * _SLACK) * _UP * 1.01


@numba.njit(nogil=True, cache=True)
def round_band(planes, places, band, numbers, left):  # type: ignore[no-untyped-def]
    """Round coefficients (n, F) at `places` to whole steps of a 127th of the largest.

    band (n, K) gets steps plus 128, numbers (n, 3) the norms of what is left and of the rounding,
    and the step; left (n,) is updated. See `round_low`.
    """
    for n in range(len(planes)):
        if left[n] == -1.0:
            continue
        largest = 0.0
        for k in range(len(places)):
            largest = max(largest, abs(planes[n, places[k]]))
        step = np.float32(largest / 127)
        rest, lost = left[n], 0.0
        scale = 1 / np.float64(step) if step > 0 else 0.0
        for k in range(len(places)):
            value = planes[n, places[k]]
            steps = min(127.0, max(-127.0, np.rint(value * scale)))
            band[n, k] = np.uint8(np.int32(steps) + 128)
            rest -= value * value
            lost += (value - steps * np.float64(step)) ** 2
        left[n] = max(rest, 0.0)
        numbers[n, 0] = np.sqrt(left[n] + _SLACK) * _UP
        numbers[n, 1] = np.sqrt(lost + _SLACK * _SLACK) * _UP
        numbers[n, 2] = step
