"""Layers that both networks are built from: weights of unit variance, scaled while they work.

The optimiser sees weights that are all of one size, so one learning rate fits all layers
(Karras et al. 2018, "Progressive growing of GANs", section 4.1).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from likeness.generators.stylegan3.filtered_activation import CLAMP, GAIN, HALVES, SLOPE


def activate(x: torch.Tensor, gain: float = GAIN) -> torch.Tensor:
    """Apply the leaky ReLU and a gain."""
    return functional.leaky_relu(x, SLOPE) * gain


def clamped(x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
    """Hold numbers of 16 bits within a range that cannot overflow; leave others alone."""
    return x.clamp(-CLAMP * gain, CLAMP * gain) if x.dtype in HALVES else x


class Linear(nn.Module):  # type: ignore[misc]
    """A fully connected layer.

    Parameters
    ----------
    ins, outs
        Numbers in and out.
    bias
        The biases to begin with.
    rate
        Factor of the learning rate, by which weights and biases are multiplied while they work and
        divided when they are drawn.
    """

    def __init__(self, ins: int, outs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outs, ins) / rate)
        self.bias = nn.Parameter(torch.full((outs,), bias))
        self.gain = rate / math.sqrt(ins)
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, outs) for (n, ins)."""
        return functional.linear(x, self.weight * self.gain, self.bias * self.rate)


class Convolution(nn.Module):  # type: ignore[misc]
    """A convolution without activation, with or without biases."""

    def __init__(self, ins: int, outs: int, kernel: int, *, has_bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outs, ins, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outs)) if has_bias else None
        self.gain = 1 / math.sqrt(ins * kernel**2)

    def forward(self, x: torch.Tensor, *, stride: int = 1, padding: int = 0) -> torch.Tensor:
        """Convolve (n, ins, H, W)."""
        weight = self.weight * self.gain
        return functional.conv2d(x, weight, self.bias, stride=stride, padding=padding)
