from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.generators.checkpoints import load_checkpoint
from likeness.generators.ddpm import training as module
from likeness.generators.ddpm.settings import Diffusion, Training, UNetSettings
from likeness.generators.ddpm.training import train_ddpm
from likeness.generators.training.labels import Labels

UNET = UNetSettings(
    resolution=32,
    channels=1,
    width=8,
    blocks=1,
    multipliers=(1, 1),
    attention_sides=(),
    heads=1,
    groups=4,
)
TRAINING = Training(batch=4, images=40, learning_rate=1e-3)
STEPS = 10


def image_set():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 1, 32, 32), dtype=np.uint8)
    return ImageSet.from_arrays(pixels)


def train(out, training=TRAINING, **options):
    options = {"seed": 3, "save_every": 4, "log_every": 3, "callbacks": (), **options}
    return train_ddpm(image_set(), out, UNET, Diffusion(steps=100), training, **options)


def logged(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, train(out)


def assert_equals(whole, found):
    assert found.finished
    assert found.stopped_by is None
    one, other = load_checkpoint(whole[1].checkpoint), load_checkpoint(found.checkpoint)
    assert one.record == other.record
    assert one.tensors.keys() == other.tensors.keys()
    assert {name.split("/")[0] for name in one.tensors} == {"model", "average", "optimizer"}
    for name, values in one.tensors.items():
        assert torch.equal(values, other.tensors[name]), name
    assert one.sha256 == other.sha256


class Stopper:
    def __init__(self, step):
        self.step, self.seen = step, []

    def on_checkpoint(self, step, checkpoint_path):
        self.seen.append((step, load_checkpoint(checkpoint_path).record["step"]))
        return step == self.step


def test_a_run_stopped_by_a_callback_goes_on_bit_for_bit(whole, tmp_path):
    stopper = Stopper(4)
    stopped = train(tmp_path, callbacks=[stopper])
    assert (stopped.step, stopped.images, stopped.finished) == (4, 16, False)
    assert stopped.stopped_by == "callback"
    assert_equals(whole, train(tmp_path, callbacks=[stopper]))
    assert stopper.seen == [(4, 4), (8, 8), (10, 10)]
    assert [line["step"] for line in logged(tmp_path)] == [3, 6, 9, 10]
    assert [line["images"] for line in logged(tmp_path)] == [12, 24, 36, 40]


def test_a_finished_run_returns_at_once(whole, monkeypatch):
    monkeypatch.setattr(module, "build_unet", None)
    assert train(whole[0]) == whole[1]


PROGRAM = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_training import module, train
folder, true_loss, calls = Path({folder!r}), module.noise_loss, []
def loss(*args):
    calls.append(1)
    if len(calls) == 7:  # after step 6 was logged; the last checkpoint is of step 4
        (folder / "waiting").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
    return true_loss(*args)
module.noise_loss = loss
print(train(folder / "run").stopped_by)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_ended_by_a_signal_goes_on_bit_for_bit(whole, tmp_path, number):
    out = tmp_path / "run"
    program = PROGRAM.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not (tmp_path / "waiting").exists():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    (tmp_path / "go").touch()
    printed, _ = process.communicate(timeout=60)
    saved = sorted(path.parent.name for path in out.glob("checkpoints/*/checkpoint.json"))
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert saved == ["step-000000004"]
    else:
        assert (process.returncode, printed.strip()) == (0, "SIGTERM")
        assert saved == ["step-000000004", "step-000000007"]
    assert [line["step"] for line in logged(out)] == [3, 6]
    assert_equals(whole, train(out))
    assert [line["step"] for line in logged(out)] == [3, 6, 9, 10]


def test_ctrl_c_saves_and_the_handlers_come_back(whole, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    true_loss = module.noise_loss

    def loss(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return true_loss(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "noise_loss", loss)
        found = train(tmp_path)
    assert (found.step, found.finished, found.stopped_by) == (1, False, "SIGINT")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert_equals(whole, train(tmp_path))


def test_the_network_learns(tmp_path):
    long = replace(TRAINING, images=240)
    train(tmp_path, long, save_every=1000, log_every=15)
    losses = [line["loss"] for line in logged(tmp_path)]
    assert losses[-1] < 0.8 * losses[0]


def test_micro_batches_change_nothing_but_rounding(whole, tmp_path):
    found = train(tmp_path, micro_batch=3)
    one = load_checkpoint(whole[1].checkpoint, prefix="model/").tensors
    other = load_checkpoint(found.checkpoint, prefix="model/").tensors
    losses = [[line["loss"] for line in logged(out)] for out in (whole[0], tmp_path)]
    np.testing.assert_allclose(*losses, rtol=1e-3)
    assert all(torch.allclose(one[name], other[name], atol=5e-3) for name in one)


def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(tmp_path, monkeypatch):
    stopped = train(tmp_path, callbacks=[Stopper(4)])
    true_loss = module.noise_loss
    monkeypatch.setattr(module, "noise_loss", lambda *args: true_loss(*args) * float("nan"))
    with pytest.raises(InputError, match="step-000000004") as caught:
        train(tmp_path)
    assert "At step 5 the loss is nan" in str(caught.value)
    assert str(stopped.checkpoint) in str(caught.value)


def test_other_settings_in_the_same_folder_are_refused(whole):
    with pytest.raises(OptionError, match=r"seed is 4, was 3"):
        train(whole[0], seed=4)
    with pytest.raises(OptionError, match=r"training\.learning_rate is 0\.1, was 0\.001"):
        train(whole[0], replace(TRAINING, learning_rate=0.1))


def test_a_finished_run_can_be_made_longer_bit_for_bit(whole, tmp_path):
    short = train(tmp_path, replace(TRAINING, images=17))
    assert (short.step, short.finished) == (5, True)
    assert_equals(whole, train(tmp_path))


def test_gradient_checkpointing_changes_nothing(whole, tmp_path):
    assert_equals(whole, train(tmp_path, gradient_checkpointing=True))


PROCESS = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_training import train
print(train(Path({folder!r})).step)
"""


def test_two_processes_end_near_one(whole, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    program = PROCESS.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    processes = []
    for rank in "01":
        launched = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank,
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", program],
                env=os.environ | launched,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    for process in processes:
        printed, errors = process.communicate(timeout=120)
        assert (process.returncode, printed.strip()) == (0, "10"), errors
    saved = tmp_path / "checkpoints" / "step-000000010"
    one, two = load_checkpoint(whole[1].checkpoint), load_checkpoint(saved)
    assert one.record == two.record
    assert one.sha256 != two.sha256  # or there was one process only
    for name, values in one.tensors.items():
        torch.testing.assert_close(two.tensors[name], values, rtol=1e-4, atol=1e-5)
    assert [line["step"] for line in logged(tmp_path)] == [3, 6, 9, 10]


CLASSES = Labels(("left", "right"), np.array([0, 1, 0, 1, 0, 1, 1]))


def test_a_class_conditional_network_depends_on_its_labels_and_goes_on(tmp_path):
    unet = replace(UNET, classes=2)

    def conditional(out, labels=CLASSES, **options):
        return train_ddpm(
            image_set(), out, unet, Diffusion(steps=100), TRAINING,
            seed=3, labels=labels, save_every=4, **options,
        )  # fmt: skip

    whole = conditional(tmp_path / "whole")
    conditional(tmp_path / "parts", callbacks=[Stopper(4)])
    assert_equals((None, whole), conditional(tmp_path / "parts"))
    assert load_checkpoint(whole.checkpoint).record["classes"] == ["left", "right"]
    exchanged = Labels(CLASSES.names, 1 - CLASSES.codes)
    with pytest.raises(OptionError, match="labels is"):
        conditional(tmp_path / "whole", exchanged)
    other = conditional(tmp_path / "other", exchanged)
    one, two = (
        load_checkpoint(run.checkpoint, prefix="model/class_embedding").tensors[".weight"]
        for run in (whole, other)
    )
    assert not torch.equal(one, two)
    with pytest.raises(OptionError, match="has classes 2, the labels have None"):
        conditional(tmp_path / "none", None)


def test_an_augmented_run_goes_on_bit_for_bit(whole, tmp_path):
    pytest.importorskip("monai")
    altered = train(tmp_path / "whole", augment=["rotation", "flip"])
    stopped = train(tmp_path / "parts", augment=["flip", "rotation"], callbacks=[Stopper(4)])
    assert stopped.step == 4
    assert_equals((None, altered), train(tmp_path / "parts", augment=["flip", "rotation"]))
    assert load_checkpoint(altered.checkpoint).sha256 != load_checkpoint(whole[1].checkpoint).sha256


def test_bfloat16_stays_near_float32(whole, tmp_path):
    train(tmp_path, bfloat16=True)
    losses = [[line["loss"] for line in logged(out)] for out in (whole[0], tmp_path)]
    np.testing.assert_allclose(*losses, rtol=0.05)


def test_what_does_not_fit_is_refused(tmp_path):
    rgb = replace(UNET, channels=3)
    with pytest.raises(ImageMismatchError, match="prepare the images"):
        train_ddpm(image_set(), tmp_path, rgb, Diffusion(), TRAINING, seed=0)
    with pytest.raises(OptionError, match="knows no dropout"):
        train_ddpm(image_set(), tmp_path, replace(UNET, dropout=0.1), Diffusion(), TRAINING, seed=0)
    with pytest.raises(OptionError, match="save_every must be at least 1, not 0"):
        train(tmp_path, save_every=0)
    with pytest.raises(OptionError, match="seed must not be negative"):
        train(tmp_path, seed=-1)
    assert not list(tmp_path.iterdir())
