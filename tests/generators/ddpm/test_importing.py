"""Checkpoints of guided-diffusion become ours, and others are refused with a reason."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.generators.ddpm.guided_network import Weights, guided_network

from likeness.errors import InputError, OptionError
from likeness.generators.checkpoints import load_checkpoint
from likeness.generators.ddpm.importing import (
    convert,
    import_checkpoint,
    key_rules,
    read_tensors,
    settings_of,
)
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.presets import DDPM_PRESETS
from likeness.generators.ddpm.settings import Diffusion, UNetSettings

KEYS = Path(__file__).parents[1] / "facts" / "guided_keys_256.csv"
SETTINGS = UNetSettings(32, 3, 32, 2, (1, 2, 2), (16, 8))
DIFFUSION = Diffusion(4000)


def guided_state(settings=SETTINGS, **options):
    weights = Weights(2)
    side = settings.resolution
    arguments = {
        "width": settings.width,
        "blocks": settings.blocks,
        "multipliers": settings.multipliers,
        "attention_levels": settings.attention_levels,
        "classes": settings.classes,
        "labels": None if settings.classes is None else torch.zeros(1, dtype=torch.int64),
        **options,
    }
    x = torch.zeros(1, settings.channels, side, side)
    guided_network(weights, x, torch.zeros(1), **arguments)
    return dict(weights)


@pytest.fixture(scope="module")
def state():
    return guided_state()


def test_the_rule_gives_the_whole_table():
    with KEYS.open() as stream:
        rows = list(csv.DictReader(stream))
    rules = {rule.ours: rule for rule in key_rules(DDPM_PRESETS["paper-counted-cxr-medium"].unet)}
    assert len(rows) == len(rules) == 500
    for row in rows:
        rule = rules[row["ours"]]
        assert rule.theirs == row["theirs"]
        said = row["transform"]
        if rule.change == "copy":
            assert said == "copy"
        elif rule.change == "squeeze":
            # Biases have no last dimension, so that for them both say the same.
            assert said == "squeeze last dim" or row["ours"].endswith("bias")
        else:
            assert f" take {rule.change} " in said


@pytest.mark.parametrize("preset", DDPM_PRESETS.values(), ids=DDPM_PRESETS)
def test_the_rule_names_every_tensor_of_every_preset(preset):
    with torch.device("meta"):
        names = set(build_unet(preset.unet).state_dict())
    rules = key_rules(preset.unet)
    assert {rule.ours for rule in rules} == names
    assert len(rules) == len(names)


def test_settings_are_told_from_shapes(state):
    assert settings_of(state, resolution=32) == SETTINGS
    one_level = UNetSettings(32, 1, 32, 2, (2,), ())
    assert settings_of(guided_state(one_level), resolution=32) == one_level
    classes = replace(SETTINGS, classes=5, attention_sides=())
    assert settings_of(guided_state(classes), resolution=32) == classes


@pytest.mark.parametrize("rescale_times", [False, True])
def test_a_file_becomes_a_checkpoint_that_computes_the_same(tmp_path, state, rescale_times):
    path = tmp_path / "ema_0.9999_000100.pt"
    torch.save(state, path)
    diffusion = Diffusion(4000, rescale_times=rescale_times)
    digest = import_checkpoint(path, tmp_path / "ours", resolution=32, diffusion=diffusion)
    loaded = load_checkpoint(tmp_path / "ours", prefix="model/")
    assert loaded.sha256 == digest
    assert UNetSettings.from_json(loaded.record["unet"]) == SETTINGS
    assert Diffusion.from_json(loaded.record["diffusion"]) == diffusion
    assert loaded.record["model"] == "ddpm"
    assert loaded.record["imported"]["file"] == path.name
    network = build_unet(SETTINGS).eval()
    network.load_state_dict(loaded.tensors, strict=True)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([3.0, 500.25])
    weights = Weights()
    weights.update(state)
    with torch.inference_mode():
        expected = guided_network(
            weights, x, times, width=32, blocks=2, multipliers=(1, 2, 2), attention_levels=(1, 2)
        )
        found = network(x, times).sample
    assert expected.abs().max() > 0.5
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_half_precision_is_widened(state):
    halves = {name: value.half() for name, value in state.items()}
    found = convert(halves, SETTINGS)
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert torch.equal(found["conv_in.bias"], halves["input_blocks.0.0.bias"].float())


def test_missing_and_extra_tensors_are_named(state):
    less = {key: value for key, value in state.items() if key != "out.0.bias"}
    with pytest.raises(InputError, match=r"1 are missing \(out.0.bias\), 1 left over \(more\)"):
        convert({**less, "more": torch.zeros(1)}, SETTINGS)


def test_a_wrong_shape_is_named(state):
    wrong = {**state, "out.0.bias": torch.zeros(3)}
    with pytest.raises(InputError, match=r"'out.0.bias' has the shape \(3,\)"):
        convert(wrong, SETTINGS)


def test_learned_variances_are_refused():
    with pytest.raises(InputError, match="learn_sigma"):
        settings_of(guided_state(out_channels=6), resolution=32)


def test_networks_without_scale_and_shift_are_refused(state):
    key = "input_blocks.1.0.emb_layers.1.weight"
    other = {**state, key: state[key][:32]}
    with pytest.raises(InputError, match="scale and shift"):
        convert(other, settings_of(other, resolution=32))


def test_resampling_by_residual_blocks_is_refused(state):
    # There a residual block stands in the place of the halving convolution.
    other = {key: value for key, value in state.items() if ".op." not in key}
    for key in [key for key in state if key.startswith("input_blocks.1.0.")]:
        for place in (3, 6):
            other[key.replace("input_blocks.1.", f"input_blocks.{place}.")] = state[key]
    with pytest.raises(InputError, match="resblock_updown"):
        settings_of(other, resolution=32)


def test_a_resolution_that_does_not_fit_is_refused(state):
    with pytest.raises(OptionError, match="33 pixels cannot be halved"):
        settings_of(state, resolution=33)


def test_files_that_are_not_weights_are_refused(tmp_path, state):
    with pytest.raises(InputError, match="There is no file"):
        read_tensors(tmp_path / "absent.pt")
    damaged = tmp_path / "damaged.pt"
    whole = io.BytesIO()
    torch.save(state, whole)
    damaged.write_bytes(whole.getvalue()[:5000])
    with pytest.raises(InputError, match="cannot be read as weights alone"):
        read_tensors(damaged)
    damaged.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read as weights alone"):
        read_tensors(damaged)
    torch.save({"state": {0: {"step": 1}}, "param_groups": []}, damaged)
    with pytest.raises(InputError, match="no named tensors"):
        read_tensors(damaged)
    torch.save({"x": torch.zeros(1)}, damaged)
    with pytest.raises(InputError, match="not of guided-diffusion"):
        import_checkpoint(damaged, tmp_path / "out", resolution=32, diffusion=DIFFUSION)
    assert not (tmp_path / "out").exists()


class Runs:
    """Would call a function when unpickled."""

    def __reduce__(self):
        return print, ("code was run",)


def test_files_that_would_run_code_are_refused(tmp_path, capsys):
    path = tmp_path / "code.pt"
    torch.save({"x": Runs()}, path)
    with pytest.raises(InputError, match="could run code"):
        read_tensors(path)
    assert "code was run" not in capsys.readouterr().out
