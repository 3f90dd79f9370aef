from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.generators.checkpoints import load_checkpoint
from likeness.generators.stylegan3 import training as module
from likeness.generators.stylegan3 import training_state
from likeness.generators.stylegan3.adaptive import Adaptive
from likeness.generators.stylegan3.augmentation import augment
from likeness.generators.stylegan3.discriminator import Discriminator, with_differences
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.stylegan3.presets import TrainingSettings
from likeness.generators.stylegan3.sampling import sample_images
from likeness.generators.stylegan3.step_inputs import parts_of_batch
from likeness.generators.stylegan3.training import train_stylegan3

NETWORK = NetworkSettings(
    16, 2, channel_base=64, channel_max=8, layers=3, critical_layers=1, latent_size=8, style_size=8,
    minibatch_group=2,
)  # fmt: skip
TRAINING = TrainingSettings(batch=4, gamma=1.0, images=40, r1_interval=4)
ADA = Adaptive(target=-0.9, images=50)
"""Its strength rises quickly."""


def image_set():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 2, 16, 16), dtype=np.uint8)
    pixels[:, 1] = pixels[:, 1] // 128 * 255
    plain = ImageSet.from_arrays(pixels, channels=["t1", "lesion"])
    return ImageSet(
        plain.stored.store, plain._table, plain.channels, record={"annotation_channels": ["lesion"]}
    )


def train(out, training=TRAINING, network=NETWORK, images=None, **options):
    options = {"seed": 3, "save_every": 4, "log_every": 3, "ada": ADA, **options}
    return train_stylegan3(images or image_set(), out, network, training, **options)


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
    for name, values in one.tensors.items():
        assert torch.equal(values, other.tensors[name]), name
    assert one.sha256 == other.sha256


class Stopper:
    def __init__(self, step):
        self.step = step

    def on_checkpoint(self, step, checkpoint_path):
        assert load_checkpoint(checkpoint_path).record["step"] == step
        return step == self.step


def test_what_a_checkpoint_holds(whole):
    found = load_checkpoint(whole[1].checkpoint)
    assert {name.split("/")[0] for name in found.tensors} == {
        "generator", "discriminator", "average", "optimizer_generator", "optimizer_discriminator",
    }  # fmt: skip
    network = NetworkSettings.from_json(found.record["network"])
    assert network == NETWORK
    generator = Generator(network)
    tensors = load_checkpoint(whole[1].checkpoint, prefix="average/").tensors
    generator.load_state_dict(tensors)
    assert float(tensors["mapping.mean_style"].abs().sum()) > 0
    assert float(tensors["layers.1.magnitude"]) != 1
    assert found.record["model"] == "stylegan3"
    assert found.record["images"]["annotation_levels"] == {"lesion": [0, 255]}


def test_a_run_stopped_by_a_callback_goes_on_bit_for_bit(whole, tmp_path):
    stopped = train(tmp_path, callbacks=[Stopper(4)])
    assert (stopped.step, stopped.images, stopped.finished) == (4, 16, False)
    assert stopped.stopped_by == "callback"
    assert_equals(whole, train(tmp_path, callbacks=[Stopper(4)]))
    assert [line["step"] for line in logged(tmp_path)] == [3, 6, 9, 10]
    assert [line["images"] for line in logged(tmp_path)] == [12, 24, 36, 40]


def test_the_strength_of_transforms_goes_on(whole, tmp_path):
    """Stopped between two changes of it, with verdicts counted but not used."""
    first = train(tmp_path, replace(TRAINING, images=24))
    kept = load_checkpoint(first.checkpoint).record["strength"]
    assert (kept["p"], kept["seen"]) == (pytest.approx(16 / 50), 8)
    assert_equals(whole, train(tmp_path))
    assert [line["ada_p"] for line in logged(tmp_path)] == pytest.approx([0, 0.32, 0.64, 0.64])


def test_a_finished_run_returns_at_once_or_is_lengthened(whole, tmp_path, monkeypatch):
    train(tmp_path, replace(TRAINING, images=20))
    assert_equals(whole, train(tmp_path))
    monkeypatch.setattr(training_state, "Generator", None)
    assert train(whole[0]) == whole[1]


