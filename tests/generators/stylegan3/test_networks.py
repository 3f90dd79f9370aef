"""What the networks promise beside their values."""

from __future__ import annotations

import copy

import pytest
from tests.generators.stylegan3.golden import torch

from likeness.errors import OptionError
from likeness.generators.stylegan3.discriminator import Discriminator, with_differences
from likeness.generators.stylegan3.filtered_activation import filtered_leaky_relu
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import (
    NetworkSettings,
    count_discriminator,
    count_generator,
    plan_discriminator,
    plan_generator,
)
from likeness.generators.stylegan3.presets import PRESETS

SMALL = NetworkSettings(
    16, 2, channel_base=128, channel_max=8, layers=5, latent_size=6, style_size=10
)


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(SMALL)


def vectors(count, seed=1):
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def trainable(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_built_has_the_counted_parameters(name):
    settings = PRESETS[name].network
    with torch.device("meta"):
        assert trainable(Generator(settings)) == count_generator(settings)
        assert trainable(Discriminator(settings)) == count_discriminator(settings)


def test_shapes_and_parameters_of_a_small_one(generator):
    assert trainable(generator) == count_generator(SMALL)
    images = generator(vectors(4))
    assert images.shape == (4, 2, 16, 16)
    discriminator = Discriminator(SMALL)
    assert trainable(discriminator) == count_discriminator(SMALL)
    assert discriminator(images).shape == (4,)
    by_plan = {layer.name: layer for layer in plan_discriminator(SMALL)}
    for size, block in zip((16, 8), discriminator.blocks, strict=True):
        for part in ("conv_a", "conv_b_down", "skip_down"):
            layer, plan = getattr(block, part), by_plan[f"{size}.{part}"]
            assert layer.gain == pytest.approx(plan.weight_gain)
            assert (layer.bias is not None) == plan.has_bias


def test_initial_values():
    torch.manual_seed(3)
    network = Generator(NetworkSettings(32, 1, 4096, 128, layers=6))
    for layer in network.mapping.layers:
        assert float(layer.weight.detach().std()) == pytest.approx(100, rel=0.02)
        assert not layer.bias.any()
    assert network.input.movement.bias.tolist() == [1, 0, 0, 0]
    assert not network.input.movement.weight.any()
    radius = torch.linalg.vector_norm(network.input.frequencies, dim=1)
    assert float(radius.max()) <= 2
    assert float((radius < 2**0.5).float().mean()) == pytest.approx(0.5, abs=0.15)
    assert float(network.input.phases.abs().max()) <= 0.5
    for layer in network.layers:
        assert (layer.style.bias == 1).all()
        assert not layer.bias.any()
        assert float(layer.magnitude) == 1
        assert float(layer.weight.detach().std()) == pytest.approx(1, rel=0.1)


def test_shared_weights_equal_weights_for_each_image(generator):
    """The definition: every image has weights of its own, scaled and then normalised."""
    network = generator.double()
    for layer in network.layers:
        layer.magnitude.fill_(1.7)
        made = []
        layer.style.register_forward_hook(lambda _, __, result, made=made: made.append(result))
        size, ins = layer.plan.source.size, layer.plan.source.channels
        random = torch.Generator().manual_seed(5)
        x = torch.randn(3, ins, size, size, generator=random, dtype=torch.float64)
        style = torch.randn(3, 10, generator=random, dtype=torch.float64)
        with torch.no_grad():
            found = layer(x, style)
            for one, scale, result in zip(x, made[0], found, strict=True):
                weight = layer.weight * scale[:, None, None]
                if layer.plan.is_to_image:
                    weight = weight / ins**0.5
                else:
                    weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
                weight = weight / 1.7**0.5
                y = torch.nn.functional.conv2d(one[None], weight, padding=layer.plan.kernel - 1)
                expected = activation_alone(layer, y)
                torch.testing.assert_close(result[None], expected, rtol=0, atol=1e-12)


def activation_alone(layer, y):
    plan = layer.plan
    linear = {"slope": 1.0, "gain": 1.0} if plan.is_to_image else {}
    options = {"up": plan.up, "down": plan.down, "padding": plan.padding} | linear
    return filtered_leaky_relu(y, layer.bias, layer.up_filter, layer.down_filter, **options)


def test_statistics_change_only_when_asked(generator):
    before = copy.deepcopy(generator.state_dict())
    generator(vectors(4))
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    seen = []
    for layer in generator.layers:
        layer.register_forward_pre_hook(
            lambda _, given: seen.append(float(given[0].detach().square().mean()))
        )
    styles = generator.mapping(vectors(4))
    generator(vectors(4), statistics_images=20_000)  # one half-life
    for layer, power in zip(generator.layers, seen, strict=True):
        assert float(layer.magnitude) == pytest.approx((1 + power) / 2, rel=1e-5)
    expected = 0.002 * styles.mean(0)
    torch.testing.assert_close(generator.mapping.mean_style, expected.detach())


def test_truncation(generator):
    generator.mapping.mean_style.copy_(torch.arange(10.0))
    full = generator.mapping(vectors(3))
    half = generator.mapping(vectors(3), truncation=0.5)
    torch.testing.assert_close(half, (full + torch.arange(10.0)) / 2)
    none = generator(vectors(3), truncation=0.0)
    torch.testing.assert_close(none[0], none[1])
    assert not torch.allclose(*generator(vectors(2)))


def test_one_style_for_each_layer(generator):
    styles = generator.mapping(vectors(2))
    count = len(generator.layers) + 1
    assert count == len(plan_generator(SMALL)) + 1
    one_each = styles[:, None].repeat(1, count, 1)
    same = generator.synthesise(one_each)
    torch.testing.assert_close(generator.synthesise(styles), same, rtol=0, atol=1e-6)
    one_each[:, -1] += 1
    assert not torch.allclose(generator.synthesise(styles), generator.synthesise(one_each))


def test_an_image_does_not_depend_on_its_batch(generator):
    network = generator.double()
    together = network(vectors(4).double())
    alone = network(vectors(4)[2:3].double())
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=1e-12)


