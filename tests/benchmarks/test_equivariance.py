"""The script measures what the library measures, of the checkpoint that it was given."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from likeness.datasets import ImageSet  # noqa: E402
from likeness.generators.checkpoints import load_checkpoint  # noqa: E402
from likeness.generators.stylegan3.equivariance import translation_equivariance  # noqa: E402
from likeness.generators.stylegan3.generator import Generator  # noqa: E402
from likeness.generators.stylegan3.plan import NetworkSettings  # noqa: E402
from likeness.generators.stylegan3.presets import TrainingSettings  # noqa: E402
from likeness.generators.stylegan3.training import train_stylegan3  # noqa: E402

ROOT = Path(__file__).parents[2]
NETWORK = NetworkSettings(
    16, 1, channel_base=64, channel_max=8, layers=3, critical_layers=1, latent_size=8, style_size=8
)


def test_a_trained_network_is_measured(tmp_path):
    from benchmarks.equivariance import drawn_shifts

    images = ImageSet.from_arrays(np.random.default_rng(0).integers(
        0, 256, (4, 1, 16, 16), dtype=np.uint8))  # fmt: skip
    settings = TrainingSettings(batch=4, gamma=1.0, images=12)
    run = tmp_path / "run"
    trained = train_stylegan3(images, run, NETWORK, settings, seed=0)
    command = [sys.executable, "-m", "benchmarks.equivariance", "--checkpoint", str(run),
               "--quick", "--results", str(tmp_path)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    entry = json.loads((tmp_path / "stylegan3-equivariance.json").read_text())
    assert str(tmp_path) not in json.dumps(entry["settings"])
    found = load_checkpoint(trained.checkpoint, prefix="average/")
    assert entry["checkpoint_sha256"] == found.sha256
    assert entry["networks"][0]["images_seen"] == 12
    generator = Generator(NETWORK)
    generator.load_state_dict(found.tensors)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    shifts = drawn_shifts(2, 16)
    assert (0, 0) not in shifts
    expected = translation_equivariance(generator, z, shifts)
    measured = entry["networks"][0]["translation_equivariance_decibels"]
    assert measured == pytest.approx(expected, abs=0.5)
    assert entry["networks"][1]["network"] == "new"
