"""Smooth random fields in space, cheap to evaluate one slice at a time.

A field is a cubic B-spline with random coefficients on a coarse grid (a few mm), so that it is
twice continuously differentiable: what it shapes changes smoothly from slice to slice, and a
slice at any height costs a few array operations. The coefficients are noise, shaped in the Fourier
domain to a wavelength; along one axis the wavelength may be stretched.

Interpolation uses elementwise sums only, no matrix products: those may differ in the last bit
with the number of threads, and phantoms are meant to be the same bytes everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array32: TypeAlias = NDArray[np.float32]
Floating: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Fields:
    """Several random fields on one grid.

    `coefficients` is (F, X, Y, Z) float32; the first coefficient lies one `spacing` (mm) before
    `start`, the (x, y, z) in mm where the fields begin.
    """

    coefficients: Array32
    spacing: float
    start: tuple[float, float, float]

    def at(self, x: tuple[float, float, int], y: tuple[float, float, int], z: float) -> Array32:
        """Evaluate all fields on one axial slice.

        Parameters
        ----------
        x, y
            First pixel centre (mm), distance of pixel centres (mm), number of pixels.
        z
            Height of the slice, mm.

        Returns
        -------
        array (F, number along y, number along x) of float32
        """
        place, weights = _taps(z, 1.0, 1, self.start[2], self.spacing)
        base = int(place[0])
        plane = sum_of_taps(
            [self.coefficients[..., base + t] for t in range(4)], [w[0] for w in weights]
        )
        place, weights = _taps(*x, self.start[0], self.spacing)
        rows = sum_of_taps(
            [plane[:, place + t, :] for t in range(4)], [w[None, :, None] for w in weights]
        )
        turned = np.ascontiguousarray(rows.transpose(0, 2, 1))
        place, weights = _taps(*y, self.start[1], self.spacing)
        return sum_of_taps(
            [turned[:, place + t, :] for t in range(4)], [w[None, :, None] for w in weights]
        )


def sum_of_taps(parts: list[Array32], weights: list[Array32]) -> Array32:
    """Return the weighted sum, added in the order given."""
    total: Array32 = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total += part * weight
    return total


def ramp(distance: Floating, width: float) -> Array32:
    """Return 0 below -width/2, 1 above width/2, and a straight line between."""
    result: Array32 = np.clip(distance * np.float32(1.0 / width) + np.float32(0.5), 0.0, 1.0)
    return result


def root(values: Floating) -> Array32:
    """Return the square root, 0 for negative values: the chord through a round body."""
    result: Array32 = np.sqrt(np.maximum(values, 0.0))
    return result


def grid_shape(extent: tuple[float, float, float], spacing: float) -> tuple[int, int, int]:
    """Return how many coefficients per axis a field over `extent` (mm) needs."""
    count = [int(np.ceil(length / spacing)) + 4 for length in extent]
    return count[0], count[1], count[2]


def band_noise(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing: float,
    *,
    wavelength: float,
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0),
    spread: float = 0.35,
) -> Array32:
    """Return B-spline coefficients of noise around one wavelength, standard deviation 1.

    Parameters
    ----------
    rng
        The source of the noise.
    shape
        Number of coefficients along x, y, z.
    spacing
        Their distance, mm.
    wavelength
        Of the strongest oscillation, mm.
    stretch
        By how much the wavelength is longer along x, y, z.
    spread
        Relative width of the band.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    return _shaped(noise, _band(shape, spacing, wavelength, stretch, spread))


def smooth_noise(rng: np.random.Generator, count: int, shape: tuple[int, int, int]) -> Array32:
    """Return coefficients (count, X, Y, Z) of noise that varies over about twice the spacing.

    The field has a standard deviation of about 1: white coefficients, scaled by what the cubic
    B-spline takes away (the sum of its squared weights is 0.4794 per axis on average).
    """
    noise = rng.standard_normal((count, *shape), dtype=np.float32)
    return noise * np.float32(0.4794**-1.5)


def _shaped(noise: Array32, band: Array32) -> Array32:
    spectrum = np.fft.rfftn(noise) * band
    shaped = np.fft.irfftn(spectrum, s=noise.shape, axes=(0, 1, 2))
    result: Array32 = (shaped / shaped.std()).astype(np.float32)
    return result


@lru_cache(maxsize=32)
def _band(
    shape: tuple[int, int, int],
    spacing: float,
    wavelength: float,
    stretch: tuple[float, float, float],
    spread: float,
) -> Array32:
    """Return the amplitude per frequency: a bell around 1 / wavelength."""
    axes = [np.fft.fftfreq(n, spacing) for n in shape[:2]] + [np.fft.rfftfreq(shape[2], spacing)]
    squared = sum(
        (axis * factor) ** 2
        for axis, factor in zip(np.meshgrid(*axes, indexing="ij"), stretch, strict=True)
    )
    relative = np.sqrt(squared) * wavelength - 1.0
    amplitude: Array32 = np.exp(-0.5 * (relative / spread) ** 2).astype(np.float32)
    return amplitude


@lru_cache(maxsize=256)
def _taps(
    first: float, step: float, count: int, start: float, spacing: float
) -> tuple[NDArray[np.intp], tuple[Array32, ...]]:
    """Return, per position, the first of four coefficients and the four B-spline weights."""
    position = (first + step * np.arange(count) - start) / spacing
    place = np.floor(position)
    t = position - place
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    return place.astype(np.intp), tuple(w.astype(np.float32) for w in weights)
