"""The running mean of a network's weights, whose samples are better than the network's own."""

from __future__ import annotations

from typing import Any

import torch


def averaging_rate(step: int, average: float) -> float:
    """Return how much of the mean a step keeps; the first step is 1.

    Grows as (1 + step) / (10 + step) up to `average`, so that short runs soon forget the untrained
    weights. guided-diffusion keeps `average` from the first step on.
    """
    return min(average, (1 + step) / (10 + step))


class WeightAverage:
    """A running mean of all parameters of a network, on its device and in their type."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401
        self.weights: dict[str, torch.Tensor] = {
            name: weights.detach().clone() for name, weights in network.named_parameters()
        }

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def update(self, network: Any, rate: float) -> None:  # noqa: ANN401
        """Keep `rate` of the mean, and take the rest from the network."""
        for name, weights in network.named_parameters():
            self.weights[name].lerp_(weights.detach(), 1 - rate)
