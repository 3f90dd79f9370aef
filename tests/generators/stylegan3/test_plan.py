"""The plan agrees with tables made elsewhere, and the counts with those printed in the paper."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from tests.generators.stylegan3.facts import golden, rows

from likeness.errors import OptionError
from likeness.generators.stylegan3.filters import layer_filters, low_pass
from likeness.generators.stylegan3.plan import (
    NetworkSettings,
    count_discriminator,
    count_generator,
    plan_discriminator,
    plan_generator,
)
from likeness.generators.stylegan3.presets import PRESETS, tiny

LAYERS = rows("stylegan3t_layers.csv")
PAPER = {
    # Table of the paper: generator, discriminator.
    "paper-counted-cxr-small": (23_455_739, 24_086_598),
    "paper-counted-cxr-medium": (28_471_875, 28_863_873),
    "paper-counted-cxr-large": (40_260_785, 36_323_007),
    "paper-counted-brats-small": (8_343_757, 7_238_214),
    "paper-counted-brats-medium": (31_098_435, 28_863_873),
    "paper-counted-brats-large": (105_533_217, 114_868_977),
}


def settings_of(row):
    numbers = (int(row[k]) for k in ("resolution", "img_channels", "channel_base", "channel_max"))
    return NetworkSettings(*numbers)


def test_every_layer_of_the_generator():
    assert len(LAYERS) == 360
    for row in LAYERS:
        plan = plan_generator(settings_of(row))[int(row["layer"])]
        source, target = plan.source, plan.target
        flags = (plan.is_to_image, plan.is_critical, plan.in_mixed_precision)
        assert [str(flag) for flag in flags] == [
            row["is_torgb"],
            row["is_critical"],
            row["fp16_in_amp"],
        ]
        whole = {
            "c_in": source.channels,
            "c_out": target.channels,
            "kernel": plan.kernel,
            "size_in": source.size,
            "size_out": target.size,
            "up": plan.up,
            "down": plan.down,
            "up_taps": plan.up_taps,
            "down_taps": plan.down_taps,
            "pad_lo": plan.padding[0],
            "pad_hi": plan.padding[1],
            "params": plan.parameters,
        }
        assert whole == {name: int(row[name]) for name in whole}
        real = {
            "s_in": source.rate,
            "s_out": target.rate,
            "s_tmp": plan.activation_rate,
            "fc_in": source.cutoff,
            "fc_out": target.cutoff,
            "ft_in": source.stopband,
            "ft_out": target.stopband,
            "fh_in": source.half_width,
            "fh_out": target.half_width,
        }
        expected = {name: float(row[name]) for name in real}
        assert real == pytest.approx(expected, rel=0, abs=1e-8)


def test_every_layer_of_the_discriminator():
    presets = {(row["resolution"], row["preset"]): settings_of(row) for row in LAYERS}
    table = [row for row in rows("discriminator_layers.csv") if row["layer"] != "4.minibatch_std"]
    assert len(table) == 420
    for key, settings in presets.items():
        expected = [row for row in table if (row["resolution"], row["preset"]) == key]
        for layer, row in zip(plan_discriminator(settings), expected, strict=True):
            assert layer.name == row["layer"]
            assert (layer.in_features, layer.out_features) == (
                int(row["in_ch"]),
                int(row["out_ch"]),
            )
            assert (layer.kernel, layer.in_size, layer.out_size) == (
                int(row["kernel"] or 1),
                int(row["in_size"] or 1),
                int(row["out_size"] or 1),
            )
            assert layer.has_bias == bool(int(row["bias"]))
            assert layer.parameters == int(row["params"])
            assert layer.weight_gain == pytest.approx(float(row["runtime_weight_gain"]))
            assert layer.activation_gain == pytest.approx(float(row["activation_gain"]))


def closed_forms(s):
    """The published sums, written down once more, for vectors of 512 numbers."""
    half, steps = s.resolution / 2, s.layers - s.critical_layers
    c = [
        round(min(s.channel_base / 2 / (2 * (half / 2) ** min(i / steps, 1)), s.channel_max))
        for i in range(s.layers)
    ]
    ins, outs = [c[0], *c], [*c, s.channels]
    generator = s.mapping_depth * (512**2 + 512) + c[0] ** 2 + 4 * 512 + 4
    for i, (a, b) in enumerate(zip(ins, outs, strict=True)):
        generator += 513 * a + (1 if i == s.layers else 9) * a * b + b

    def width(r):
        return min(s.channel_base // r, s.channel_max)

    r, c4 = s.resolution, width(4)
    discriminator = s.channels * width(r) + width(r)
    while r >= 8:
        t, o = width(r), width(r // 2)
        discriminator += 9 * t * t + t + 9 * t * o + o + t * o
        r //= 2
    return generator, discriminator + 9 * (c4 + 1) * c4 + c4 + 16 * c4**2 + c4 + c4 + 1


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "tiny"])
def test_counts_are_the_published_sums(name):
    settings = PRESETS[name].network
    assert (count_generator(settings), count_discriminator(settings)) == closed_forms(settings)


@pytest.mark.parametrize("name", PAPER)
def test_counts_of_the_paper(name):
    settings = PRESETS[name].network
    assert (count_generator(settings), count_discriminator(settings)) == PAPER[name]


def test_the_printed_total_is_the_sum_with_one_channel():
    one, five = (PRESETS[f"paper-text-{data}-large"].network for data in ("cxr", "brats"))
    assert count_generator(one) + count_discriminator(one) == 220_400_166
    assert count_generator(five) + count_discriminator(five) == 220_402_194


def test_golden_counts():
    counts = golden()["param_counts"]
    assert len(counts) == 9
    for key, expected in counts.items():
        size, channels, base, most, depth = (int(part.strip("chdept")) for part in key.split("/"))
        settings = NetworkSettings(size, channels, base, most, mapping_depth=depth)
        assert count_generator(settings) == expected["G"]
        assert count_discriminator(settings) == expected["D"]


def kaiser(taps, cutoff, half_width, rate):
    """Kaiser's formulas: attenuation, shape, window, and the cut-off sinc."""
    loss = 2.285 * (taps - 1) * math.pi * 2 * half_width / (rate / 2) + 7.95
    if loss > 50:
        beta = 0.1102 * (loss - 8.7)
    elif loss > 21:
        beta = 0.5842 * (loss - 21) ** 0.4 + 0.07886 * (loss - 21)
    else:
        beta = 0.0
    m = np.arange(taps) - (taps - 1) / 2
    window = np.i0(beta * np.sqrt(np.maximum(1 - (2 * m / (taps - 1)) ** 2, 0))) / np.i0(beta)
    values = np.sinc(2 * cutoff * m / rate) * window
    return values / values.sum(), beta


