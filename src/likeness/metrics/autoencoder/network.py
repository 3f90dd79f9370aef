"""The network: strided convolutions down to a vector, and back up."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import nn
from torch.nn import functional

_SMALLEST: Final = 8
"""Pixels along the longer side at which halving ends."""
_GROUPS: Final = 8


class Autoencoder(nn.Module):  # type: ignore[misc]
    """Images (n, C, H, W) in [0, 1] to vectors (n, d) and back.

    Parameters
    ----------
    channels, rows, columns
        Of the images.
    features
        d.
    width
        Channels of the finest level; they double with each halving up to eight times as many.
    """

    def __init__(self, channels: int, rows: int, columns: int, features: int, width: int) -> None:
        super().__init__()
        sizes = [(rows, columns)]
        while max(sizes[-1]) > _SMALLEST:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        widths = [channels] + [width * min(2**level, 8) for level in range(len(sizes) - 1)]
        self._sizes = sizes
        self._deepest = (widths[-1], *sizes[-1])
        length = widths[-1] * sizes[-1][0] * sizes[-1][1]
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(_GROUPS, b), nn.SiLU()
            )
            for a, b in pairwise(widths)
        )
        self.encode = nn.Linear(length, features)
        self.decode = nn.Linear(features, length)
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(b, b, 3, padding=1),
                nn.GroupNorm(_GROUPS, b),
                nn.SiLU(),
                nn.Conv2d(b, a, 3, padding=1),
            )
            for a, b in reversed(list(pairwise(widths)))
        )

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, d)."""
        for level in self.down:
            images = level(images)
        found: torch.Tensor = self.encode(images.flatten(1))
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the features say of the images, (n, C, H, W)."""
        signal = self.decode(self.features(images)).reshape(len(images), *self._deepest)
        for level, size in zip(self.up, reversed(self._sizes[:-1]), strict=True):
            signal = level(functional.interpolate(signal, size=size, mode="nearest"))
        return torch.sigmoid(signal)
