"""Changes of the values that leave every structure in its place.

All functions take and return float64 images (C, H, W) and change no argument.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats


def requantise(image: Floats, low: Floats, high: Floats) -> Floats:
    """Round to 256 equally spaced levels between the ends of the range."""
    step = (high - low) / 255.0
    safe = np.where(step > 0, step, 1.0)
    rounded: Floats = low + np.rint((image - low) / safe) * step
    return rounded


def change_gain(
    image: Floats, low: Floats, high: Floats, gain: float, rng: np.random.Generator
) -> Floats:
    """Multiply and shift each channel by its own numbers, without leaving the range.

    The gains of the channels are `gain` times up to 10 % more or less, at most what the range
    allows; the offset is drawn from the room that is left. Nothing is cut off: a change that cuts
    off is no affine change.
    """
    floor = image.min(axis=(1, 2), keepdims=True)
    spread = image.max(axis=(1, 2), keepdims=True) - floor
    room = high - low
    gains = gain * rng.uniform(0.9, 1.1, (len(image), 1, 1))
    gains = np.minimum(gains, np.divide(room, spread, out=np.ones_like(spread), where=spread > 0))
    start = low + rng.uniform(size=gains.shape) * (room - gains * spread)
    changed: Floats = start + (image - floor) * gains
    return changed


def change_gamma(image: Floats, low: Floats, high: Floats, exponent: float) -> Floats:
    """Raise the values, taken as shares of their range, to a power."""
    spread = high - low
    share = np.divide(image - low, spread, out=np.zeros_like(image), where=spread > 0)
    changed: Floats = low + spread * np.clip(share, 0.0, 1.0) ** exponent
    return changed


def add_noise(image: Floats, relative_sd: float, rng: np.random.Generator) -> Floats:
    """Add Gaussian noise; its standard deviation is relative to that of each channel's pixels."""
    sd = relative_sd * image.std(axis=(1, 2), keepdims=True)
    noisy: Floats = image + sd * rng.standard_normal(image.shape)
    return noisy


def blur(image: Floats, sd: float) -> Floats:
    """Blur with a Gaussian of standard deviation `sd` pixels."""
    from scipy.ndimage import gaussian_filter  # here, so that importing Likeness stays cheap

    blurred: Floats = gaussian_filter(image, sigma=(0.0, sd, sd), mode="nearest")
    return blurred


def invert(image: Floats, low: Floats, high: Floats) -> Floats:
    """Exchange bright and dark."""
    return low + high - image
