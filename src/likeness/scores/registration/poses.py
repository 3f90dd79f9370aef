"""Where a query has to go so that it lies on a reference: turn, zoom, shift.

A pose acts on a picture after its flip or quarter turn: the picture is turned about its middle by
`angle` (degrees, to the left as `numpy.rot90` does), enlarged by `zoom`, then moved down and to the
right. Positions are (down, right) from the middle of the picture in pixels of the full-size image,
whatever the grid on which the work is done, so that blocks need not be square.

For sampling, the inverse is what is needed: the position in the query that a position p of the
reference shows. It is ``M p + t`` with ``M = [[a, b], [-b, a]]``; the four numbers (a, b, t_down,
t_right) are called a *map* here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.similarity.transforms import apply_transform
from likeness.types import TRANSFORMS, Floats, Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACEMENT: Final = 6
"""Numbers in the placement of a registered pair: angle, zoom, down, right, sign, transform."""

_NOTICEABLE: Final = 0.5
"""Movements of less than half a pixel are not worth a word."""


@dataclass(frozen=True)
class Pose:
    """What, applied to the query, lays it on the reference."""

    angle: float = 0.0
    """Degrees, positive to the left (anticlockwise)."""
    zoom: float = 1.0
    """Above 1: the query is enlarged."""
    down: float = 0.0
    """Pixels of the full-size image."""
    right: float = 0.0
    sign: int = 1
    """-1 where the query's intensities are inverted."""
    transform: Transform = "identity"
    """Flip or quarter turn that comes first."""

    @classmethod
    def from_placement(cls, placement: NDArray[np.floating]) -> Pose:
        """Read a row of `PatientRanking.placement` of the registered family, (6,)."""
        angle, zoom, down, right, sign, transform = (float(value) for value in placement)
        return cls(angle, zoom, down, right, int(sign), TRANSFORMS[int(transform)])

    @classmethod
    def from_map(cls, numbers: Floats, *, sign: int = 1, transform: Transform = "identity") -> Pose:
        """Turn the map (4,) back into what it undoes."""
        angle, zoom, down, right = (float(value) for value in map_to_pose(numbers[None])[0])
        return cls(angle, zoom, down, right, sign, transform)

    def as_map(self) -> Floats:
        """Return the map (4,)."""
        numbers: Floats = pose_to_map(np.array([[self.angle, self.zoom, self.down, self.right]]))[0]
        return numbers

    def seen_from(self, points: Floats) -> Floats:
        """Return where in the query points (n, 2) of the reference are, both from the middle."""
        a, b, t_down, t_right = self.as_map()
        down, right = points.T
        return np.stack([a * down + b * right + t_down, a * right - b * down + t_right], axis=1)


def pose_to_map(poses: Floats) -> Floats:
    """Invert poses.

    Parameters
    ----------
    poses
        (n, 4): angle in degrees, zoom, shift down, shift right in pixels.

    Returns
    -------
    Floats
        (n, 4): a, b, t_down, t_right.
    """
    angle, zoom, down, right = poses.T
    a, b = np.cos(np.deg2rad(angle)) / zoom, np.sin(np.deg2rad(angle)) / zoom
    return np.stack([a, b, -(a * down + b * right), b * down - a * right], axis=1)


def map_to_pose(maps: Floats) -> Floats:
    """Undo `pose_to_map`."""
    a, b, t_down, t_right = maps.T
    squares = a * a + b * b
    return np.stack(
        [
            np.rad2deg(np.arctan2(b, a)),
            1.0 / np.sqrt(squares),
            (b * t_right - a * t_down) / squares,
            -(a * t_right + b * t_down) / squares,
        ],
        axis=1,
    )


def follow(maps: Floats, steps: Floats) -> Floats:
    """Return the maps that send ``(I + D) p + s`` of the reference where `maps` send p.

    Parameters
    ----------
    maps
        (n, 4).
    steps
        (n, 4): D = [[d0, d1], [-d1, d0]], s = (d2, d3).
    """
    a, b, t_down, t_right = maps.T
    c, d, s_down, s_right = 1.0 + steps[:, 0], steps[:, 1], steps[:, 2], steps[:, 3]
    squares = c * c + d * d
    # Matrices of this form are complex numbers a - ib in disguise: dividing is conjugating.
    new_a, new_b = (a * c + b * d) / squares, (b * c - a * d) / squares
    return np.stack(
        [
            new_a,
            new_b,
            t_down - (new_a * s_down + new_b * s_right),
            t_right - (new_a * s_right - new_b * s_down),
        ],
        axis=1,
    )


def turned_poses(poses: Floats, transform: Transform) -> Floats:
    """Return what to do after a flip or quarter turn to do as `poses` do before it.

    Parameters
    ----------
    poses
        (n, 4): angle, zoom, down, right.

    Returns
    -------
    Floats
        (n, 4): P such that "`transform`, then P" equals "pose, then `transform`".
    """
    down, right = _directions(transform)
    mirrored = down[0] * right[1] - down[1] * right[0] < 0
    moved = poses[:, 2, None] * down + poses[:, 3, None] * right
    angle = -poses[:, 0] if mirrored else poses[:, 0]
    return np.stack([angle, poses[:, 1], moved[:, 0], moved[:, 1]], axis=1)


def _directions(transform: Transform) -> tuple[Floats, Floats]:
    """Where a step down and a step to the right point after a transform, (2,) each."""
    found = []
    for row, column in ((2, 1), (1, 2)):
        dot = np.zeros((3, 3))
        dot[row, column] = 1.0
        where = np.argwhere(apply_transform(dot, transform))[0]
        found.append(where - 1.0)
    return found[0], found[1]


def describe_pose(pose: Pose, height: int, width: int) -> str:
    """Say in plain words what was done; "" where nothing moves by more than half a pixel.

    Parameters
    ----------
    height, width
        Size of the full image in pixels, by which small turns and zooms are judged.
    """
    words = []
    flipped = _FLIPS[pose.transform]
    if flipped:
        words.append(flipped)
    reach = math.hypot(height, width) / 2.0
    moved = math.hypot(pose.down, pose.right)
    if moved > _NOTICEABLE:
        words.append(f"shifted by {_number(moved)} px")
    if abs(math.radians(pose.angle)) * reach > _NOTICEABLE:
        turned = _number(abs(pose.angle))
        words.append(f"turned by {turned} degree" + ("" if turned == "1" else "s"))
    if abs(pose.zoom - 1.0) * reach > _NOTICEABLE:
        change = _number(abs(pose.zoom - 1.0) * 100.0)
        words.append(f"{'enlarged' if pose.zoom > 1.0 else 'reduced'} by {change} %")
    text = " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
    inverted = "inverted (dark and bright exchanged)" if pose.sign < 0 else ""
    return "; ".join(part for part in (text, inverted) if part)


def _number(value: float) -> str:
    """Whole where large, one digit where small."""
    text = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"
    return text.removesuffix(".0")


_FLIPS: Final[dict[Transform, str]] = {
    "identity": "",
    "flip_h": "mirrored left to right",
    "flip_v": "mirrored top to bottom",
    "rot90": "turned a quarter to the left",
    "rot180": "turned upside down",
    "rot270": "turned a quarter to the right",
    "transpose": "mirrored along the falling diagonal",
    "antitranspose": "mirrored along the rising diagonal",
}
