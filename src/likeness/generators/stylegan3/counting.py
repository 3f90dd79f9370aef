"""How many trained numbers the networks have, without allocating them."""

from __future__ import annotations

import torch

from likeness.generators.stylegan3.discriminator import Discriminator
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import NetworkSettings


def count_parameters(settings: NetworkSettings) -> dict[str, int]:
    """Return the number of trained numbers of generator and discriminator."""
    with torch.device("meta"):
        generator, discriminator = Generator(settings), Discriminator(settings)
    return {
        "generator": sum(weights.numel() for weights in generator.parameters()),
        "discriminator": sum(weights.numel() for weights in discriminator.parameters()),
    }
