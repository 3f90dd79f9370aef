"""The network has the paper's sizes and computes what guided-diffusion's does."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import Attention
from tests.generators.ddpm.guided_network import Weights, guided_network

from likeness.errors import OptionError
from likeness.generators.ddpm.importing import convert
from likeness.generators.ddpm.network import build_unet, count_parameters
from likeness.generators.ddpm.presets import DDPM_PRESETS
from likeness.generators.ddpm.settings import UNetSettings, unet_settings

FACTS = Path(__file__).parents[1] / "facts"

PAPER = {
    "paper-counted-cxr-small": 7_780_933,
    "paper-counted-cxr-medium": 31_050_885,
    "paper-counted-cxr-large": 69_809_861,
    "paper-counted-brats-small": 10_304_259,
    "paper-counted-brats-medium": 41_123_331,
    "paper-counted-brats-large": 92_457_219,
}
SMALL = UNetSettings(32, 2, 16, 1, (1, 3), (16,), groups=8)


def table():
    with (FACTS / "unet_parameters.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", PAPER)
def test_the_counts_are_those_that_the_paper_prints(name):
    assert count_parameters(DDPM_PRESETS[name].unet) == PAPER[name]


@pytest.mark.parametrize("preset", DDPM_PRESETS.values(), ids=DDPM_PRESETS)
def test_every_preset_says_its_count(preset):
    assert count_parameters(preset.unet) == preset.parameters


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
def test_other_sizes_have_the_levels_and_counts_of_the_table(resolution):
    rows = [row for row in table() if int(row["resolution"]) == resolution]
    assert len(rows) == 18
    for row in rows[::4]:  # each width, both numbers of blocks, and each number of channels occurs
        settings = unet_settings(
            resolution, int(row["channels"]), width=int(row["width"]), blocks=int(row["blocks"])
        )
        assert settings.multipliers == tuple(map(int, row["multipliers"].split()))
        assert count_parameters(settings) == int(row["parameters"])


def test_counting_agrees_with_building():
    network = build_unet(SMALL, seed=0)
    assert sum(p.numel() for p in network.parameters()) == count_parameters(SMALL)


@pytest.mark.parametrize("resolution", [48, 96, 160, 192, 224])
def test_sizes_between_work(resolution):
    settings = unet_settings(resolution, 3, width=8, blocks=1, groups=4)
    network = build_unet(settings, seed=0).eval()
    x = torch.randn(1, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert network(x, torch.tensor([3])).sample.shape == x.shape


def random_pair(settings, seed=0, *, new_order=False, dtype=torch.float32):
    """Return a function for the reference, and our network with the same random weights."""
    arguments = {
        "width": settings.width,
        "blocks": settings.blocks,
        "multipliers": settings.multipliers,
        "attention_levels": settings.attention_levels,
        "heads": settings.heads,
        "groups": settings.groups,
        "classes": settings.classes,
        "new_order": new_order,
    }
    weights = Weights(seed, dtype)
    side = settings.resolution
    labels = None if settings.classes is None else torch.zeros(1, dtype=torch.int64)
    zeros = torch.zeros(1, settings.channels, side, side, dtype=dtype)
    guided_network(weights, zeros, torch.zeros(1), labels=labels, **arguments)

    def reference(x, times, labels=None):
        return guided_network(weights, x, times, labels=labels, **arguments)

    network = build_unet(settings, seed=1).eval()
    state = convert(weights, settings, new_attention_order=new_order)
    network.load_state_dict(state, strict=True)
    return reference, network.to(dtype)


def images_for(settings, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    side = settings.resolution
    return torch.randn(5, settings.channels, side, side, generator=generator, dtype=dtype)


TIMES = torch.tensor([0, 1, 250, 999, 3999])

LAYOUTS = {
    "paper-like": UNetSettings(32, 5, 16, 2, (1, 1, 2, 4), (8, 4), groups=16),
    "three blocks": UNetSettings(32, 3, 16, 3, (1, 2), (16,), groups=16),
    "heads of unequal width": UNetSettings(32, 2, 16, 1, (1, 2, 3), (16, 8), groups=8),
    "one channel, attention at every level": UNetSettings(
        32, 1, 8, 1, (1, 2), (32, 16), heads=2, groups=4
    ),
    "classes": UNetSettings(32, 1, 16, 1, (1, 2), (16,), groups=8, classes=3),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_computes_what_guided_diffusion_computes(name):
    settings = LAYOUTS[name]
    reference, network = random_pair(settings)
    x = images_for(settings)
    labels = None if settings.classes is None else torch.tensor([0, 1, 2, 0, 1])
    with torch.inference_mode():
        expected = reference(x, TIMES, labels)
        found = network(x, TIMES, class_labels=labels).sample
    assert expected.abs().max() > 0.5
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_it_computes_the_same_to_the_precision_of_float64():
    # All in float64 but the embedding of the times, which diffusers computes in float32.
    settings = LAYOUTS["heads of unequal width"]
    reference, network = random_pair(settings, dtype=torch.float64)
    x = images_for(settings, torch.float64)
    with torch.inference_mode():
        difference = network(x, torch.zeros(5)).sample - reference(x, torch.zeros(5))
    assert difference.abs().max() < 1e-12


def test_fractional_times_are_understood():
    settings = LAYOUTS["three blocks"]
    reference, network = random_pair(settings)
    x, times = images_for(settings), TIMES.float() * 0.25
    with torch.inference_mode():
        expected = reference(x, times)
        assert (network(x, times).sample - expected).abs().max() < 1e-5 * expected.abs().max()


def test_gradients_agree():
    settings = LAYOUTS["heads of unequal width"]
    reference, network = random_pair(settings)
    x, y = images_for(settings).requires_grad_(), images_for(settings).requires_grad_()
    reference(x, TIMES).square().mean().backward()
    network(y, TIMES).sample.square().mean().backward()
    assert (x.grad - y.grad).abs().max() < 1e-5 * x.grad.abs().max()


def test_trap_the_middle_attention_is_normalised():
    network = build_unet(SMALL, seed=0)
    assert network.mid_block.attentions[0].group_norm.num_groups == SMALL.groups


def test_trap_all_normalisations_add_the_same():
    network = build_unet(SMALL, seed=0)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert len(norms) > 10
    assert {norm.eps for norm in norms} == {1e-5}


def test_trap_what_starts_at_zero():
    network = build_unet(DDPM_PRESETS["paper-counted-cxr-small"].unet, seed=0)
    zero = [name for name, value in network.named_parameters() if not value.any()]
    assert len(zero) == 164  # as in guided-diffusion's network of that size
    x = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert not build_unet(SMALL, seed=0)(x, torch.tensor([9])).sample.any()


def test_trap_heads_are_a_number_not_a_width():
    network = build_unet(LAYOUTS["heads of unequal width"], seed=0)
    attentions = [m for m in network.modules() if isinstance(m, Attention)]
    assert {attention.heads for attention in attentions} == {4}
    assert {attention.inner_dim for attention in attentions} == {32, 48}
    assert all(a.scale == (a.inner_dim / 4) ** -0.5 for a in attentions)


def test_trap_another_number_of_heads_gives_other_images():
    settings = LAYOUTS["heads of unequal width"]
    reference, network = random_pair(settings)
    other = build_unet(replace(settings, heads=2)).eval()
    other.load_state_dict(network.state_dict())
    x = images_for(settings)
    with torch.inference_mode():
        expected = reference(x, TIMES)
        assert (other(x, TIMES).sample - expected).abs().max() > 1e-3


def test_trap_the_order_of_queries_keys_and_values():
    settings = LAYOUTS["three blocks"]
    for order in (False, True):
        reference, network = random_pair(settings, new_order=order)
        x = images_for(settings)
        with torch.inference_mode():
            expected = reference(x, TIMES)
            difference = (network(x, TIMES).sample - expected).abs().max()
        assert difference < 1e-5 * expected.abs().max()


def test_a_seed_gives_the_same_weights_and_leaves_torch_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = (build_unet(SMALL, seed=seed).state_dict() for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 20}, "32 to 256 pixels, not 20"),
        ({"resolution": 257}, "32 to 256 pixels, not 257"),
        ({"resolution": 33, "attention_sides": ()}, "cannot be halved 1 times"),
        ({"attention_sides": (15,)}, r"attention_sides has \[15\]"),
        ({"width": 20}, "Level 0 has 20 channels, which 8 groups"),
        ({"heads": 5}, "Level 1 has 48 channels, which 5 heads"),
        ({"channels": 0}, "channels must be a positive whole number"),
        ({"resolution": "32"}, "resolution must be a positive whole number, not '32'"),
        ({"multipliers": ()}, "at least one level"),
        ({"multipliers": (1, 1.5)}, "multipliers must be a positive whole number, not 1.5"),
        ({"dropout": 1.0}, "dropout must be"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        replace(SMALL, **change)
