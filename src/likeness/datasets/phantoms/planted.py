"""Copies as a generator that memorises would make them: an image, altered.

Pure functions of one image (C, H, W) uint8; the same seed gives the same copy. `plant` names the
kinds that the demo and the tests hide among innocent images.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likeness.errors import OptionError

Picture = NDArray[np.uint8]
PlantedKind = Literal["exact", "noisy", "brightened", "mirrored", "rotated"]
PLANTED_KINDS: Final[tuple[PlantedKind, ...]] = get_args(PlantedKind)

_NOISE: Final = 0.15


def plant(image: Picture, kind: str, *, seed: int) -> Picture:
    """Return a copy of an image, altered in one of the named ways.

    Parameters
    ----------
    image
        (C, H, W) uint8; square for "rotated".
    kind
        "exact"; "noisy": noise of 15 % of each channel's standard deviation; "brightened": another
        contrast and brightness in every channel; "mirrored": left and right exchanged; "rotated":
        one, two or three quarter turns.
    seed
        At least 0.

    Returns
    -------
    array (C, H, W) of uint8
        A new array.

    Raises
    ------
    OptionError
        If there is no such kind, or an image to be rotated is not square.
    """
    rng = np.random.default_rng([seed, 1])
    if kind == "exact":
        return image.copy()
    if kind == "noisy":
        return add_noise(image, _NOISE, seed=seed)
    if kind == "brightened":
        channels = len(image)
        gains, offsets = rng.uniform(0.7, 0.95, channels), rng.uniform(0.0, 12.0, channels)
        return change_contrast(image, gains, offsets)
    if kind == "mirrored":
        return mirror(image)
    if kind == "rotated":
        return rotate_quarters(image, int(rng.integers(1, 4)))
    msg = f"There is no planted copy {kind!r}; the kinds are {', '.join(PLANTED_KINDS)}."
    raise OptionError(msg)


def add_noise(image: Picture, relative_sd: float, *, seed: int) -> Picture:
    """Add Gaussian noise.

    Parameters
    ----------
    image
        (C, H, W).
    relative_sd
        Standard deviation of the noise relative to that of each channel's pixels. Where the result
        would leave 0..255 it is cut off, as in an 8-bit image.
    seed
        At least 0.
    """
    rng = np.random.default_rng([seed, 2])
    sd = image.std(axis=(1, 2), keepdims=True) * relative_sd
    return _to_bytes(image + rng.standard_normal(image.shape) * sd)


def change_contrast(
    image: Picture,
    gains: float | NDArray[np.float64],
    offsets: float | NDArray[np.float64],
) -> Picture:
    """Multiply each channel by a gain and add an offset (one number, or one per channel)."""
    gain = np.broadcast_to(np.asarray(gains, np.float64), len(image))[:, None, None]
    offset = np.broadcast_to(np.asarray(offsets, np.float64), len(image))[:, None, None]
    return _to_bytes(image * gain + offset)


def mirror(image: Picture) -> Picture:
    """Exchange left and right."""
    return np.ascontiguousarray(image[:, :, ::-1])


def rotate_quarters(image: Picture, quarters: int) -> Picture:
    """Turn a square image by quarter turns, counterclockwise.

    Raises
    ------
    OptionError
        If the image is not square: the copy would have another shape.
    """
    if image.shape[1] != image.shape[2]:
        msg = f"An image of {image.shape[1]} x {image.shape[2]} can't be turned; it must be square."
        raise OptionError(msg)
    return np.ascontiguousarray(np.rot90(image, quarters, axes=(1, 2)))


def shift(image: Picture, rows: int, columns: int) -> Picture:
    """Move the picture down and to the right; what comes in is 0."""
    height, width = image.shape[1:]
    moved = np.zeros_like(image)
    down, right = np.clip(rows, -height, height), np.clip(columns, -width, width)
    target = (
        slice(max(down, 0), height + min(down, 0)),
        slice(max(right, 0), width + min(right, 0)),
    )
    origin = (
        slice(max(-down, 0), height - max(down, 0)),
        slice(max(-right, 0), width - max(right, 0)),
    )
    moved[:, target[0], target[1]] = image[:, origin[0], origin[1]]
    return moved


def blur(image: Picture, sd: float) -> Picture:
    """Blur with a Gaussian of standard deviation `sd` pixels."""
    from scipy.ndimage import gaussian_filter  # here, so that importing Likeness stays cheap

    return _to_bytes(gaussian_filter(image.astype(np.float64), sigma=(0, sd, sd)))


def _to_bytes(values: NDArray[np.float64]) -> Picture:
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)