def test_both_methods_make_the_same_image(generator):
    other = Generator(SMALL, method="banded")
    other.load_state_dict(generator.state_dict())
    torch.testing.assert_close(generator(vectors(2)), other(vectors(2)), rtol=0, atol=2e-5)


def test_a_turn_of_the_input_turns_the_waves(generator):
    """Read at places turned by 90 degrees, the waves are the turned image of the waves."""
    style = torch.randn(2, 10)
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    still, turned = generator.input(style), generator.input(style, turn)
    # The place (column, row) = (x, y) shows what was at (-y, x).
    torch.testing.assert_close(turned, torch.rot90(still, 1, (2, 3)), rtol=0, atol=1e-4)
    assert not torch.allclose(turned, still, atol=0.01)


def test_every_parameter_gets_a_gradient(generator):
    discriminator = Discriminator(SMALL)
    discriminator(generator(vectors(4))).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.abs().sum() > 0), name


def test_bfloat16_is_close(generator):
    """With autocast the image keeps the type of the vectors, and differs by rounding."""
    discriminator = Discriminator(SMALL)
    exact = generator(vectors(4))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = generator(vectors(4))
        logits = discriminator(rounded)
        in_two_steps = generator.synthesise(generator.mapping(vectors(4)))
    assert torch.equal(in_two_steps, rounded)
    assert rounded.dtype == logits.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    spread = float(exact.detach().std())
    assert float((rounded - exact).detach().abs().mean()) < 0.05 * spread


def test_groups_of_the_minibatch():
    """Image i belongs to group i mod 2 where 8 images make 2 groups of 4."""
    x = torch.randn(8, 3, 4, 4, dtype=torch.float64)
    found = with_differences(x, 4)
    assert torch.equal(found[:, :3], x)
    for image in range(8):
        group = x[[k for k in range(8) if k % 2 == image % 2]].numpy()
        expected = ((group.var(0) + 1e-8) ** 0.5).mean()
        assert found[image, 3].numpy() == pytest.approx(expected, abs=1e-12)


def test_a_batch_without_groups():
    with pytest.raises(OptionError, match="batch of 6"):
        Discriminator(SMALL)(torch.zeros(6, 2, 16, 16))
    assert Discriminator(SMALL)(torch.zeros(3, 2, 16, 16)).shape == (3,)


def test_no_filter_is_stored(generator):
    assert not [name for name in generator.state_dict() if "filter" in name]
    assert not [name for name in Discriminator(SMALL).state_dict() if "blur" in name]
