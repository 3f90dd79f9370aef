"""The same images for the same seed, rounded to 8 bits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.generators.ddpm import guided_sampling

from likeness.errors import InputError, OptionError
from likeness.generators.ddpm.loss import scaled
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.sampling import image_seed, sample_images, to_8_bit
from likeness.generators.ddpm.settings import Diffusion, Sampler, UNetSettings

SETTINGS = UNetSettings(32, 2, 8, 1, (1, 2), (16,), groups=4)
DIFFUSION = Diffusion(100)
SAMPLER = Sampler("ancestral", 5, together=4)


def shaken(settings, seed=0):
    """A network whose outputs are not zero."""
    network = build_unet(settings, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn(value.shape, generator=generator) * 0.05)
    return network


@pytest.fixture(scope="module")
def network():
    return shaken(SETTINGS)


def all_of(network, sampler=SAMPLER, settings=SETTINGS, **options):
    options = {"seed": 5, "count": 7, **options}
    return np.concatenate(list(sample_images(network, settings, DIFFUSION, sampler, **options)))


@pytest.fixture(scope="module")
def seven(network):
    return all_of(network)


def test_images_are_8_bit_and_differ(seven):
    assert seven.shape == (7, 2, 32, 32)
    assert seven.dtype == np.uint8
    assert len({image.tobytes() for image in seven}) == 7
    assert seven.std() > 10


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 100])
def test_the_batch_size_changes_nothing(network, seven, batch_size):
    batches = list(
        sample_images(network, SETTINGS, DIFFUSION, SAMPLER, seed=5, count=7, batch_size=batch_size)
    )
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert np.array_equal(np.concatenate(batches), seven)


def test_a_sample_goes_on_where_it_was_interrupted(network, seven):
    for first in (1, 3, 4, 6):
        assert np.array_equal(all_of(network, first=first, count=7 - first), seven[first:])


class Placed(torch.nn.Module):
    """What torch's rounding does in small, in large: the place in the batch matters."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.1))

    def forward(self, x, times, class_labels=None):
        place = torch.arange(len(x)).reshape(-1, 1, 1, 1)
        return SimpleNamespace(sample=x * (self.weight + 0.05 * place) + len(x) * 0.01)


def test_an_image_always_has_the_same_place_among_those_computed_together():
    network = Placed()
    whole = all_of(network, count=11)
    for first, count, batch_size in ((1, 5, 2), (4, 7, 3), (10, 1, 1), (3, 2, 9)):
        part = all_of(network, first=first, count=count, batch_size=batch_size)
        assert np.array_equal(part, whole[first : first + count])


class Knowing(torch.nn.Module):
    """The exact noise where the only images there are are these, all alike likely."""

    def __init__(self, images):
        super().__init__()
        self.weight = torch.nn.Parameter(scaled(images).double().flatten(1), requires_grad=False)
        bars = guided_sampling.alpha_bars(guided_sampling.all_betas(DIFFUSION.steps))
        self.bars = torch.tensor(bars, dtype=torch.float64)

    def forward(self, x, times, class_labels=None):
        share = self.bars[times][:, None]
        flat = x.double().flatten(1)
        far = (flat[:, None] - share[:, None].sqrt() * self.weight[None]).square().sum(2)
        likely = torch.softmax(-far / (2 * (1 - share)), dim=1)
        noise = (flat - share.sqrt() * (likely @ self.weight)) / (1 - share).sqrt()
        return SimpleNamespace(sample=noise.reshape(x.shape))


@pytest.mark.parametrize("sampler", [Sampler("ancestral", 50), Sampler("ddim", 50)])
def test_a_model_that_knows_its_images_by_heart_gives_just_them(sampler):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 2, 32, 32), generator=generator, dtype=torch.uint8)
    found = all_of(Knowing(images), sampler, count=32)
    known = [image.tobytes() for image in images.numpy()]
    times = [sum(image.tobytes() == one for image in found) for one in known]
    assert sum(times) == 32
    assert min(times) > 2


