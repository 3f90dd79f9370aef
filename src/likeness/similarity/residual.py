"""What is left of a query when its reference, brightened or darkened to fit, is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from likeness.similarity._pairs import float_pair, varies
from likeness.types import Floats

if TYPE_CHECKING:
    from likeness.types import Image


@dataclass(frozen=True)
class IntensityFit:
    """The best ``query = gain * reference + offset``, channel by channel, by least squares."""

    gain: tuple[float, ...]
    """One per channel; 0 where the reference is constant."""
    offset: tuple[float, ...]
    """One per channel, in units of the query's pixels."""
    residual: Floats
    """(C, H, W) query - gain * reference - offset."""
    relative_residual: float | None
    """Length of the residual over that of the query less its mean per channel, all channels
    together; 0 where the fit is perfect, 1 where the reference explains nothing, None where all
    channels of the query are constant. For one channel this is ``sqrt(1 - r**2)``."""
    inverted: bool
    """Whether light and dark are exchanged: channels with a negative gain explain more of the query
    (a larger sum of squares) than those with a positive one."""


def intensity_fit(query: Image, reference: Image) -> IntensityFit:
    """Fit a gain and an offset per channel.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape.

    Raises
    ------
    ImageMismatchError
        If shapes differ.
    InputError
        If a value is not finite.
    """
    targets, sources = float_pair(query, reference)
    gains, offsets, balance, left, total = [], [], 0.0, 0.0, 0.0
    residual = np.empty_like(targets)
    for rest, target, source in zip(residual, targets, sources, strict=True):
        mean_target, mean_source = float(np.mean(target)), float(np.mean(source))
        s, x = target - mean_target, source - mean_source
        squares = float(np.sum(x * x)) if varies(source) else 0.0
        gain = float(np.sum(s * x)) / squares if squares > 0 else 0.0
        np.subtract(s, gain * x, out=rest)
        if varies(target):
            left += float(np.sum(rest * rest))
            total += float(np.sum(s * s))
            balance += np.sign(gain) * gain * gain * squares
        gains.append(gain)
        offsets.append(mean_target - gain * mean_source)
    relative = float(np.sqrt(left / total)) if total > 0 else None
    return IntensityFit(tuple(gains), tuple(offsets), residual, relative, bool(balance < 0))
