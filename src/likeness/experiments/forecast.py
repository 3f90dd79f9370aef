"""What a run will take, from a few steps of its own network on random images.

Measured on the machine that is asked; a network is tried once, whatever its data. Other stages are
not forecast: they take minutes beside hours.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from likeness._files import hash_of_json
from likeness._progress import SILENT
from likeness.datasets import ImageSet
from likeness.experiments.configurations import Configuration, Run
from likeness.experiments.generating import batch_of, checkpoint_at, train

_STEPS: Final = 3
_MOST_TOGETHER: Final = 8
"""Images per step that are tried: a larger batch costs about as much per image."""
_SAMPLER_STEPS: Final = 4
_DRAWN: Final = 16


@dataclass(frozen=True)
class Speed:
    """Of a network on this machine."""

    training: float
    """Images per second."""
    drawing: float
    """Images per second, with the sampler of the configuration."""


class Forecast:
    """Tries networks and remembers them."""

    def __init__(self, configuration: Configuration, device: str) -> None:
        self._configuration = configuration
        self._device = device
        self._known: dict[str, Speed] = {}

    def training_seconds(self, run: Run) -> float:
        """Return the time of the whole training of a run."""
        return run.images / self._speed(run).training

    def sampling_seconds(self, run: Run, number: int) -> float:
        """Return the time of drawing so many images."""
        return number / self._speed(run).drawing

    def _speed(self, run: Run) -> Speed:
        key = hash_of_json([run.model, run.preset.rpartition("-")[2], dict(run.network)])
        if key not in self._known:
            self._known[key] = self._tried(run)
        return self._known[key]

    def _tried(self, run: Run) -> Speed:
        from likeness.generators.ddpm.settings import Sampler
        from likeness.generators.models import open_model

        side = self._configuration.resolution
        batch = min(batch_of(run), _MOST_TOGETHER)
        short = replace(
            run, training={**run.training, "batch": batch}, images=_STEPS * batch, snapshots=()
        )
        pixels = np.random.default_rng(0).integers(0, 256, (batch, 1, side, side), dtype=np.uint8)
        with tempfile.TemporaryDirectory(prefix="likeness-forecast-") as name:
            folder = Path(name)
            train(
                short,
                ImageSet.from_arrays(pixels),
                folder,
                device=self._device,
                bfloat16=self._configuration.bfloat16[run.model],
                progress=SILENT,
                log_every=1,
            )
            lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
            # The first step is slower: memory is taken, kernels are chosen.
            training = statistics.median(json.loads(one)["images_per_second"] for one in lines[1:])
            sampler = Sampler(steps=_SAMPLER_STEPS) if run.model == "ddpm" else None
            model = open_model(
                checkpoint_at(folder, run, None), device=self._device, sampler=sampler
            )
            began = time.monotonic()
            for _ in model.draw(0, _DRAWN, batch_size=_DRAWN):
                pass
            drawing = _DRAWN / (time.monotonic() - began)
        if run.model == "ddpm":
            drawing *= _SAMPLER_STEPS / self._configuration.sampler_steps
        return Speed(training, drawing)