PROGRAM = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_training import module, train
folder, true_loss, calls = Path({folder!r}), module.discriminator_loss, []
def loss(*args):
    calls.append(1)
    if len(calls) == 7:  # after step 6 was logged; the last checkpoint is of step 4
        (folder / "waiting").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
    return true_loss(*args)
module.discriminator_loss = loss
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


def test_two_processes_make_the_steps_of_one(whole, tmp_path):
    program = (
        "import sys, torch; torch.set_num_threads(1); from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_training import train\n"
        f"print(train(Path({str(tmp_path / 'run')!r})).finished)"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank),
                 "ACCELERATE_USE_CPU": "true"},
        )
        for rank in range(2)
    ]  # fmt: skip
    assert [one.communicate(timeout=120)[0].strip() for one in started] == ["True", "True"]
    assert_near(whole[0], tmp_path / "run", whole[1].step)


def test_micro_batches_change_nothing_but_rounding(whole, tmp_path):
    found = train(tmp_path, micro_batch=2)
    assert_near(whole[0], tmp_path, found.step)


def assert_near(out, other, step):
    """Nothing but rounding lies between two runs."""
    for name in ("d_loss", "g_loss", "r1", "real_sign", "ada_p"):
        found = [[line[name] for line in logged(one) if name in line] for one in (out, other)]
        np.testing.assert_allclose(*found, rtol=2e-2, atol=1e-3)
    prefix = f"checkpoints/step-{step:09d}"
    one, two = (load_checkpoint(run / prefix, prefix="average/").tensors for run in (out, other))
    assert all(torch.allclose(one[name], two[name], atol=2e-2) for name in one)


def test_more_processes_than_groups_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module.Workers, "__init__", lambda self, _: vars(self).update(count=3))
    with pytest.raises(OptionError, match="3 processes cannot share 2 groups of 2 images"):
        train(tmp_path)


def test_parts_hold_whole_groups():
    torch.manual_seed(0)
    x = torch.randn(12, 3, 4, 4)
    judged = with_differences(x, 4)
    for groups in (slice(0, 3), slice(1, 3)):
        for rows in parts_of_batch(12, 4, 8, groups):
            assert torch.equal(with_differences(x[rows], 4), judged[rows])
    parts = parts_of_batch(12, 4, 8, slice(0, 3))
    assert [len(rows) for rows in parts] == [8, 4]
    assert sorted(torch.cat(parts).tolist()) == list(range(12))


def test_transforms_of_a_part_are_those_of_the_batch():
    x = torch.rand(6, 2, 16, 16) * 2 - 1
    rows = torch.tensor([4, 1])

    def altered(images, **options):
        random = torch.Generator().manual_seed(5)
        return augment(images, 0.7, random=random, annotations=[1], **options)

    everything = altered(x)
    assert not torch.equal(everything, x)
    torch.testing.assert_close(altered(x[rows], among=(6, rows)), everything[rows])


def test_made_images_approach_real_ones(tmp_path):
    """All real images have one grey; a generator that learned nothing makes another."""
    images = ImageSet.from_arrays(np.full((8, 1, 16, 16), 200, np.uint8))
    network = replace(NETWORK, channels=1)
    long = TrainingSettings(batch=4, gamma=0.1, images=4 * 80)
    train(tmp_path, long, network, images, ada=None, save_every=1000, log_every=40)
    means = []
    for part, checkpoint in (("average", tmp_path / "checkpoints/step-000000080"), ("new", None)):
        torch.manual_seed(3)
        generator = Generator(network)
        if checkpoint:
            generator.load_state_dict(load_checkpoint(checkpoint, prefix=f"{part}/").tensors)
        made = np.concatenate(list(sample_images(generator, seed=0, count=16)))
        means.append(float(made.mean()))
    assert abs(means[0] - 200) < abs(means[1] - 200) / 2


