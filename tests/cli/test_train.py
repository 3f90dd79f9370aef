"""`likeness train`, in one process, on a handful of small images."""

from __future__ import annotations

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.cli import _training
from likeness.cli._run import run
from likeness.generators.presets import find_preset

PARAMETERS = find_preset("ddpm", "tiny").parameters
pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in ("torch", "diffusers", "safetensors")),
    reason="needs the extra generate",
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def prepare(where, name, patients, *, rule="regex:(P[0-9]+)_", seed=0):
    rng = np.random.default_rng(seed)
    folder = where / f"{name}-files"
    folder.mkdir()
    for patient in patients:
        pixels = rng.integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"P{patient:03d}_0.png")
    made = where / name
    assert run(["prepare", "images", str(folder), "--out", str(made), "--patient-id", rule]) == 0
    return made


@pytest.fixture(scope="module")
def train_set(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("sets"), "train", range(6))


def train(train_set, out, *words, kind="ddpm"):
    given = ["train", kind, str(train_set), "--out", str(out), "--batch", "2", "--no-grids"]
    return run([*given, *map(str, words)])


def test_a_run_is_made_then_lengthened(train_set, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(train_set, out, "--images", 4, "--log-every", 1) == 0
    said = capsys.readouterr()
    assert f"preset tiny; parameters: network {PARAMETERS:,}" in said.out
    assert "images     6 of 1 x 32 x 32, patients 6" in said.out
    assert "seen       4 images in 2 steps: finished" in said.out
    assert f"next       likeness sample {out} --num 1000 --seed 0" in said.out
    assert "warning" not in said.err
    assert train(train_set, out, "--images", 5, "--log-every", 1, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["step"], told["finished"], told["images_to_see"]) == (3, True, 5)
    assert Path(told["checkpoint"], "checkpoint.json").is_file()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    if find_spec("matplotlib"):
        with Image.open(out / "progress.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100
    assert train(train_set, out, "--images", 5, "--learning-rate", 0.1) == 2
    assert "training.learning_rate is 0.1, was 0.0" in capsys.readouterr().err


def test_a_dry_run_measures_and_writes_nothing(train_set, tmp_path, capsys):
    assert train(train_set, tmp_path / "run", "--images", 2000, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 1000
    assert told["seconds"] == pytest.approx(2000 / told["images_per_second"])
    # weights, their mean and two moments in four bytes each, and names
    assert 16 * PARAMETERS < told["checkpoint_bytes"] < 16 * PARAMETERS + 200_000
    assert told["disk_bytes"] == 2 * told["checkpoint_bytes"]
    assert not (tmp_path / "run").exists()


def test_sigterm_saves_and_the_exit_code_says_so(train_set, tmp_path, capsys, monkeypatch):
    from likeness.generators.ddpm import training

    true_loss = training.noise_loss

    def loss(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        return true_loss(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, "noise_loss", loss)
        assert train(train_set, tmp_path, "--images", 4) == 130
    assert "in 1 steps: stopped by SIGTERM; the same command goes on" in capsys.readouterr().out
    assert train(train_set, tmp_path, "--images", 4) == 0
    assert "4 images in 2 steps: finished" in capsys.readouterr().out


def test_a_stop_by_a_callback_is_a_finding(train_set, tmp_path, capsys, monkeypatch):
    class Always:
        def on_checkpoint(self, step, checkpoint_path):
            return True

    monkeypatch.setattr(_training, "_callbacks", lambda *_: [_training._Audit(Always())])
    assert train(train_set, tmp_path, "--images", 4, "--save-every", 1) == 1
    assert "in 1 steps: stopped by an audit" in capsys.readouterr().out
    # A finding at the last step is one too, though the training ended by itself.
    assert train(train_set, tmp_path, "--images", 4, "--save-every", 1) == 1
    assert "4 images in 2 steps: finished" in capsys.readouterr().out


def test_sets_without_patients_or_with_shared_ones_are_warned_about(train_set, tmp_path):
    from likeness.datasets import ImageSet

    one = ImageSet.open(train_set)
    assert _training.warnings_about(one, None) == []
    other = ImageSet.open(prepare(tmp_path, "test", range(4, 9), seed=1))
    (line,) = _training.warnings_about(one, other)
    assert line.startswith("2 patients are in both sets, for example 'P004'")
    unnamed = ImageSet.open(prepare(tmp_path, "unnamed", range(6, 8), rule="none", seed=2))
    first, second, third = _training.warnings_about(unnamed, unnamed.subset([0]))
    assert first.startswith("The training set names no patients")
    assert second.startswith("The test set names no patients")
    assert third.startswith("1 pictures are in the training and the test set")
    same = ImageSet.from_arrays(one.read(0, 1), patient_ids=["somebody"])
    (line,) = _training.warnings_about(one, same)
    assert line.startswith("1 pictures are in the training and the test set")


def test_what_does_not_fit_is_refused(train_set, tmp_path, capsys):
    for words, message in (
        (["--audit-every", 10], "--audit-every needs --test"),
        (["--stop-on-copies"], "--stop-on-copies goes with --audit-every"),
        (["--images", 0], "--images must be at least 1"),
        (["--preset", "tyni"], "no preset 'tyni' for ddpm"),
        (["--device", "cuda:77"], "no device 'cuda:77'"),
        (["--augment", "mirror"], "no augmentation 'mirror'"),
        (["--classes"], "images have no class"),
        (
            ["--test", train_set, "--audit-every", 3, "--save-every", 4],
            "3 is less than --save-every 4",
        ),
        (["--classes", "--test", train_set, "--audit-every", 3], "of a class-conditional network"),
    ):
        assert train(train_set, tmp_path / "run", *words) in (2, 3), words
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
    assert train(tmp_path / "nowhere", tmp_path / "run") == 3


def test_an_absent_library_is_named(train_set, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(_training, "find_spec", lambda name: None if name == "diffusers" else True)
    assert train(train_set, tmp_path / "run") == 2
    assert "needs diffusers, which is absent: pip install 'likeness[generate]'" in (
        capsys.readouterr().err
    )


def test_classes_and_alterations_reach_the_record(train_set, tmp_path, capsys):
    table = tmp_path / "labels.csv"
    from likeness.datasets import ImageSet

    names = ImageSet.open(train_set).image_ids
    rows = [f"{name},{'ab'[k % 2]}" for k, name in enumerate(names)]
    table.write_text("image_id,label\n" + "\n".join(rows))
    out = tmp_path / "run"
    assert train(train_set, out, "--images", 2, "--labels", table, "--diffusion-steps", 50) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["classes"] == ["a", "b"]
    assert record["diffusion"]["steps"] == 50
    assert record["unet"]["classes"] == 2


def test_stylegan3_is_trained_too(train_set, tmp_path, capsys):
    assert train(train_set, tmp_path, "--images", 4, "--json", kind="stylegan3") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"].keys() == {"generator", "discriminator"}
    assert (told["step"], told["finished"]) == (2, True)


def test_parameters_are_counted_as_the_paper_prints_them():
    from likeness.generators.stylegan3.counting import count_parameters

    network = find_preset("stylegan3", "paper-counted-cxr-medium").network
    assert count_parameters(network)["discriminator"] == 28_863_873
