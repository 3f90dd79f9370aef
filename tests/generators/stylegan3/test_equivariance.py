"""Images move with their input, unless a filter is broken."""

from __future__ import annotations

import math

import pytest
from tests.generators.stylegan3.golden import torch

from likeness.errors import OptionError
from likeness.generators.stylegan3.equivariance import translation_equivariance
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import NetworkSettings

SHIFTS = [(1, 0), (0, -3), (2, 2), (-4, 1)]


@pytest.fixture
def generator():
    """Small, untrained, with magnitudes as training would find them."""
    torch.manual_seed(0)
    settings = NetworkSettings(
        32, 1, channel_base=512, channel_max=16, layers=8, latent_size=16, style_size=16
    )
    network = Generator(settings)
    with torch.no_grad():
        for layer in network.layers:
            layer.bias.normal_(0, 0.2)
        for _ in range(3):
            network(vectors(), statistics_images=200_000)
    return network


def vectors():
    return torch.randn(4, 16, generator=torch.Generator().manual_seed(1))


def spread(network):
    with torch.no_grad():
        return float(network(vectors()).std())


def test_whole_and_broken(generator):
    """Broken: samples are repeated and averaged, so the nonlinearity works on the pixel grid."""
    assert spread(generator) > 0.1  # or the ratio would say nothing
    whole = translation_equivariance(generator, vectors(), SHIFTS)
    for layer in generator.layers[:-1]:
        for name in ("up_filter", "down_filter"):
            taps = torch.zeros_like(getattr(layer, name))
            factor = layer.plan.up if name == "up_filter" else layer.plan.down
            middle = (len(taps) - factor) // 2
            taps[middle : middle + factor] = 1 / factor
            setattr(layer, name, taps)
    broken = translation_equivariance(generator, vectors(), SHIFTS)
    assert whole > 45
    assert broken < whole - 15


def test_nothing_moves_without_a_shift(generator):
    assert translation_equivariance(generator, vectors(), [(0, 0)]) > 100


def test_contents_move_to_where_they_should(generator):
    """Right and down, not left or up, and in pixels."""
    z = vectors()
    with torch.no_grad():
        still = generator(z)
        transform = torch.tensor([[1.0, 0.0, -4 / 32], [0.0, 1.0, -2 / 32]])
        moved = generator(z, transform=transform)
    away = (moved[..., 2:, 4:] - still[..., :-2, :-4]).abs().mean()
    assert float(away) < 0.05 * spread(generator)
    assert float((moved - still).abs().mean()) > 5 * float(away)


def test_the_ratio_is_as_defined(generator):
    z = vectors()
    with torch.no_grad():
        still = generator(z)
        moved = generator(z, transform=torch.tensor([[1.0, 0.0, -3 / 32], [0.0, 1.0, 0.0]]))
    error = (moved[..., 3:] - still[..., :-3]).square().mean()
    expected = 10 * math.log10(4 / float(error))
    assert translation_equivariance(generator, z, [(3, 0)]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("shifts", [[], [(32, 0)], [(0, -40)]])
def test_shifts_that_compare_nothing(generator, shifts):
    with pytest.raises(OptionError, match="shifts"):
        translation_equivariance(generator, vectors(), shifts)
