"""The loss is the plain mean squared error of the noise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.generators.ddpm import guided_sampling

from likeness.generators.ddpm.loss import NoiseLevels, draw_times, noise_loss, scaled
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.settings import Diffusion, UNetSettings

DIFFUSION = Diffusion(4000)


def some(seed=0, count=6):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 2, 32, 32), generator=generator, dtype=torch.uint8)
    return images, torch.randn(count, 2, 32, 32, generator=generator)


def test_images_are_scaled_to_minus_one_and_one():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert scaled(images).dtype == torch.float32
    assert scaled(images).tolist() == pytest.approx([-1, -0.6, 1])


def test_noise_is_added_as_the_formula_says():
    images, noise = some()
    times = torch.tensor([0, 1, 250, 999, 2000, 3999])
    bars = guided_sampling.alpha_bars(guided_sampling.all_betas(4000))
    found = NoiseLevels(DIFFUSION).noisy(scaled(images), times, noise)
    for i, time in enumerate(times.tolist()):
        image = images[i].numpy() / 127.5 - 1
        expected = np.sqrt(bars[time]) * image + np.sqrt(1 - bars[time]) * noise[i].numpy()
        np.testing.assert_allclose(found[i].numpy(), expected, atol=1e-6)


def test_the_loss_of_each_image():
    images, noise = some()
    times, seen = torch.tensor([5, 6, 7, 8, 9, 10]), {}

    def network(x, t, class_labels=None):
        seen.update(x=x, t=t, labels=class_labels)
        return SimpleNamespace(sample=0.5 * x)

    levels, labels = NoiseLevels(DIFFUSION), torch.arange(6)
    found = noise_loss(network, levels, DIFFUSION, scaled(images), times, noise, labels)
    x = levels.noisy(scaled(images), times, noise)
    expected = [
        np.mean((0.5 * a.numpy().astype(float) - b.numpy()) ** 2)
        for a, b in zip(x, noise, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert torch.equal(seen["x"], x)
    assert torch.equal(seen["t"], times)
    assert torch.equal(seen["labels"], labels)


def test_rescaled_times_reach_the_network():
    images, noise = some()
    seen = []

    def network(x, t, class_labels=None):
        seen.append(t)
        return SimpleNamespace(sample=x)

    diffusion = Diffusion(4000, rescale_times=True)
    times = torch.tensor([0, 1, 2, 3, 4, 3999])
    noise_loss(network, NoiseLevels(diffusion), diffusion, scaled(images), times, noise)
    assert seen[0].tolist() == [0, 0.25, 0.5, 0.75, 1, 999.75]


def test_a_new_network_predicts_nothing_so_its_loss_is_that_of_the_noise():
    images, noise = some(count=4)
    network = build_unet(UNetSettings(32, 2, 16, 1, (1, 2), (16,), groups=8), seed=0)
    times = torch.tensor([0, 9, 99, 999])
    loss = noise_loss(network, NoiseLevels(DIFFUSION), DIFFUSION, scaled(images), times, noise)
    assert torch.equal(loss, noise.square().flatten(1).mean(1))


def test_the_loss_of_a_network_falls_when_it_is_trained():
    images, _ = some(count=4)
    images[:] = images[:1]  # one image: easy to learn
    network = build_unet(UNetSettings(32, 2, 16, 1, (1, 2), (), groups=8), seed=0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0)
    generator, levels, losses = torch.Generator().manual_seed(0), NoiseLevels(DIFFUSION), []
    for _ in range(40):
        times = draw_times(4, DIFFUSION, generator)
        noise = torch.randn(images.shape, generator=generator)
        loss = noise_loss(network, levels, DIFFUSION, scaled(images), times, noise).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1, abs=0.1)
    assert np.mean(losses[-10:]) < 0.5


def test_times_are_all_alike_likely():
    times = draw_times(200_000, Diffusion(50), torch.Generator().manual_seed(0))
    counts = np.bincount(times.numpy(), minlength=50)
    assert len(counts) == 50
    # Chi-squared with 49 degrees of freedom: 98.3 is passed once in 30,000.
    assert ((counts - 4000) ** 2 / 4000).sum() < 98.3
    again = draw_times(200_000, Diffusion(50), torch.Generator().manual_seed(0))
    assert torch.equal(times, again)