def test_filters_against_the_table_and_the_formula():
    table = rows("stylegan3t_filters.csv")
    assert len(table) == 112
    for row in table:
        taps, cutoff, rate = int(row["taps"]), float(row["cutoff"]), float(row["fs"])
        assert float(row["width"]) > 0
        plan = plan_generator(NetworkSettings(int(row["resolution"]), 1))[int(row["layer"])]
        found = layer_filters(plan)[row["which"] == "down"]
        signal = plan.target if row["which"] == "down" else plan.source
        assert (len(found), plan.activation_rate) == (taps, rate)
        assert signal.cutoff == pytest.approx(cutoff)
        stored = np.array([float(value) for value in row["coefficients"].split()])
        expected, beta = kaiser(taps, signal.cutoff, signal.half_width, rate)
        assert beta == pytest.approx(float(row["kaiser_beta"]), abs=1e-8)
        np.testing.assert_allclose(found, stored, rtol=0, atol=2e-9)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
        np.testing.assert_allclose(found, found[::-1], rtol=0, atol=1e-17)


def test_a_filter_of_one_tap_changes_nothing():
    assert low_pass(1, 2.0, 1.0, 32.0).tolist() == [1.0]


@pytest.mark.parametrize("resolution", [16, 32, 64, 512, 1024])
@pytest.mark.parametrize(("layers", "critical"), [(2, 1), (6, 2), (8, 2), (10, 2), (14, 2)])
def test_plans_of_any_depth_fit_together(resolution, layers, critical):
    """Rates never fall, factors are whole, and what a layer makes is what the next one reads."""
    plans = plan_generator(NetworkSettings(resolution, 3, layers=layers, critical_layers=critical))
    assert len(plans) == layers + 1
    assert (plans[-1].target.size, plans[-1].target.channels) == (resolution, 3)
    for before, after in pairwise(plans):
        assert before.target == after.source
        assert after.target.rate >= before.target.rate
    for plan in plans:
        assert plan.source.rate * plan.up == plan.target.rate * plan.down == plan.activation_rate
        full = (plan.source.size + plan.kernel - 1) * plan.up + sum(plan.padding)
        left = full - (plan.up_taps - 1) - (plan.down_taps - 1)
        assert (left + plan.down - 1) // plan.down == plan.target.size


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"resolution": 48}, "power of two"),
        ({"resolution": 8}, "power of two"),
        ({"channels": 0}, "channels is 0"),
        ({"critical_layers": 14}, "critical"),
        ({"mapping_depth": 0}, "mapping_depth"),
        ({"channel_base": 16}, "no channel"),
    ],
)
def test_settings_that_cannot_be(wrong, word):
    with pytest.raises(OptionError, match=word):
        NetworkSettings(**{"resolution": 32, "channels": 1} | wrong)


def test_presets():
    assert len(PRESETS) == 13
    assert all(name == preset.name for name, preset in PRESETS.items())
    small = tiny(4).network
    assert (small.resolution, small.channels) == (32, 4)
    assert count_generator(small) < 500_000


def test_plans_and_presets_load_no_torch():
    code = (
        "import sys, likeness.generators.stylegan3.presets, likeness.generators.stylegan3.filters\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
