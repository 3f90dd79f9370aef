"""Losses against their definitions, and the penalty against differences of differences."""

from __future__ import annotations

import math

import pytest
from tests.generators.stylegan3.golden import torch

from likeness.errors import OptionError
from likeness.generators.stylegan3.augmentation import augment
from likeness.generators.stylegan3.discriminator import Discriminator
from likeness.generators.stylegan3.loss import (
    adam_settings,
    default_half_life,
    discriminator_loss,
    generator_loss,
    mean_decay,
    r1_loss,
    squared_gradients,
    update_mean,
)
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.stylegan3.transforms import EVERYTHING

SMALL = NetworkSettings(16, 2, channel_base=64, channel_max=6, layers=5)


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    return Discriminator(SMALL).double()


def images(count=4):
    random = torch.Generator().manual_seed(1)
    return torch.rand(count, 2, 16, 16, generator=random, dtype=torch.float64) * 2 - 1


def test_losses():
    real, fake = torch.tensor([0.5, -2.0]), torch.tensor([1.5, -0.25])

    def likelihood(logit):
        return math.log(1 / (1 + math.exp(-logit)))

    for logits in (real, fake):
        expected = -sum(likelihood(float(x)) for x in logits) / 2
        assert float(generator_loss(logits)) == pytest.approx(expected)
    expected = -sum(likelihood(float(x)) for x in (*real, *-fake)) / 2
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected)


def test_squared_gradients_against_differences(discriminator):
    """One pixel of one image at a time; the other images of its group see it too."""
    x, step, looked_at = images(), 1e-4, (2,)
    expected = torch.zeros(len(x), dtype=torch.float64)
    with torch.no_grad():
        for number in looked_at:
            for pixel in range(x[0].numel()):
                shift = torch.zeros_like(x)
                shift[number].view(-1)[pixel] = step
                slope = (discriminator(x + shift) - discriminator(x - shift)).sum() / (2 * step)
                expected[number] += slope**2
    found = squared_gradients(discriminator, x).detach()
    for number in looked_at:
        assert float(found[number]) == pytest.approx(float(expected[number]), rel=1e-4)


def penalty(discriminator, augmented=None):
    return r1_loss(squared_gradients(discriminator, images(), augmented), gamma=3.0, interval=16)


def test_the_penalty_s_gradient_against_differences(discriminator):
    """The double backward: the penalty's slope along every parameter."""
    loss = penalty(discriminator)
    loss.backward()
    random, step = torch.Generator().manual_seed(2), 1e-5
    for name, parameter in discriminator.named_parameters():
        if parameter.grad is None:
            assert name == "out.bias"  # it shifts logits, and no slope
            continue
        direction = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
        with torch.no_grad():
            values = []
            for sign in (1, -1):
                parameter.add_(direction, alpha=sign * step)
                values.append(float(penalty(discriminator).detach()))
                parameter.sub_(direction, alpha=sign * step)
        slope = (values[0] - values[1]) / (2 * step)
        found = float((parameter.grad * direction).sum())
        assert found == pytest.approx(slope, rel=2e-3, abs=1e-6 * float(loss.detach())), name


def test_the_penalty_changes_the_gradient(discriminator):
    """A penalty whose graph was lost in silence would add nothing."""

    def gradients(*, penalised):
        discriminator.zero_grad()
        logits = discriminator(images())
        loss = discriminator_loss(logits, -logits)
        loss = loss + penalty(discriminator) if penalised else loss
        loss.backward()
        return {name: p.grad.clone() for name, p in discriminator.named_parameters()}

    without, with_penalty = gradients(penalised=False), gradients(penalised=True)
    for name, gradient in without.items():
        if name.endswith("weight"):
            change = float((with_penalty[name] - gradient).abs().max())
            assert change > 1e-3 * float(gradient.abs().max()), name


def test_the_penalty_sees_through_the_augmentation(discriminator):
    """The slope at the images, not at what the augmentation made of them."""

    def brighter(x):
        return 2 * x

    found = squared_gradients(discriminator, images(), brighter).detach()
    behind = squared_gradients(discriminator, 2 * images()).detach()
    torch.testing.assert_close(found, 4 * behind)


def test_the_penalty_through_every_transform(discriminator):
    def changed(x):
        return augment(x, 1.0, EVERYTHING, random=torch.Generator().manual_seed(4))

    loss = penalty(discriminator, changed)
    loss.backward()
    assert all(
        bool(p.grad.isfinite().all() and p.grad.any())
        for name, p in discriminator.named_parameters()
        if name.endswith("weight")
    )


def test_the_penalty_ignores_autocast(discriminator):
    network = discriminator.float()
    exact = squared_gradients(network, images().float())
    with torch.autocast("cpu", torch.bfloat16):
        found = squared_gradients(network, images().float())
    assert torch.equal(found, exact)


def test_the_penalty_works_without_gradients_around(discriminator):
    with torch.no_grad():
        assert bool((squared_gradients(discriminator, images()) > 0).all())


def test_settings_of_the_optimisers():
    assert adam_settings(0.0025) == {"lr": 0.0025, "betas": (0.0, 0.99), "eps": 1e-8}
    lazy = adam_settings(0.002, interval=16)
    assert lazy["lr"] == pytest.approx(0.0018824, abs=5e-8)
    assert lazy["betas"] == pytest.approx((0.0, 0.990586), abs=1e-6)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], **lazy)


def test_memory_of_the_running_mean():
    assert (default_half_life(16), default_half_life(32)) == (5000, 10_000)
    options = {"half_life": 5000, "images_seen": 10_000_000}
    assert mean_decay(5000, **options) == 0.5
    assert mean_decay(16, **options) ** (5000 / 16) == pytest.approx(0.5)
    # While a twentieth of what was seen is less than the half-life, that counts.
    assert mean_decay(16, half_life=5000, images_seen=640) == pytest.approx(0.5**0.5)
    assert mean_decay(16, half_life=5000, images_seen=0) == 0
    assert mean_decay(16, half_life=16, images_seen=0, rampup=None) == 0.5
    with pytest.raises(OptionError, match="half_life"):
        mean_decay(16, half_life=0, images_seen=1)


def test_the_running_mean_moves():
    mean, current = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        current.weight.fill_(3.0)
        current.running_mean.fill_(7.0)
    update_mean(mean, current, decay=0.75)
    assert mean.weight.tolist() == [1.5, 1.5]
    assert mean.running_mean.tolist() == [7, 7]
    assert current.weight.tolist() == [3, 3]
