"""What training images undergo: flips, quarter turns, small turns, and elastic deformation."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch.nn import functional

_TURN: Final = math.radians(15)
_BENDS: Final = 4
"""Points per side that are moved at random; the field between them is smooth."""
_BEND: Final = 0.08
"""Standard deviation of their way, where the image is 2 wide."""


def altered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return images (n, C, H, W), each altered in a way of its own; edges are repeated.

    Every image is flipped with probability .5 in each direction, turned by up to 15 degrees, bent,
    and, if it is square, turned by a random number of quarters.
    """
    count, _, rows, columns = images.shape
    signs = torch.randint(0, 2, (count, 2), generator=generator) * 2.0 - 1
    angles = (torch.rand(count, generator=generator) * 2 - 1) * _TURN
    if rows == columns:
        angles = angles + torch.randint(0, 4, (count,), generator=generator) * (math.pi / 2)
    cosine, sine = angles.cos(), angles.sin()
    zero = torch.zeros(count)
    across = torch.stack([cosine * signs[:, 0], -sine * signs[:, 1], zero], dim=1)
    down = torch.stack([sine * signs[:, 0], cosine * signs[:, 1], zero], dim=1)
    grid = functional.affine_grid(
        torch.stack([across, down], dim=1), list(images.shape), align_corners=False
    )
    bends = torch.randn(count, 2, _BENDS, _BENDS, generator=generator) * _BEND
    field = functional.interpolate(bends, size=(rows, columns), mode="bicubic", align_corners=True)
    grid = grid + field.permute(0, 2, 3, 1)
    return functional.grid_sample(
        images, grid.to(images.device), padding_mode="border", align_corners=False
    )
