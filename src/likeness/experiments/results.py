"""What the stages of a configuration found, gathered from their folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from likeness.calibration.memorization import Draws, Memorization, memorization
from likeness.experiments.comparing import read_lists, values
from likeness.experiments.configurations import Configuration, Run
from likeness.experiments.judging import EVALUATION, VERDICT
from likeness.types import Floats


@dataclass(frozen=True)
class Curve:
    """How far samples exceeded the baseline, by images seen."""

    seen: tuple[int, ...]
    found: tuple[Memorization, ...]
    draws: tuple[Draws, ...]

    def at(self, seen: int) -> tuple[Memorization, Draws] | None:
        """Return what was found after so many images."""
        if seen not in self.seen:
            return None
        place = self.seen.index(seen)
        return self.found[place], self.draws[place]


@dataclass(frozen=True)
class RunResult:
    """One generator."""

    run: Run
    found: Memorization
    draws: Draws
    sharp: Memorization
    """Against the held-out images blurred like the samples."""
    blur: float
    """Their blur in pixels."""
    curve: Curve
    """The whole training is its last point."""
    synthetic: Floats
    held_out: Floats
    """Highest correlations with the training images."""
    with_held_out: Floats
    """Highest correlations of the samples with the held-out images."""
    verdict: dict[str, Any]
    evaluation: dict[str, Any] | None
    training_images: int


@dataclass(frozen=True)
class Control:
    """Of a data set, without any generator."""

    planted: int
    above: int
    """Planted copies above the 99th percentile of the held-out images."""
    right: int
    """Planted copies whose most correlated training image is the right one."""
    halves: Mapping[str, Any] | None
    """Held-out images of half of the patients against those of the others."""


@dataclass(frozen=True)
class Results:
    """Everything that tables, figures and rules are made of."""

    configuration: Configuration
    runs: tuple[RunResult, ...]
    controls: Mapping[str, Control]
    """By data set."""
    left_out: tuple[str, ...]
    """Runs of the configuration that were not run."""

    def of(self, data: str, model: str, size: str = "medium", seed: int = 0) -> RunResult | None:
        """Return one run, if it was run."""
        for one in self.runs:
            run = one.run
            if (run.data, run.model, run.size, run.seed) == (data, model, size, seed):
                return one
        return None

    def seeds(self, data: str, model: str) -> tuple[int, ...]:
        """Return the seeds with which a generator was trained, (0,) if it was not run."""
        found = {
            one.run.seed for one in self.runs if (one.run.data, one.run.model) == (data, model)
        }
        return tuple(sorted(found)) or (0,)


def gather(
    configuration: Configuration, folders: Mapping[str, Path], left_out: tuple[str, ...] = ()
) -> Results:
    """Read what the stages wrote; `folders` by stage name."""
    baselines = {
        data.name: read_lists(folders[f"baseline/{data.name.lower()}"])
        for data in configuration.data
        if f"baseline/{data.name.lower()}" in folders
    }
    runs = [
        _result(run, folders, baselines[run.data])
        for run in configuration.runs
        if run.name not in left_out
    ]
    controls = {
        name: Control(
            planted=len(lists["planted"]["highest"]),
            above=lists["planted"]["above"],
            right=lists["planted"]["right"],
            halves=lists["halves"],
        )
        for name, lists in baselines.items()
    }
    return Results(configuration, tuple(runs), controls, left_out)


def _result(run: Run, folders: Mapping[str, Path], baseline: dict[str, Any]) -> RunResult:
    held_out, patients = values(baseline), np.asarray(baseline["patients"])
    lists = read_lists(folders[f"compare/{run.name}"])
    synthetic = values(lists)
    found, draws = memorization(synthetic, held_out, patients, name=run.name)
    sharp, _ = memorization(synthetic, values(lists["blurred"]), patients, name=run.name)
    points = []
    for seen in run.snapshots:
        if seen != run.images:
            snapshot = values(read_lists(folders[f"compare/{run.name}-at-{seen}"]))
            points.append(
                (seen, *memorization(snapshot, held_out, patients, name=f"{run.name}-at-{seen}"))
            )
    points.append((run.images, found, draws))
    seen_, found_, draws_ = zip(*points, strict=True)
    rows = json.loads((folders[f"data/{run.data.lower()}"] / "rows.json").read_text("utf-8"))
    evaluation = folders.get(f"evaluate/{run.name}")
    return RunResult(
        run=run,
        found=found,
        draws=draws,
        sharp=sharp,
        blur=lists["blurred"]["sd"],
        curve=Curve(seen_, found_, draws_),
        synthetic=synthetic,
        held_out=held_out,
        with_held_out=values(lists["held_out"]),
        verdict=json.loads((folders[f"audit/{run.name}"] / VERDICT).read_text("utf-8")),
        evaluation=(
            None if evaluation is None else json.loads((evaluation / EVALUATION).read_text("utf-8"))
        ),
        training_images=rows["images"],
    )
