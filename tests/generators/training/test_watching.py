"""What a run shows of itself: sheets of samples, and metrics for TensorBoard."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from likeness.datasets import ImageSet
from likeness.generators.ddpm.settings import Diffusion, Training, UNetSettings
from likeness.generators.ddpm.training import train_ddpm
from likeness.generators.training import tensorboard
from likeness.generators.training.grids import GridCallback, sheet
from likeness.generators.training.run_folder import RunFolder

UNET = UNetSettings(32, 2, 8, 1, (1, 1), (), heads=1, groups=4)


def train(out, callbacks):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 2, 32, 32), dtype=np.uint8)
    images = ImageSet.from_arrays(pixels, channels=("t1", "seg"))
    diffusion, training = Diffusion(steps=90), Training(batch=2, images=6)
    return train_ddpm(
        images, out, UNET, diffusion, training, seed=0, save_every=2, callbacks=callbacks
    )


def test_a_sheet_has_a_row_per_channel_and_a_column_per_image():
    images = np.arange(3 * 2 * 4 * 5, dtype=np.uint8).reshape(3, 2, 4, 5)
    laid = sheet(images)
    assert laid.shape == (2 * 4 + 2, 3 * 5 + 2 * 2)
    for row in range(2):
        for column in range(3):
            part = laid[row * 6 : row * 6 + 4, column * 7 : column * 7 + 5]
            np.testing.assert_array_equal(part, images[column, row])
    assert (laid[4:6] == 255).all()


def test_each_checkpoint_gets_a_sheet_that_says_how_it_was_drawn(tmp_path):
    found = train(tmp_path, [GridCallback(tmp_path, count=3, seed=5)])
    names = sorted(path.name for path in (tmp_path / "grids").iterdir())
    # 45 is the largest divisor of 90 that is at most 50
    steps = ("step-000000002-ddim45", "step-000000003-ddim45")
    assert names == [f"{step}{end}" for step in steps for end in (".json", ".png")]
    about = json.loads((tmp_path / "grids" / f"{steps[1]}.json").read_text())
    assert about["channels"] == ["t1", "seg"]
    assert (about["seed"], about["step"], about["sampler"]["steps"]) == (5, 3, 45)
    assert "pulls images towards" in about["sampler"]["warning"]

    from likeness.generators.ddpm.settings import Sampler
    from likeness.generators.models import open_model

    sampler = Sampler(kind="ddim", steps=45, together=3)
    model = open_model(found.checkpoint, sampler=sampler)
    drawn = np.concatenate(list(model.draw(5, 3)))
    with Image.open(tmp_path / "grids" / f"{steps[1]}.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), sheet(drawn))
    assert about["checkpoint"] == model.checkpoint_sha256


class Writer:
    """Stands in for TensorBoard's writer."""

    made: list[Writer] = []  # noqa: RUF012

    def __init__(self, folder, *, purge_step):
        self.folder, self.purge_step, self.points = folder, purge_step, []
        self.made.append(self)

    def add_scalar(self, name, value, step):
        self.points.append((name, value, step))

    def flush(self):
        pass


def test_each_line_of_the_metrics_is_handed_on_once(tmp_path):
    folder = RunFolder(tmp_path)
    pytest.importorskip("tensorboard")
    callback = tensorboard.TensorBoardCallback(tmp_path)
    callback._open = Writer
    folder.log({"step": 1, "loss": 0.5})
    folder.log({"step": 2, "loss": 0.25})
    callback.on_checkpoint(2, tmp_path)
    folder.log({"step": 3, "loss": 0.125})
    callback.on_checkpoint(3, tmp_path)
    (writer,) = Writer.made
    assert writer.points == [("loss", 0.5, 1), ("loss", 0.25, 2), ("loss", 0.125, 3)]
    assert writer.folder == str(tmp_path / "tensorboard")
    assert writer.purge_step == 0


@pytest.mark.skipif(not find_spec("tensorboard"), reason="needs TensorBoard")
def test_tensorboard_reads_what_was_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, [tensorboard.TensorBoardCallback(tmp_path)])
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    (point,) = read.Scalars("loss")
    assert point.step == last["step"] == 3
    assert point.value == pytest.approx(last["loss"], rel=1e-6)
