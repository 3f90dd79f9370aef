"""Both networks, filled with prescribed parameters, give the values of an independent program."""

from __future__ import annotations

import pytest
from tests.generators.stylegan3.facts import golden
from tests.generators.stylegan3.golden import (
    golden_discriminator,
    golden_generator,
    torch,
    wave,
)

from likeness.generators.stylegan3.loss import squared_gradients

METHODS = ("polyphase", "banded")


def like(values):
    return torch.tensor(values, dtype=torch.float64)


def close(found, expected, atol):
    torch.testing.assert_close(found, like(expected), rtol=0, atol=atol)


@pytest.fixture(scope="module", params=METHODS)
def watched(request):
    """What every layer made, and the image."""
    network, made = golden_generator(request.param), []
    for layer in network.layers:
        layer.register_forward_hook(lambda _, __, result: made.append(result))
    with torch.no_grad():
        styles = network.mapping(wave(501, (2, 8)))
        image = network(wave(501, (2, 8)))
    return styles, made, image


def test_styles(watched):
    close(watched[0], golden()["w"], 1e-13)


def test_layers(watched):
    facts = golden()["per_layer"]
    for found, expected in zip(watched[1], facts, strict=True):
        assert list(found.shape) == expected["shape"]
        size = found.shape[2] // 2
        measured = [
            found.mean(),
            found.square().mean(),
            found[0, 0, 0, 0],
            found[0, 0, size, size],
        ]
        names = ("mean", "mean_sq", "first", "centre")
        close(torch.stack(measured), [expected[name] for name in names], 1e-13)


def test_image(watched):
    image, facts = watched[2], golden()["image"]
    assert list(image.shape) == facts["shape"]
    assert float(image.sum()) == pytest.approx(facts["sum"], rel=0, abs=1e-10)
    assert float(image.square().mean()) == pytest.approx(facts["mean_sq"], rel=0, abs=1e-14)
    close(image[0, 0, 0, :8], facts["row0_first8"], 1e-13)
    # The second row that is given is of the last image and channel.
    close(image[-1, -1, 16, :8], facts["row16_first8"], 1e-13)


def test_discriminator_and_its_gradient():
    network, images = golden_discriminator(), wave(601, (8, 2, 32, 32), 0.6)
    facts = golden()
    with torch.no_grad():
        close(network(images), facts["d_logits"], 1e-13)
    squared = squared_gradients(network, images)
    close(squared.detach(), facts["d_r1_sq_grad_norm"], 1e-17)
    assert squared.requires_grad


def test_in_float32():
    """The tolerance at which an implementation in float32 agreed: image 7e-8, logits 6e-8."""
    generator, discriminator = golden_generator().float(), golden_discriminator().float()
    facts = golden()
    with torch.no_grad():
        image = generator(wave(501, (2, 8)).float())
        logits = discriminator(wave(601, (8, 2, 32, 32), 0.6).float())
    close(image[-1, -1, 16, :8].double(), facts["image"]["row16_first8"], 5e-7)
    close(logits.double(), facts["d_logits"], 5e-7)
    squared = squared_gradients(discriminator, wave(601, (8, 2, 32, 32), 0.6).float())
    expected = facts["d_r1_sq_grad_norm"]
    assert squared.tolist() == pytest.approx(expected, rel=1e-5)
