"""Low-pass filters between the layers."""

from __future__ import annotations

import numpy as np

from likeness.generators.stylegan3.plan import LayerPlan
from likeness.types import Floats


def low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Floats:
    """Design a low-pass filter with a Kaiser window.

    Parameters
    ----------
    taps
        Length; with 1 the filter changes nothing.
    cutoff
        Where it has fallen by half, in the units of `rate`.
    half_width
        From the cutoff to where passband or stopband begin.
    rate
        Samples per unit.

    Returns
    -------
    Floats
        (taps,) symmetric, sum 1.
    """
    if taps == 1:
        return np.ones(1)
    from scipy.signal import firwin

    found: Floats = firwin(taps, cutoff, width=2 * half_width, fs=rate)
    return found


def layer_filters(plan: LayerPlan) -> tuple[Floats, Floats]:
    """Return a layer's filters before and after the nonlinearity.

    The first keeps what the source may hold, the second what the target may hold.
    """
    rate = plan.activation_rate
    before, after = plan.source, plan.target
    return (
        low_pass(plan.up_taps, before.cutoff, before.half_width, rate),
        low_pass(plan.down_taps, after.cutoff, after.half_width, rate),
    )
