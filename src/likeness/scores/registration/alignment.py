"""Moving queries step by step until they lie on their references.

One step linearises the reference: where the query, seen through the present map, shows
``o + s (x + J d)`` with x the reference, J its derivatives by a small turn, zoom and shift d, the
map is corrected by d. Offset o and gain s are fitted per channel in the same least squares, over
the positions that both pictures show, so intensity changes and inversion do not disturb. The noise
is mostly in the query, the derivatives are the reference's: that keeps steps short of nothing.

Source: Gauss-Newton with inverse composition (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV
2004), on four parameters with gain and offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.scores.registration.poses import follow, map_to_pose
from likeness.scores.registration.warping import Grid, sample
from likeness.types import Flags, Floats

_LEAST_GAIN: Final = 0.3
"""Gains (in units of standard deviations) below this are taken as this, so that a start where the
pictures hardly agree does not take leaps."""

_DAMPING: Final = 1e-3
"""Added to the diagonal of the normal equations, relative to it."""

_LARGEST_STEP: Final = 0.06
"""A step moves no part of the picture by more than about this part of half its side."""

STEEPEST: Final = 15.0
LARGEST_ZOOM: Final = 1.15
FARTHEST: Final = 0.1
"""Beyond these (degrees, factor, part of the side) an alignment has lost its way."""


@dataclass(frozen=True)
class Level:
    """References on one grid, ready for alignment."""

    grid: Grid
    values: NDArray[np.float32]
    """(K, C, G) mean 0 and standard deviation 1; 0 where constant."""
    basis: NDArray[np.float32]
    """(K, C, 6, G): 1, the reference, its derivatives by zoom, turn, down and right."""

    @classmethod
    def of(cls, images: NDArray[Any], grid: Grid) -> Level:
        """Prepare images (K, C, rows, columns)."""
        values = standardised(images)
        count, channels = values.shape[:2]
        pictures = values.reshape(count, channels, grid.rows, grid.columns)
        by_row = _slope(pictures, 2) / np.float32(grid.step[0])
        by_column = _slope(pictures, 3) / np.float32(grid.step[1])
        basis = np.empty((count, channels, 6, grid.rows * grid.columns), dtype=np.float32)
        # Lengths are counted in half sides, so that all four numbers are of one size.
        unit = np.float32((grid.height + grid.width) / 4.0)
        down, right = grid.down.astype(np.float32), grid.right.astype(np.float32)
        by_row = by_row.reshape(count, channels, -1)
        by_column = by_column.reshape(count, channels, -1)
        basis[:, :, 0] = 1.0
        basis[:, :, 1] = values
        basis[:, :, 2] = by_row * down + by_column * right
        basis[:, :, 3] = by_row * right - by_column * down
        basis[:, :, 4] = by_row * unit
        basis[:, :, 5] = by_column * unit
        return cls(grid, values, basis)


def standardised(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return images (K, C, rows, columns) as (K, C, G) with mean 0 and deviation 1 per channel."""
    flat = images.reshape(*images.shape[:2], -1).astype(np.float64)
    flat -= flat.mean(axis=2, keepdims=True)
    spread = np.sqrt(np.mean(flat * flat, axis=2, keepdims=True))
    unit = np.divide(flat, spread, out=np.zeros_like(flat), where=spread > 0.0)
    return unit.astype(np.float32)


