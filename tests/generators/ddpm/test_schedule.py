"""Noise, steps and samplers are guided-diffusion's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.generators.ddpm import guided_sampling

from likeness.errors import OptionError
from likeness.generators.ddpm.sampling import draw
from likeness.generators.ddpm.schedule import betas, kept, network_times, scheduler_for, step_back
from likeness.generators.ddpm.settings import Diffusion, Sampler, UNetSettings

PAPER = Diffusion(4000)
SETTINGS = UNetSettings(32, 2, 8, 1, (1,), (), groups=4)


class Toy(torch.nn.Module):
    """An epsilon that is neither linear nor always within the clipping range."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.9))
        self.times = []

    def forward(self, x, times, class_labels=None):
        self.times.append(float(times[0]))
        return SimpleNamespace(sample=toy(x, times[0].to(torch.float64), torch))

    @staticmethod
    def plain(x, time):
        return toy(x, time, np)


def toy(x, time, library):
    return 0.9 * library.sin(1.3 * x + 0.001 * time) + 0.3 * x


def noises_of(seed, count):
    """What a generator gives first, and then step by step."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(1, 2, 32, 32, generator=generator).numpy().astype(np.float64)
        for _ in range(count)
    ]


def test_betas_and_what_is_kept():
    expected = guided_sampling.all_betas(4000)
    np.testing.assert_allclose(betas(PAPER), expected, rtol=1e-14)
    np.testing.assert_allclose(kept(PAPER), guided_sampling.alpha_bars(expected), rtol=1e-12)
    assert betas(PAPER)[[0, -1]] == pytest.approx([2.5e-5, 5e-3])
    assert kept(PAPER)[-1] == pytest.approx(4.25e-5, rel=2e-3)


@pytest.mark.parametrize("sampler", [Sampler("ancestral", 250), Sampler("ddim", 250)])
def test_schedulers_have_the_levels_in_float64(sampler):
    scheduler = scheduler_for(sampler, PAPER)
    assert scheduler.alphas_cumprod.dtype == torch.float64
    found = 1 - scheduler.alphas_cumprod[0].item()
    assert found == pytest.approx(2.5e-5, rel=1e-9)


def test_trap_the_variance_is_the_larger_one():
    assert scheduler_for(Sampler(), PAPER).config.variance_type == "fixed_large"


@pytest.mark.parametrize(
    ("steps", "wanted"),
    # Of the latter three, times lie halfway between two.
    [(4000, 4000), (4000, 1000), (4000, 250), (50, 2), (100, 15), (100, 91), (1000, 21)],
)
def test_ancestral_steps(steps, wanted):
    found = scheduler_for(Sampler("ancestral", wanted), Diffusion(steps)).timesteps.tolist()
    assert found == guided_sampling.spread(steps, wanted)[::-1]


@pytest.mark.parametrize("wanted", [4000, 250, 100, 50, 25, 20])
def test_ddim_steps(wanted):
    found = scheduler_for(Sampler("ddim", wanted), PAPER).timesteps.tolist()
    assert found == guided_sampling.strided(4000, wanted)[::-1]


@pytest.mark.parametrize(("steps", "wanted"), [(4000, 4000), (4000, 250), (1000, 100), (100, 15)])
def test_an_ancestral_chain(steps, wanted):
    start, *noises = noises_of(3, wanted)
    times = guided_sampling.spread(steps, wanted)
    expected = guided_sampling.ancestral(Toy.plain, start, iter(noises), steps, times)
    sampler, network = Sampler("ancestral", wanted), Toy()
    found = draw(network, SETTINGS, Diffusion(steps), sampler, [torch.Generator().manual_seed(3)])
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - expected).max() < 2e-5
    assert network.times == times[::-1]


@pytest.mark.parametrize("wanted", [250, 50, 20])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_ddim_chain(wanted, eta):
    start, *noises = noises_of(4, wanted + 1)
    times = guided_sampling.strided(4000, wanted)
    expected = guided_sampling.ddim(Toy.plain, start, iter(noises), 4000, times, eta)
    sampler = Sampler("ddim", wanted, eta)
    found = draw(Toy(), SETTINGS, PAPER, sampler, [torch.Generator().manual_seed(4)])
    assert np.abs(found.numpy() - expected).max() < 2e-5


def test_rescaled_times_reach_the_network():
    start, *noises = noises_of(3, 100)
    times = guided_sampling.spread(4000, 100)
    expected = guided_sampling.ancestral(Toy.plain, start, iter(noises), 4000, times, rescale=True)
    network, diffusion = Toy(), Diffusion(4000, rescale_times=True)
    generator = torch.Generator().manual_seed(3)
    found = draw(network, SETTINGS, diffusion, Sampler("ancestral", 100), [generator])
    assert np.abs(found.numpy() - expected).max() < 2e-5
    assert network.times[0] == 999.75
    assert network_times(torch.tensor([7]), PAPER).dtype == torch.int64


def test_trap_ddim_derives_the_noise_from_the_clipped_image():
    # One step at which the image is clipped: without the correction the two differ much.
    sampler = Sampler("ddim", 50)
    scheduler = scheduler_for(sampler, PAPER)
    images, noise = torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 2, 2), 0.1)
    generators = [torch.Generator().manual_seed(0)]
    corrected = step_back(scheduler, sampler, noise, 2000, images, generators)
    plain = scheduler.step(noise, 2000, images).prev_sample
    assert (corrected - plain).abs().max() > 0.1


def test_steps_that_do_not_fit_are_refused():
    with pytest.raises(OptionError, match="do not divide 4000: choose a divisor, for example 32"):
        scheduler_for(Sampler("ddim", 30), PAPER)
    with pytest.raises(OptionError, match="only 100"):
        scheduler_for(Sampler("ancestral", 101), Diffusion(100))
    with pytest.raises(OptionError, match="at least 2 steps"):
        Sampler("ddim", 1)
    with pytest.raises(OptionError, match="at least 21 steps"):
        Diffusion(20)
    with pytest.raises(OptionError, match="eta is for 'ddim'"):
        Sampler("ancestral", 250, 0.5)
    with pytest.raises(OptionError, match="'ancestral' or 'ddim'"):
        Sampler("plms")


@pytest.mark.parametrize(
    ("sampler", "said"),
    [
        (Sampler(), None),
        (Sampler("ancestral", 4000), None),
        (Sampler("ancestral", 100), "hides resemblance"),
        (Sampler("ddim", 50), "pulls images towards the training images"),
        (Sampler("ddim", 50, 1.0), "not measured"),
    ],
)
def test_the_record_names_the_sampler_and_warns(sampler, said):
    record = sampler.record(PAPER)
    assert Sampler.from_json({key: record[key] for key in sampler.to_json()}) == sampler
    assert record["diffusion"] == {"steps": 4000, "rescale_times": False}
    if said is None:
        assert record["warning"] is None
    else:
        assert said in record["warning"]