def test_the_discriminator_separates_what_the_generator_cannot_make(tmp_path, monkeypatch):
    """A generator that stands still is found out."""
    images = ImageSet.from_arrays(np.full((8, 1, 16, 16), 200, np.uint8))
    network = replace(NETWORK, channels=1)
    still = TrainingSettings(batch=8, gamma=0.1, images=8 * 40, generator_rate=0.0)
    train(tmp_path, still, network, images, ada=None, log_every=10)
    lines = logged(tmp_path)
    assert lines[-1]["d_loss"] < 0.3 < 1 < lines[0]["d_loss"] * 2
    assert lines[-1]["real_sign"] == 1
    assert lines[-1]["g_loss"] > lines[0]["g_loss"]
    discriminator = Discriminator(network)
    checkpoint = tmp_path / "checkpoints/step-000000040"
    tensors = load_checkpoint(checkpoint, prefix="discriminator/").tensors
    discriminator.load_state_dict(tensors)
    with torch.no_grad():
        logits = discriminator(torch.full((4, 1, 16, 16), 200 / 127.5 - 1))
    assert bool((logits > 0).all())


def test_the_penalty_holds_the_discriminator_back(tmp_path):
    for gamma in (0.01, 100.0):
        train(tmp_path / str(gamma), replace(TRAINING, gamma=gamma, images=128), ada=None)
    weak, strong = (logged(tmp_path / str(gamma))[-4:] for gamma in (0.01, 100.0))
    slope = [
        np.mean([line["r1"] for line in lines if "r1" in line]) / gamma
        for lines, gamma in ((weak, 0.01), (strong, 100.0))
    ]
    assert slope[1] < slope[0] / 2


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("discriminator_loss", "discriminator is nan"),
        ("generator_loss", "generator is nan"),
        ("r1_loss", "penalty is nan"),
    ],
)
def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(
    tmp_path, monkeypatch, name, what
):
    stopped = train(tmp_path, callbacks=[Stopper(4)])
    true_loss = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: true_loss(*args) * float("nan"))
    with pytest.raises(InputError, match=what) as caught:
        train(tmp_path)
    assert "At step 5" in str(caught.value)
    assert str(stopped.checkpoint) in str(caught.value)


def test_other_settings_in_the_same_folder_are_refused(whole):
    with pytest.raises(OptionError, match=r"seed is 4, was 3"):
        train(whole[0], seed=4)
    with pytest.raises(OptionError, match=r"training\.gamma is 2\.0, was 1\.0"):
        train(whole[0], replace(TRAINING, gamma=2.0))
    with pytest.raises(OptionError, match="ada is None"):
        train(whole[0], ada=None)


def test_bfloat16_stays_near_float32(whole, tmp_path):
    train(tmp_path, bfloat16=True)
    for name in ("d_loss", "g_loss"):
        losses = [[line[name] for line in logged(out)] for out in (whole[0], tmp_path)]
        np.testing.assert_allclose(*losses, rtol=0.1)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ImageMismatchError, match="prepare the images"):
        train(tmp_path, network=replace(NETWORK, channels=3))
    with pytest.raises(OptionError, match=r"batch is 5, but .* groups of 2"):
        train(tmp_path, replace(TRAINING, batch=5))
    with pytest.raises(OptionError, match="micro_batch is 3"):
        train(tmp_path, micro_batch=3)
    with pytest.raises(OptionError, match="save_every must be at least 1, not 0"):
        train(tmp_path, save_every=0)
    with pytest.raises(OptionError, match="seed must not be negative"):
        train(tmp_path, seed=-1)
    with pytest.raises(OptionError, match="no transforms 'all'"):
        Adaptive("all")
    with pytest.raises(OptionError, match="cap"):
        Adaptive(cap=1.5)
    assert not list(tmp_path.iterdir())


def test_settings_come_back_from_json():
    for one in (NETWORK, TRAINING, ADA):
        text = json.dumps(one.to_json())
        assert type(one).from_json(json.loads(text)) == one
        assert json.loads(text).keys() == asdict(one).keys()
