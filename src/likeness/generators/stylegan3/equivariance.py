"""How far an image moves as a whole when its input is moved.

The claim of StyleGAN3-t: details do not stick to the pixel grid. Karras et al. 2021 (appendix E)
measure it as here: an image whose input was moved by whole pixels is compared with the image moved
by as many, where both show the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch

from likeness.errors import OptionError
from likeness.generators.stylegan3.generator import Generator

RANGE: Final = 2.0
"""From the darkest to the brightest grey."""


def translation_equivariance(
    generator: Generator, z: torch.Tensor, shifts: Sequence[tuple[int, int]]
) -> float:
    """Return the peak signal-to-noise ratio of moved images in decibels.

    Parameters
    ----------
    generator
        In the state in which it is to be measured.
    z
        (n, latent_size) random vectors.
    shifts
        Pixels to the right and down.

    Returns
    -------
    float
        10 log10(2^2 / mean squared difference) over all images, shifts and pixels that both show;
        infinite where nothing differs.

    Raises
    ------
    OptionError
        If there is no shift, or one leaves nothing to compare.
    """
    size = generator.settings.resolution
    if not shifts or any(max(abs(right), abs(down)) >= size for right, down in shifts):
        msg = f"shifts is {list(shifts)!r}; give one or more, all below {size} pixels."
        raise OptionError(msg)
    total, count = 0.0, 0
    with torch.no_grad():
        styles = generator.mapping(z)
        still = generator.synthesise(styles)
        for right, down in shifts:
            transform = z.new_tensor([[1, 0, -right / size], [0, 1, -down / size]])
            moved = generator.synthesise(styles, transform=transform)
            difference = _part(moved, right, down) - _part(still, -right, -down)
            total += float(difference.double().square().sum())
            count += difference.numel()
    return 10 * math.log10(RANGE**2 * count / total) if total else math.inf


def _part(images: torch.Tensor, right: int, down: int) -> torch.Tensor:
    """Return what an image shows that moved in from nowhere: without the first rows, columns."""
    height, width = images.shape[2:]
    rows = slice(max(down, 0), height + min(down, 0))
    columns = slice(max(right, 0), width + min(right, 0))
    return images[:, :, rows, columns]
