"""guided-diffusion's noise and samplers in plain NumPy, float64, from the published formulas.

Ho et al. 2020 (equations 4, 7, 11, 15), Nichol and Dhariwal 2021 (the larger variance, steps left
out), Song et al. 2021 (equations 12 and 16). The network is any function of images and times.
"""

from __future__ import annotations

import numpy as np


def all_betas(steps):
    return [1000 / steps * (1e-4 + (0.02 - 1e-4) * i / (steps - 1)) for i in range(steps)]


def alpha_bars(betas):
    found, product = [], 1.0
    for beta in betas:
        product *= 1 - beta
        found.append(product)
    return found


def spread(steps, wanted):
    """`wanted` times from 0 to the last, evenly; the fraction is carried along, then rounded."""
    stride, at, found = (steps - 1) / (wanted - 1), 0.0, []
    for _ in range(wanted):
        found.append(round(at))
        at += stride
    return found


def strided(steps, wanted):
    """The first stride of whole steps that gives `wanted` times."""
    for stride in range(1, steps):
        if len(range(0, steps, stride)) == wanted:
            return list(range(0, steps, stride))
    raise AssertionError


def respaced(steps, times):
    """Betas of the process that only visits `times`."""
    bars, last, found = alpha_bars(all_betas(steps)), 1.0, []
    for time in times:
        found.append(1 - bars[time] / last)
        last = bars[time]
    return found


def ancestral(network, start, noises, steps, times, rescale=False):
    betas = respaced(steps, times)
    bars = alpha_bars(betas)
    x = start
    for i in reversed(range(len(times))):
        before = bars[i - 1] if i else 1.0
        epsilon = network(x, times[i] * (1000 / steps if rescale else 1))
        image = np.clip((x - np.sqrt(1 - bars[i]) * epsilon) / np.sqrt(bars[i]), -1, 1)
        mean = np.sqrt(before) * betas[i] / (1 - bars[i]) * image
        mean = mean + np.sqrt(1 - betas[i]) * (1 - before) / (1 - bars[i]) * x
        x = mean + (np.sqrt(betas[i]) * next(noises) if i else 0)
    return x


def ddim(network, start, noises, steps, times, eta):
    bars = alpha_bars(respaced(steps, times))
    x = start
    for i in reversed(range(len(times))):
        before = bars[i - 1] if i else 1.0
        epsilon = network(x, times[i])
        image = np.clip((x - np.sqrt(1 - bars[i]) * epsilon) / np.sqrt(bars[i]), -1, 1)
        epsilon = (x - np.sqrt(bars[i]) * image) / np.sqrt(1 - bars[i])
        sigma = eta * np.sqrt((1 - before) / (1 - bars[i])) * np.sqrt(1 - bars[i] / before)
        x = np.sqrt(before) * image + np.sqrt(1 - before - sigma**2) * epsilon
        if eta:
            fresh = next(noises)
            x = x + (sigma * fresh if i else 0)
    return x
