"""`likeness sample`, `presets` and `import-checkpoint`, as typed."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from likeness.cli._run import run
from likeness.datasets import ImageSet
from likeness.generators.presets import ALL_PRESETS

needs_torch = pytest.mark.skipif(
    not all(find_spec(name) for name in ("torch", "diffusers", "safetensors")),
    reason="needs the extra generate",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from tests.generators.test_models import save_ddpm
    from tests.generators.test_samples import IMAGES

    return save_ddpm(tmp_path_factory.mktemp("cli") / "checkpoint", step=7, images=IMAGES)


@needs_torch
def test_images_are_drawn_exported_and_ready_for_an_audit(checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["sample", checkpoint, "--num", 3, "--out", out, "--export", "png", "--layout", "paper"]
    assert run(list(map(str, words))) == 0
    said = capsys.readouterr()
    assert "drawn      3 images 2 x 32 x 32 of seed 0, ddpm, average weights" in said.out
    assert f"--synthetic {out}" in said.out
    made = ImageSet.open(out)
    with Image.open(tmp_path / "out-png/T1/sample-000002T1.png") as picture:
        assert np.array_equal(np.asarray(picture), made.read(2, 3)[0, 0])
    assert run(["inspect", str(out)]) == 0


@needs_torch
def test_json_and_a_dry_run(checkpoint, tmp_path, capsys):
    words = ["sample", str(checkpoint), "--num", "2", "--out", str(tmp_path / "out"), "--json"]
    assert run([*words, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "out").exists()
    assert run(words) == 0
    done = json.loads(capsys.readouterr().out)
    assert {name: done[name] for name in planned} == planned
    assert done["fingerprint"] == ImageSet.open(tmp_path / "out").fingerprint


@needs_torch
def test_few_steps_are_warned_of(checkpoint, tmp_path, capsys):
    words = ["sample", str(checkpoint), "--num", "1", "--out", str(tmp_path / "out")]
    assert run([*words, "--sampler", "ddim", "--steps", "2"]) == 0
    assert "pulls images towards the training images" in capsys.readouterr().err


@needs_torch
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sample", "nowhere", "--out", "o"], 3, "neither a checkpoint nor"),
        (["sample", "{}", "--out", "o", "--num", "0"], 2, "--num must be at least 1"),
        (["sample", "{}", "--out", "o", "--class", "cat"], 2, "knows no classes"),
        (["sample", "{}", "--out", "o", "--truncation", "0.5"], 2, "Truncation is for StyleGAN3"),
        (["import-checkpoint", "no.pt", "--out", "o", "--resolution", "32", "--diffusion-steps",
          "100"], 3, "There is no file 'no.pt'"),
        (["import-checkpoint", "{}/checkpoint.json", "--out", "o", "--resolution", "32",
          "--diffusion-steps", "100"], 3, "checkpoint.json"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_do(checkpoint, tmp_path, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(tmp_path)
    assert run([word.format(checkpoint) for word in words]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@needs_torch
def test_an_imported_network_draws(tmp_path, capsys):
    import torch
    from tests.generators.ddpm.test_importing import guided_state

    from likeness.generators.ddpm.settings import UNetSettings

    torch.save(guided_state(UNetSettings(32, 1, 32, 1, (1,), ())), tmp_path / "ema.pt")
    out = tmp_path / "imported"
    words = ["import-checkpoint", tmp_path / "ema.pt", "--out", out, "--resolution", 32,
             "--diffusion-steps", 24]  # fmt: skip
    assert run(list(map(str, words))) == 0
    assert f"likeness sample {out}" in capsys.readouterr().out
    assert run(["sample", str(out), "--num", "2", "--out", str(tmp_path / "drawn")]) == 0
    assert len(ImageSet.open(tmp_path / "drawn")) == 2


def test_all_presets_are_listed(capsys):
    assert run(["presets"]) == 0
    said = capsys.readouterr().out
    for kind, named in ALL_PRESETS.items():
        assert kind in said
        for name in named:
            assert f"  {name} " in said
    assert run(["presets", "ddpm", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unet"]["resolution"] == 32
    assert run(["presets", "ddpm", "tinny"]) == 2
    assert "tiny" in capsys.readouterr().err