def test_how_many_are_computed_together_changes_at_most_a_rounding(network, seven):
    for together in (1, 3, 7):
        found = all_of(network, Sampler("ancestral", 5, together=together))
        difference = np.abs(found.astype(int) - seven)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_another_seed_gives_other_images(network, seven):
    other = all_of(network, seed=6)
    assert not {image.tobytes() for image in seven} & {image.tobytes() for image in other}


def test_torch_s_own_generator_is_not_used(network, seven):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = all_of(network)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(found, seven)


def test_deterministic_sampling_depends_on_the_first_noise_alone(network):
    sampler = Sampler("ddim", 5, together=4)
    first, second = all_of(network, sampler), all_of(network, sampler)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, all_of(network, Sampler("ddim", 5, 1.0, together=4)))


def test_the_network_s_mode_is_kept(network):
    network.train()
    all_of(network, count=1)
    assert network.training
    network.eval()


def test_seeds_differ_within_a_sample():
    seeds = [image_seed(0, index) for index in range(5000)]
    assert len(set(seeds)) == 5000
    assert all(0 <= seed < 2**32 for seed in seeds)
    # torch would take these two for the same, so seeds beyond 32 bits must not be relied on.
    a, b = (torch.Generator().manual_seed(seed) for seed in (1, 1 + 2**32))
    assert torch.equal(torch.randn(4, generator=a), torch.randn(4, generator=b))


def test_classes_reach_the_network():
    settings = UNetSettings(32, 1, 8, 1, (1, 2), (), groups=4, classes=3)
    network = shaken(settings)
    both = all_of(network, settings=settings, count=5, labels=[0, 1, 2, 0, 1])
    part = all_of(network, settings=settings, count=2, first=2, labels=[2, 0])
    other = all_of(network, settings=settings, count=2, first=2, labels=[1, 0])
    assert np.array_equal(both[2:4], part)
    assert not np.array_equal(part[0], other[0])
    assert np.array_equal(part[1], other[1])
    with pytest.raises(OptionError, match="knows 3 classes"):
        all_of(network, settings=settings)
    with pytest.raises(OptionError, match=r"these are none: \[3\]"):
        all_of(network, settings=settings, count=2, labels=[0, 3])


def test_what_makes_no_sense_is_refused_before_anything_is_drawn(network):
    for options in ({"seed": -1}, {"count": 0}, {"batch_size": 0}, {"first": -1}):
        with pytest.raises(OptionError, match="not negative"):
            all_of(network, **options)
    with pytest.raises(OptionError, match="not class-conditional"):
        all_of(network, labels=[0] * 7)
    with pytest.raises(OptionError, match="do not divide"):
        sample_images(network, SETTINGS, DIFFUSION, Sampler("ddim", 30), seed=0, count=1)


def test_progress_adds_up(network):
    class Counting:
        done = 0.0

        def advance(self, amount=1.0):
            self.done += amount

        def note(self, text):
            """Not used."""

    task = Counting()
    all_of(network, count=5, first=2, task=task)
    assert task.done == pytest.approx(5)


def test_all_grey_levels_come_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert np.array_equal(to_8_bit(scaled(levels)), levels.numpy())
    truncated = ((scaled(levels) + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    assert (truncated != levels).sum() == 63  # what rounding is for


def test_levels_between_go_to_the_nearest():
    values = torch.tensor([10.4, 10.6, 200.2, 200.9, 254.7]) / 127.5 - 1
    assert to_8_bit(values).tolist() == [10, 11, 200, 201, 255]


def test_values_out_of_range_are_clipped_and_no_numbers_are_refused():
    values = torch.tensor([-7.0, -1.0, 1.0, 7.0])
    assert to_8_bit(values).tolist() == [0, 0, 255, 255]
    with pytest.raises(InputError, match="not numbers"):
        to_8_bit(torch.tensor([0.0, float("nan")]))
    with pytest.raises(InputError, match="not numbers"):
        to_8_bit(torch.tensor([0.0, float("inf")]))
