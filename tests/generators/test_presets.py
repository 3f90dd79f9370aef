"""Presets are found by kind and name, say where they come from, and cost no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from likeness.errors import OptionError
from likeness.generators.ddpm.presets import DDPM_PRESETS
from likeness.generators.ddpm.settings import Diffusion, Training, UNetSettings
from likeness.generators.presets import ALL_PRESETS, find_preset

PAPER = {
    f"paper-{family}-{data}-{size}"
    for family in ("text", "counted")
    for data in ("brats", "cxr")
    for size in ("small", "medium", "large")
}


@pytest.mark.parametrize("kind", ["ddpm", "stylegan3"])
def test_both_kinds_have_the_paper_s_and_a_tiny_one(kind):
    assert set(ALL_PRESETS[kind]) == PAPER | {"tiny"}
    for name, preset in ALL_PRESETS[kind].items():
        assert preset.name == name
        assert find_preset(kind, name) is preset


def test_the_text_s_presets_are_what_the_text_says():
    for name in PAPER:
        preset = DDPM_PRESETS[name]
        if "text" in name:
            assert preset.unet.channels == (5 if "brats" in name else 1)
            assert preset.unet.blocks == 3
        width = {"small": 32, "medium": 64, "large": 96}[name.rsplit("-", 1)[1]]
        assert preset.unet.width == width
        assert preset.unet.resolution == 256
        assert preset.diffusion == Diffusion(4000)
        assert (preset.training.batch, preset.training.images) == (12, 7_800_000)
        assert preset.training.learning_rate == 1e-4


def test_tiny_is_tiny():
    tiny = DDPM_PRESETS["tiny"]
    assert tiny.unet.resolution == 32
    assert 500_000 < tiny.parameters < 2_000_000


@pytest.mark.parametrize("preset", DDPM_PRESETS.values(), ids=DDPM_PRESETS)
def test_they_are_frozen_described_and_survive_json(preset):
    with pytest.raises(FrozenInstanceError):
        preset.name = "x"
    assert len(preset.description) > 60
    for kind, value in (
        (UNetSettings, preset.unet),
        (Diffusion, preset.diffusion),
        (Training, preset.training),
    ):
        assert kind.from_json(json.loads(json.dumps(value.to_json()))) == value


def test_unknown_and_missing_settings_are_refused():
    with pytest.raises(OptionError, match="missing or unknown: rescale_times"):
        Diffusion.from_json({"steps": 1000})
    with pytest.raises(OptionError, match="missing or unknown: more"):
        Diffusion.from_json({"steps": 1000, "rescale_times": False, "more": 1})


@pytest.mark.parametrize("resolution", [32, 64, 96, 128, 160, 256])
def test_a_preset_for_other_images(resolution):
    preset = DDPM_PRESETS["paper-text-brats-small"]
    settings = preset.resized(resolution=resolution, channels=2, classes=4)
    assert (settings.resolution, settings.channels, settings.classes) == (resolution, 2, 4)
    assert (settings.width, settings.blocks) == (32, 3)
    assert all(8 <= side <= 16 for side in settings.attention_sides)
    assert settings.attention_sides
    assert preset.resized() == preset.unet


def test_a_tiny_preset_keeps_its_levels_when_only_channels_change():
    tiny = DDPM_PRESETS["tiny"]
    assert tiny.resized(resolution=32, channels=4).multipliers == tiny.unet.multipliers


def test_other_names_are_refused_with_a_suggestion():
    with pytest.raises(OptionError, match="Is one of these meant: paper-text-cxr-small"):
        find_preset("ddpm", "paper-text-cxr-smal")
    with pytest.raises(OptionError, match="no generator 'gan', only ddpm, stylegan3"):
        find_preset("gan", "tiny")


def test_presets_load_nothing_heavy():
    code = (
        "import sys, likeness.generators.presets; "
        "print([m for m in ('torch', 'diffusers', 'safetensors', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
