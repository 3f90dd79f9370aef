"""Both formulations against the plain one: zeros between samples, pad, convolve, convolve, skip."""

from __future__ import annotations

import pytest
from tests.generators.stylegan3.facts import golden
from tests.generators.stylegan3.golden import torch, wave

from likeness.errors import OptionError
from likeness.generators.stylegan3.filtered_activation import (
    filtered_leaky_relu,
    lower_rate,
    raise_rate,
)
from likeness.generators.stylegan3.filters import layer_filters
from likeness.generators.stylegan3.plan import NetworkSettings, plan_generator

METHODS = ("polyphase", "banded")


def convolve(x, taps):
    """True convolution of both axes, only where no sample from outside is needed."""
    taps = taps.flip(0)
    x = (x.unfold(2, len(taps), 1) * taps).sum(-1)
    return (x.unfold(3, len(taps), 1) * taps).sum(-1)


def with_zeros(x, factor):
    found = x.new_zeros(*x.shape[:2], x.shape[2] * factor, x.shape[3] * factor)
    found[:, :, ::factor, ::factor] = x * factor**2
    return found


def padded(x, low, high):
    """Pad or crop both axes, written out."""
    found = x.new_zeros(*x.shape[:2], *(size + low + high for size in x.shape[2:]))
    for row in range(found.shape[2]):
        for column in range(found.shape[3]):
            if 0 <= row - low < x.shape[2] and 0 <= column - low < x.shape[3]:
                found[:, :, row, column] = x[:, :, row - low, column - low]
    return found


def plainly(x, bias, up_filter, down_filter, *, up, down, padding, slope=0.2, gain=2**0.5):
    x = convolve(padded(with_zeros(x + bias[:, None, None], up), *padding), up_filter)
    x = torch.where(x < 0, x * slope, x) * gain
    return convolve(x, down_filter)[:, :, ::down, ::down]


def case(shape, up_taps, down_taps, *, seed=0):
    random = torch.Generator().manual_seed(seed)
    x, bias, first, second = (
        torch.randn(size, generator=random, dtype=torch.float64)
        for size in (shape, shape[1:2], (up_taps,), (down_taps,))
    )
    return x, bias, first / first.sum().abs(), second / second.sum().abs()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("up", "up_taps", "down", "down_taps", "padding"),
    [
        (2, 12, 2, 12, (9, 8)),
        (4, 24, 2, 12, (-6, -9)),
        (2, 12, 2, 12, (-4, -3)),
        (2, 12, 4, 24, (14, 17)),
        (1, 1, 1, 1, (0, 0)),
        (1, 1, 2, 12, (3, 2)),
        (2, 12, 1, 1, (1, 0)),
        (3, 5, 2, 3, (7, -2)),
        (2, 3, 3, 4, (9, 11)),
    ],
)
def test_against_the_plain_formulation(method, up, up_taps, down, down_taps, padding):
    """With filters that are not symmetric, so that none is used the wrong way round."""
    x, bias, first, second = case((2, 3, 17, 15), up_taps, down_taps)
    options = {"up": up, "down": down, "padding": padding}
    expected = plainly(x, bias, first, second, **options)
    found = filtered_leaky_relu(x, bias, first, second, **options, method=method)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13 * float(expected.abs().max()))


@pytest.mark.parametrize("method", METHODS)
def test_every_layer_of_a_plan(method):
    for plan in plan_generator(NetworkSettings(32, 1, layers=6)):
        first, second = map(torch.from_numpy, layer_filters(plan))
        size = plan.source.size + plan.kernel - 1
        x, bias = case((1, 2, size, size), 1, 1)[:2]
        options = {"up": plan.up, "down": plan.down, "padding": plan.padding}
        found = filtered_leaky_relu(x, bias, first, second, **options, method=method)
        assert found.shape == (1, 2, plan.target.size, plan.target.size)
        expected = plainly(x, bias, first, second, **options)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_golden_values(method):
    facts = golden()["filtered_lrelu_op"]
    first, second = (
        torch.tensor(facts[name], dtype=torch.float64) for name in ("up_filter", "down_filter")
    )
    found = filtered_leaky_relu(
        wave(701, (1, 1, 6, 6)),
        torch.tensor([facts["bias"]], dtype=torch.float64),
        first,
        second,
        up=facts["up"],
        down=facts["down"],
        padding=(facts["pad_lo"], facts["pad_hi"]),
        slope=facts["slope"],
        gain=facts["gain"],
        method=method,
    )
    expected = torch.tensor(facts["y"], dtype=torch.float64).reshape(facts["y_shape"])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("up", "padding"), [(2, (9, 8)), (4, (6, 5))])
def test_first_and_second_derivatives(method, up, padding):
    """Between the kinks of the leaky ReLU, which random numbers miss."""
    x, bias, first, second = case((1, 2, 6, 6), 6 * up, 12, seed=3)
    leaves = x.requires_grad_(), bias.requires_grad_()

    def apply(x, bias):
        y = filtered_leaky_relu(
            x, bias, first, second, up=up, down=2, padding=padding, method=method
        )
        return y.square()  # otherwise the second derivative would be zero

    assert torch.autograd.gradcheck(apply, leaves)
    assert torch.autograd.gradgradcheck(apply, leaves)


def test_slope_and_gain_of_one_leave_a_filter_alone():
    x, bias, first, second = case((1, 2, 8, 8), 12, 12)
    options = {"up": 2, "down": 2, "padding": (9, 8), "slope": 1.0, "gain": 1.0}
    found = filtered_leaky_relu(x, bias, first, second, **options)
    expected = lower_rate(raise_rate(x + bias[:, None, None], first, 2, (9, 8)), second, 2)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_numbers_of_16_bits_are_held_in_range(dtype):
    x = torch.full((1, 1, 2, 2), 1000.0, dtype=dtype)
    one = torch.ones(1)
    y = filtered_leaky_relu(x, torch.zeros(1), one, one, up=1, down=1, padding=(0, 0))
    assert y.dtype == dtype
    assert float(y.max()) == (256 if dtype != torch.float32 else pytest.approx(1000 * 2**0.5))


def test_an_unknown_method():
    x, bias, first, second = case((1, 1, 6, 6), 1, 1)
    with pytest.raises(OptionError, match="'fast'"):
        filtered_leaky_relu(x, bias, first, second, up=1, down=1, padding=(0, 0), method="fast")
