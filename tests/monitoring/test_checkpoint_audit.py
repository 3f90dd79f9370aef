"""A callback draws at the right checkpoints, and ends the training when copies come."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from likeness._progress import SilentProgress
from likeness.errors import OptionError
from likeness.monitoring import CheckpointAudit


class Quiet(SilentProgress):
    """A progress, so that what is too little is not warned of."""


class Model:
    """Draws given pictures; from the checkpoint of step 3 on some are of the training set."""

    def __init__(self, images):
        self.images = images
        self.asked = []
        self.record = {"classes": ["a", "b", "c"]}

    def draw(self, seed, count, *, first=0, batch_size=16, labels=None, task=None):
        assert labels == [place % 3 for place in range(count)]
        self.asked.append((seed, count, batch_size))
        for start in range(first, first + count, batch_size):
            yield self.images[start : min(start + batch_size, first + count)]


@pytest.fixture
def opened(monkeypatch, pictures):
    """The models that were opened, by checkpoint."""
    train, _, others = pictures
    models: dict[str, Model] = {}

    def open_model(checkpoint, *, weights, device, sampler):
        assert (weights, device, sampler) == ("average", "cpu", None)
        images = others.copy()
        if checkpoint.name >= "step-00000003":
            images[7] = train[30]
        models[checkpoint.name] = Model(images)
        return models[checkpoint.name]

    module = ModuleType("likeness.generators.models")
    module.open_model = open_model
    monkeypatch.setitem(sys.modules, "likeness.generators.models", module)
    return models


def run(callback, steps):
    """Say what a loop would do: the steps at which the callback wants to stop."""
    return [
        step for step in steps if callback.on_checkpoint(step, Path(f"step-{step:08d}")) is True
    ]


@pytest.fixture
def folder(progressed, tmp_path):
    """Where the real images were compared before, without any check."""
    out = tmp_path / "run" / "audits"
    shutil.copytree(progressed[0].out, out)
    (out / "audits.jsonl").unlink()
    return out


def test_it_draws_when_due_and_stops_at_the_first_copies(sets, options, folder, opened):
    callback = CheckpointAudit(
        *sets, out=folder, audit_every=2, num_samples=50, stop_on_copies=True, seed=5,
        options=options, progress=Quiet(),
    )  # fmt: skip
    assert run(callback, [1, 2, 3, 5]) == [5]
    assert list(opened) == ["step-00000002", "step-00000005"]
    assert all(model.asked == [(5, 50, 16)] for model in opened.values())
    found = callback.audit.checks
    assert [(check.step, check.num_samples, check.num_copies) for check in found] == [
        (2, 50, 0),
        (5, 50, 1),
    ]
    assert callback.is_due(4)  # of a run that goes on before step 5
    assert not callback.is_due(3)


def test_without_the_wish_it_goes_on(sets, options, folder, opened):
    callback = CheckpointAudit(
        *sets, out=folder, audit_every=1, num_samples=50, options=options, progress=Quiet()
    )
    assert run(callback, [3, 4]) == []
    assert [check.should_stop for check in callback.audit.checks] == [True, True]
    assert len(opened) == 2


def test_settings_out_of_range_are_refused(sets, tmp_path):
    with pytest.raises(OptionError, match="audit_every is 0"):
        CheckpointAudit(*sets, out=tmp_path, audit_every=0)
    with pytest.raises(OptionError, match="num_samples is 0"):
        CheckpointAudit(*sets, out=tmp_path, audit_every=1, num_samples=0)


def test_importing_it_loads_no_torch_and_no_matplotlib():
    code = "import likeness.monitoring, sys; print({'torch', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_a_diffusion_model_is_watched_by_its_own_loop(sets, options, folder):
    pytest.importorskip("torch")
    for name in ("accelerate", "diffusers", "safetensors"):
        pytest.importorskip(name)
    from likeness.generators.ddpm.settings import Diffusion, Sampler, Training, UNetSettings
    from likeness.generators.ddpm.training import train_ddpm

    watch = CheckpointAudit(
        *sets, out=folder, audit_every=1, num_samples=3, options=options, progress=Quiet(),
        sampler=Sampler(kind="ddim", steps=2, together=3),
    )  # fmt: skip
    unet = UNetSettings(
        resolution=32, channels=1, width=8, blocks=1, multipliers=(1, 1), attention_sides=(),
        heads=1, groups=4,
    )  # fmt: skip
    train_ddpm(
        sets[0], folder.parent, unet, Diffusion(steps=30), Training(batch=2, images=4),
        seed=0, save_every=1, callbacks=[watch],
    )  # fmt: skip
    assert [check.step for check in watch.audit.checks] == [1, 2]
    assert all(check.num_judged == 3 for check in watch.audit.checks)
