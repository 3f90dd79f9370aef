"""The same image for the same seed and number, whatever was asked for at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.errors import InputError, OptionError
from likeness.generators.drawing import image_seed
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.stylegan3.sampling import TOGETHER, sample_images


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    settings = NetworkSettings(
        16, 2, channel_base=64, channel_max=8, layers=3, critical_layers=1, latent_size=8,
        style_size=8,
    )  # fmt: skip
    network = Generator(settings)
    with torch.no_grad():
        network.mapping.mean_style.normal_()
    return network


def drawn(generator, **options):
    return list(sample_images(generator, **{"seed": 4, "count": 40, **options}))


def test_bytes_depend_on_seed_and_number_alone(generator):
    batches = drawn(generator)
    assert [len(batch) for batch in batches] == [16, 16, 8]
    everything = np.concatenate(batches)
    assert everything.dtype == np.uint8
    assert everything.shape == (40, 2, 16, 16)
    assert len(np.unique(everything.reshape(40, -1), axis=0)) == 40
    for first, count, batch_size in ((0, 40, 7), (5, 1, 16), (15, 18, 100), (39, 1, 1)):
        found = drawn(generator, first=first, count=count, batch_size=batch_size)
        assert all(len(batch) == batch_size for batch in found[:-1])
        assert np.array_equal(np.concatenate(found), everything[first : first + count])
    assert not np.array_equal(np.concatenate(drawn(generator, seed=5)), everything)


def test_an_image_is_what_the_generator_makes_of_its_own_vector(generator):
    everything = np.concatenate(drawn(generator))
    for index in (0, 17, 39):
        random = torch.Generator().manual_seed(image_seed(4, index))
        with torch.no_grad():
            made = generator(torch.randn(1, 8, generator=random))[0]
        expected = np.clip(np.rint((made.double().numpy() + 1) * 127.5), 0, 255)
        assert np.abs(everything[index] - expected).max() <= 1


def test_truncation(generator):
    whole, half, none = (
        np.concatenate(drawn(generator, truncation=psi, count=TOGETHER)).astype(float)
        for psi in (1.0, 0.5, 0.0)
    )
    assert whole.std(0).mean() > half.std(0).mean() > 0
    assert none.std(0).max() == 0
    with torch.no_grad():
        mean = generator.synthesise(generator.mapping.mean_style[None])[0]
    expected = np.clip(np.rint((mean.double().numpy() + 1) * 127.5), 0, 255)
    assert np.abs(none[0] - expected).max() <= 1


def test_progress_counts_images(generator):
    class Task:
        total = 0.0

        def advance(self, amount=1.0):
            self.total += amount

        def note(self, text):
            raise AssertionError(text)

    task = Task()
    drawn(generator, first=10, count=25, task=task)
    assert task.total == 25


def test_what_is_refused(generator):
    for options in ({"seed": -1}, {"count": 0}, {"first": -1}, {"batch_size": 0}):
        with pytest.raises(OptionError, match="seed"):
            drawn(generator, **options)
    with pytest.raises(OptionError, match="truncation is 0 to 1, not 2"):
        drawn(generator, truncation=2)
    with pytest.raises(OptionError, match="not class-conditional"):
        drawn(generator, labels=[0] * 40)


def test_no_numbers_no_images(generator):
    broken = Generator(generator.settings)
    with torch.no_grad():
        broken.layers[1].bias.fill_(float("nan"))
    with pytest.raises(InputError, match="not numbers"):
        drawn(broken)
