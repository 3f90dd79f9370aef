"""Changes of place: mirror images, turns, shifts, zoom, bending, another size and back.

All functions take and return float64 images (C, H, W) and change no argument. Interpolation is
linear; what comes in from outside is the lowest value of the channel, the background.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats

_BEND_SPACING = 24.0
"""Pixels at 256 x 256 over which the bending field stays similar."""


def shift(image: Floats, rows: float, columns: float) -> Floats:
    """Move the picture down and to the right, also by parts of a pixel."""
    return _mapped(image, np.eye(2), np.array([rows, columns], dtype=np.float64))


def rotate(image: Floats, degrees: float) -> Floats:
    """Turn about the centre, counterclockwise."""
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    # Rows run downwards: this is the inverse map, from the new place to the old one.
    return _mapped(image, np.array([[cosine, sine], [-sine, cosine]]), np.zeros(2))


def zoom(image: Floats, factor: float) -> Floats:
    """Enlarge about the centre (`factor` above 1) or shrink."""
    return _mapped(image, np.eye(2) / factor, np.zeros(2))


def bend(image: Floats, amount: float, scale: float, rng: np.random.Generator) -> Floats:
    """Bend smoothly; `amount` is the root mean square length of the displacement in pixels."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    shape = image.shape[1:]
    field = gaussian_filter(
        rng.standard_normal((2, *shape)), (0.0, _BEND_SPACING * scale, _BEND_SPACING * scale)
    )
    length = np.sqrt(np.mean(np.sum(field**2, axis=0)))
    places = np.indices(shape) + field * (amount / length)
    floors = image.min(axis=(1, 2))
    return np.stack(
        [
            map_coordinates(channel, places, order=1, mode="constant", cval=floor)
            for channel, floor in zip(image, floors, strict=True)
        ]
    )


def resize_and_back(image: Floats, factor: float) -> Floats:
    """Resize both sides by `factor` and back to where they were."""
    from scipy.ndimage import zoom as resized

    shape = image.shape[1:]
    small = [max(2, round(side * factor)) for side in shape]
    there = [new / old for new, old in zip(small, shape, strict=True)]
    back = [old / new for new, old in zip(small, shape, strict=True)]
    options = {"order": 1, "mode": "nearest", "grid_mode": True}
    return np.stack(
        [resized(resized(channel, there, **options), back, **options) for channel in image]
    )


def _mapped(image: Floats, matrix: Floats, offset: Floats) -> Floats:
    """Move a point p of the old picture to the p' with ``p - c = matrix (p' - c - offset)``."""
    from scipy.ndimage import affine_transform

    centre = (np.array(image.shape[1:]) - 1) / 2
    start = centre - matrix @ (centre + offset)
    return np.stack(
        [
            affine_transform(
                channel, matrix, start, order=1, mode="constant", cval=float(channel.min())
            )
            for channel in image
        ]
    )