def _slope(pictures: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Central differences; one-sided at the edges; 0 along an axis of one block."""
    if pictures.shape[axis] == 1:
        return np.zeros_like(pictures)
    slope: NDArray[np.float32] = np.gradient(pictures, axis=axis)
    return slope


def improve(
    queries: NDArray[np.float32],
    which: NDArray[np.int32],
    level: Level,
    present: Flags,
    maps: Floats,
    *,
    steps: int,
    minimum_overlap: float,
) -> tuple[Floats, Floats]:
    """Align pictures of a query with references, several pairs at once.

    Parameters
    ----------
    queries
        (T, C, G) the query in its transforms, on the grid of the level.
    which
        (K,) the transform of each pair.
    level
        The K references.
    present
        (K, C) channels that vary in both.
    maps
        (K, 4) where to start.
    steps
        Number of Gauss-Newton steps.
    minimum_overlap
        Part of the frame, without its rim, that must be shared.

    Returns
    -------
    maps, similarity
        (K, 4) the best maps met on the way, the start included; (K,) their absolute mean
        correlation per channel, -1 where even the start shares too little.
    """
    best, record = maps.copy(), np.full(len(maps), -1.0)
    # Pairs are independent, and so are their sums: no result depends on who shares the batch.
    for step in range(steps + 1):
        seen, inside = sample(queries, level.grid, which, maps, level.grid.down, level.grid.right)
        inside &= level.grid.core
        sums = _Sums.of(seen, inside, level.basis)
        correlation = sums.correlation(present)
        allowed = inside.sum(axis=1) >= minimum_overlap * level.grid.core.sum()
        better = allowed & (np.abs(correlation) > record)
        best[better], record[better] = maps[better], np.abs(correlation)[better]
        if step < steps:
            maps = _clamped(follow(maps, sums.step(present, correlation, level.grid)), level.grid)
    return best, record


def _clamped(maps: Floats, grid: Grid) -> Floats:
    """Bring maps that have lost their way back to the border of what is looked for."""
    angle, zoom, down, right = map_to_pose(maps).T
    lost = (
        (np.abs(angle) > STEEPEST)
        | (np.abs(np.log(zoom)) > np.log(LARGEST_ZOOM))
        | (np.abs(down) > FARTHEST * grid.height)
        | (np.abs(right) > FARTHEST * grid.width)
    )
    if lost.any():
        maps = maps.copy()
        maps[lost] = (1.0, 0.0, 0.0, 0.0)
    return maps


@dataclass(frozen=True)
class _Sums:
    """All that a step needs, per pair and channel."""

    gram: Floats
    """(K, C, 6, 6) of the basis, over the shared positions."""
    answer: Floats
    """(K, C, 6) of the basis with the query."""
    squares: Floats
    """(K, C) of the query."""

    @classmethod
    def of(cls, seen: NDArray[np.float32], inside: Flags, basis: NDArray[np.float32]) -> _Sums:
        shared = inside.astype(np.float32)[:, None, None, :]
        masked = basis * shared
        gram = masked @ basis.swapaxes(2, 3)
        answer = (masked @ seen[..., None])[..., 0]
        squares = ((seen * shared[:, :, 0])[:, :, None, :] @ seen[..., None])[..., 0, 0]
        return cls(gram.astype(np.float64), answer.astype(np.float64), squares.astype(np.float64))

    def moments(self) -> tuple[Floats, Floats, Floats]:
        """Return (K, C) covariance with the reference and the two variances, times the count."""
        count = np.maximum(self.gram[..., 0, 0], 1.0)
        covariance = self.answer[..., 1] - self.answer[..., 0] * self.gram[..., 0, 1] / count
        variance = self.squares - self.answer[..., 0] ** 2 / count
        other = self.gram[..., 1, 1] - self.gram[..., 0, 1] ** 2 / count
        return covariance, variance, other

    def correlation(self, present: Flags) -> Floats:
        """Return (K,) mean correlation over the channels that vary in both."""
        covariance, variance, other = self.moments()
        floor = 1e-6 * np.maximum(self.gram[..., 0, 0], 1.0)
        usable = present & (variance > floor) & (other > floor)
        root = np.sqrt(np.where(usable, variance * other, 1.0))
        each = np.where(usable, covariance / root, 0.0)
        found: Floats = each.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
        return found

    def step(self, present: Flags, correlation: Floats, grid: Grid) -> Floats:
        """Return (K, 4) the correction of each map."""
        covariance, variance, other = self.moments()
        floor = 1e-6 * np.maximum(self.gram[..., 0, 0], 1.0)
        usable = present & (variance > floor) & (other > floor)
        safe, safe_other = np.where(usable, variance, 1.0), np.where(usable, other, 1.0)
        sign = np.where(correlation < 0.0, -1.0, 1.0)[:, None]
        gain = np.maximum(sign * covariance / np.sqrt(safe * safe_other), _LEAST_GAIN) * sign
        gain *= np.sqrt(safe / safe_other)
        # What offset and gain explain is taken out of the derivatives (Schur complement).
        known = self.gram[..., :2, :2].copy()
        known[~usable] = np.eye(2)
        cross, cross_answer = self.gram[..., 2:, :2], self.answer[..., :2, None]
        explained = np.linalg.solve(known, np.concatenate([cross.swapaxes(2, 3), cross_answer], -1))
        left = self.gram[..., 2:, 2:] - cross @ explained[..., :4]
        right = self.answer[..., 2:] - (cross @ explained[..., 4:])[..., 0]
        weight = np.where(usable, gain / safe, 0.0)
        matrix = (left * (weight * gain)[..., None, None]).sum(axis=1)
        vector = (right * weight[..., None]).sum(axis=1)
        diagonal = np.einsum("kii->ki", matrix)
        diagonal *= 1.0 + _DAMPING
        diagonal += 1e-9 + 1e-6 * diagonal.max(axis=1, keepdims=True)
        steps: Floats = np.linalg.solve(matrix, vector[..., None])[..., 0]
        size = np.abs(steps).max(axis=1, keepdims=True)
        steps *= _LARGEST_STEP / np.maximum(size, _LARGEST_STEP)
        steps[:, 2:] *= (grid.height + grid.width) / 4.0
        return steps
