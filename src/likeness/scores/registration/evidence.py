"""One pair at full size: the query laid on its reference, for the eye and for the record.

The ranking decides on block means. Here the pose that it found is refined on ever finer blocks, up
to `FINEST` along each axis, and the whole query is drawn as the reference shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.errors import ImageMismatchError
from likeness.scores.registration.alignment import Level, improve, standardised
from likeness.scores.registration.poses import Pose
from likeness.scores.registration.warping import Grid
from likeness.similarity.blocks import BlockGrid
from likeness.similarity.transforms import apply_transform
from likeness.types import Flags, Floats, Image

FINEST: Final = 512
_FIRST: Final = 64
_STEPS: Final = 6
_EQUAL: Final = 1e-5
"""Correlations on blocks that differ by no more are taken as equal: rounding in float32."""

_WHOLE: Final = 0.5
"""A pose that moves no corner by more pixels than this from a shift by whole pixels is also tried
as that shift, which needs no interpolation."""


@dataclass(frozen=True)
class Alignment:
    """A query laid on its reference."""

    pose: Pose
    """What was applied to the query."""
    warped: Image
    """(C, H, W), the query's number type: cubic splines, rounded and kept within its type and
    range; the nearest pixels where `overlap` is False. Not inverted, even where `pose.sign` is -1.
    """
    overlap: Flags
    """(H, W) where both pictures show something; of a moved query without a thin rim of the frame,
    where interpolation mixes with what lies beyond (`Grid.core`)."""
    correlation: float
    """r_cat over the overlap; NaN where a picture is constant there. Negative if inverted."""
    correlation_mean: float
    """r_ch over the overlap, of the channels that vary in both; NaN where there is none."""
    gain: Floats
    """(C,) of the least squares fit ``reference = gain * warped + offset`` over the overlap."""
    offset: Floats
    """(C,); the mean of the reference where the query is constant."""


def align(
    query: Image, reference: Image, start: Pose | None = None, *, minimum_overlap: float = 0.7
) -> Alignment:
    """Lay a query on a reference at full size.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape and number type.
    start
        Where to begin, for example `Pose.from_placement`. Its transform is kept; angle, zoom, shift
        and sign are refined. None for the unmoved query.
    minimum_overlap
        Part of the frame that a refined pose must keep.

    Returns
    -------
    Alignment
        Of the best of: the refined pose, `start`, the nearest shift by whole pixels, no movement.

    Raises
    ------
    ImageMismatchError
        If shapes or number types differ, or the transform would change the shape.
    """
    start = start or Pose()
    if query.shape != reference.shape or query.dtype != reference.dtype:
        msg = (
            f"The query is {query.shape} of {query.dtype}, the reference {reference.shape} of "
            f"{reference.dtype}; an alignment needs two images of one shape and number type."
        )
        raise ImageMismatchError(msg)
    turned = np.ascontiguousarray(apply_transform(query, start.transform))
    if turned.shape != query.shape:
        msg = (
            f"{start.transform!r} changes the shape of an image of {query.shape[1]} x "
            f"{query.shape[2]} pixels; only square images can be turned by a quarter."
        )
        raise ImageMismatchError(msg)
    poses = _poses(turned, reference, start, minimum_overlap)
    return _lay(turned, reference, poses[_simplest(turned, reference, poses, minimum_overlap)])


def _poses(turned: Image, reference: Image, start: Pose, overlap: float) -> list[Pose]:
    """Return the poses that are tried, the simplest first."""
    refined = _refined(turned, reference, start, overlap)
    unmoved = Pose(transform=start.transform)
    whole = replace(unmoved, down=float(np.rint(refined.down)), right=float(np.rint(refined.right)))
    near = _distance(whole, refined, *turned.shape[1:]) <= _WHOLE
    return [unmoved, *([whole] if near else []), refined, replace(start, sign=1)]


def _simplest(turned: Image, reference: Image, poses: list[Pose], overlap: float) -> int:
    """Return the first pose that agrees as well as the best, judged on blocks.

    At full size noise would leave little to judge by.
    """
    level, present, pictures = _level(turned, reference, _FIRST)
    agreement = [
        improve(
            pictures,
            np.zeros(1, dtype=np.int32),
            level,
            present,
            pose.as_map()[None],
            steps=0,
            minimum_overlap=overlap,
        )[1][0]
        for pose in poses
    ]
    return int(np.argmax(np.array(agreement) >= max(agreement) - _EQUAL))


def _level(
    turned: Image, reference: Image, blocks: int
) -> tuple[Level, Flags, NDArray[np.float32]]:
    """Return the reference on blocks, the channels that vary in both, and the query."""
    _, height, width = turned.shape
    cut = BlockGrid(height, width, blocks)
    means, other = cut.means(turned), cut.means(reference)
    varies = [picture.max(axis=(1, 2)) > picture.min(axis=(1, 2)) for picture in (means, other)]
    level = Level.of(other[None], Grid(height, width, cut.rows, cut.columns))
    return level, (varies[0] & varies[1])[None], standardised(means[None])


def _refined(turned: Image, reference: Image, start: Pose, overlap: float) -> Pose:
    """Refine a pose on ever finer blocks."""
    _, height, width = turned.shape
    maps = start.as_map()[None]
    blocks = _FIRST
    while True:
        level, present, pictures = _level(turned, reference, blocks)
        maps, _ = improve(
            pictures,
            np.zeros(1, dtype=np.int32),
            level,
            present,
            maps,
            steps=_STEPS,
            minimum_overlap=overlap,
        )
        blocks *= 2
        if blocks > FINEST or blocks >= 2 * max(height, width):
            return Pose.from_map(maps[0], transform=start.transform)


def _distance(first: Pose, second: Pose, height: int, width: int) -> float:
    """Return by how many pixels two poses disagree in the corner where they disagree most."""
    corners = np.array([[i, j] for i in (-0.5, 0.5) for j in (-0.5, 0.5)]) * (height, width)
    apart = first.seen_from(corners) - second.seen_from(corners)
    return float(np.hypot(apart[:, 0], apart[:, 1]).max())


def _lay(turned: Image, reference: Image, pose: Pose) -> Alignment:
    warped, overlap = _warped(turned, pose)
    channels = len(turned)
    shown = warped[:, overlap].astype(np.float64)
    other = reference[:, overlap].astype(np.float64)
    gain, offset = np.zeros(channels), other.mean(axis=1)
    each = np.full(channels, np.nan)
    for c in range(channels):
        if np.ptp(shown[c]) > 0.0:
            first, second = shown[c] - shown[c].mean(), other[c] - other[c].mean()
            gain[c] = np.sum(first * second) / np.sum(first * first)
            offset[c] = other[c].mean() - gain[c] * shown[c].mean()
            each[c] = _pearson(shown[c], other[c])
    known = each[~np.isnan(each)]
    mean = float(known.mean()) if len(known) else float("nan")
    whole = _pearson(shown.reshape(-1), other.reshape(-1)) if len(known) else float("nan")
    sign = -1 if mean < 0.0 else 1
    return Alignment(replace(pose, sign=sign), warped, overlap, whole, mean, gain, offset)


def _warped(turned: Image, pose: Pose) -> tuple[Image, Flags]:
    """Draw the query as the reference shows it, and where it lies on the frame."""
    from scipy import ndimage

    _, height, width = turned.shape
    if pose == Pose(transform=pose.transform):
        return turned.copy(), np.ones((height, width), dtype=np.bool_)
    a, b, t_down, t_right = pose.as_map()
    matrix = np.array([[a, b], [-b, a]])
    middle = np.array([(height - 1) / 2.0, (width - 1) / 2.0])
    offset = middle + np.array([t_down, t_right]) - matrix @ middle
    warped = np.empty_like(turned)
    for target, channel in zip(warped, turned, strict=True):
        values = ndimage.affine_transform(
            channel.astype(np.float64), matrix, offset, order=3, mode="nearest"
        )
        values = np.clip(values, float(channel.min()), float(channel.max()))
        target[...] = np.rint(values) if turned.dtype.kind in "iu" else values
    grid = Grid(height, width, height, width)
    place = pose.seen_from(np.stack([grid.down, grid.right], axis=1))
    inside = (np.abs(place) <= (height / 2.0, width / 2.0)).all(axis=1) & grid.core
    return warped, inside.reshape(height, width)


def _pearson(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Correlate two vectors, two passes in float64; NaN where one is constant."""
    if np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return float("nan")
    first, second = first - first.mean(), second - second.mean()
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    root = np.sqrt(np.sum(first * first) * np.sum(second * second))
    return float(np.clip(np.sum(first * second) / root, -1.0, 1.0))
