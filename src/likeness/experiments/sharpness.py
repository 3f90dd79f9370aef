"""Held-out images made as blurred as the samples of a generator.

A blurred image correlates more with everything, so that a generator of blurred images seems to
memorize. Beside held-out images as they are stand those blurred until the mean energy of their
high spatial frequencies is that of the samples.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from likeness.datasets import ImageSet
from likeness.types import Images

_MOST: Final = 4.0
"""Pixels. Beyond that nothing of a small picture is left."""
_STEPS: Final = 12


def high_energy(images: Images) -> float:
    """Return the mean energy above half of the highest frequency.

    Parameters
    ----------
    images
        (n, C, H, W).

    Returns
    -------
    float
        Mean over images, channels and frequencies with a radius of more than a quarter cycle per
        pixel of the squared discrete Fourier transform, divided by the number of pixels.
    """
    rows, columns = images.shape[-2:]
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :])
    spectrum = np.fft.fft2(images.astype(np.float64))
    energy: float = float((np.abs(spectrum) ** 2)[..., radius > 0.25].mean() / (rows * columns))
    return energy


def blur_like(held_out: ImageSet, samples: ImageSet) -> tuple[ImageSet, float]:
    """Return held-out images with the high frequencies of the samples, and the blur in pixels.

    Only blurring is tried: where the samples are sharper, or noisier, the images stay as they are.
    """
    from scipy.ndimage import gaussian_filter

    kept = [k for k, name in enumerate(held_out.channels)
            if name not in held_out.annotation_channels]  # fmt: skip
    pixels = held_out.read(0, len(held_out))
    goal = high_energy(samples.read(0, len(samples))[:, kept])

    def blurred(sd: float) -> Images:
        soft = gaussian_filter(pixels.astype(np.float64), sigma=(0, 0, sd, sd), mode="nearest")
        made = pixels.copy()
        made[:, kept] = np.rint(soft[:, kept]).clip(0, 255).astype(pixels.dtype)
        return made

    low, high = 0.0, _MOST
    if high_energy(pixels[:, kept]) <= goal:
        high = 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle and high_energy(blurred(middle)[:, kept]) > goal:
            low = middle
        else:
            high = middle
    found = blurred(high) if high else pixels
    return ImageSet.from_arrays(found, channels=held_out.channels), high
