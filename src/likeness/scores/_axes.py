"""Few numbers instead of many, with a norm of what is left: bounds of inner products.

For vectors x and y and orthonormal axes B, with z = B'x the part along the axes and e the length
of the rest, Cauchy-Schwarz says

    <x, y> <= <z, z'> + e e'

The axes are principal axes of a sample of the references, along which pictures of one kind have
most of their length; any axes give a valid bound, good ones a tight bound. They decide how much
work can be skipped, never a result.

Rounding: z is computed in float64 and rounded once to float32, e is rounded upwards. A product of
r numbers of float32 is off by at most ``(r + 1) 2**-24 |z| |z'|`` in whatever order it is added
up, and rounding z by half as much once more per side; `slack` covers all of it with room to spare.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.types import Floats

_ROOM: Final = 64
_TINY: Final = 1e-12
"""Cancellation in |x|**2 - |z|**2, relative: some thousand roundings of float64."""


def slack(count: int) -> float:
    """Return by how much a bound of `count` products may be too low, relative to |x| |y|."""
    return float((count + _ROOM) * 2.0**-23)


def principal_axes(sample: NDArray[np.floating], most: int) -> tuple[Floats, Floats]:
    """Find the directions in which some vectors are longest.

    Parameters
    ----------
    sample
        (s, D).
    most
        Axes wanted; never more than s or D.

    Returns
    -------
    axes, energy
        (D, r) orthonormal to 1e-13, and (r,) mean square along each, falling.
    """
    count, length = sample.shape
    most = min(most, count, length)
    values = sample.astype(np.float64)
    if count < length:
        energy, vectors = np.linalg.eigh(values @ values.T)
        axes = values.T @ vectors[:, ::-1][:, :most]
    else:
        energy, vectors = np.linalg.eigh(values.T @ values)
        axes = vectors[:, ::-1][:, :most]
    axes, _ = np.linalg.qr(axes)
    return axes, np.maximum(energy[::-1][:most], 0.0) / max(count, 1)


def along(vectors: Floats, axes: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (n, r) the parts of vectors (n, D) along the axes and (n,) the length of the rest."""
    part = vectors @ axes
    squares = np.einsum("ij,ij->i", vectors, vectors)
    rest = squares - np.einsum("ij,ij->i", part, part)
    length = np.sqrt(np.maximum(rest, 0.0) + _TINY * squares)
    return part.astype(np.float32), rounded_up(length)


def rounded_up(values: Floats) -> NDArray[np.float32]:
    """Return float32 numbers that are not smaller."""
    near = values.astype(np.float32)
    return np.nextafter(near, np.float32(np.inf), where=near > 0, out=near)
