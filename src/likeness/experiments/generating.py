"""Stages that train generators and draw from them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from likeness._files import hash_of_json, sha256_of_file
from likeness.datasets import ImageSet
from likeness.experiments.configurations import Configuration, Run
from likeness.experiments.images import training_images
from likeness.experiments.stages import Interrupted, Stage, Task
from likeness.generators.presets import find_preset

if TYPE_CHECKING:
    from likeness.generators.training.outcome import Trained

_LIBRARIES: Final = ("likeness", "torch", "diffusers")
_SAMPLE_SEED: Final = 1


def train_stage(configuration: Configuration, run: Run) -> Stage:
    """Return the stage ``train/RUN``."""
    data = configuration.data_named(run.data)
    needs = (f"prepare/{data.source}", f"data/{data.name.lower()}")

    def work(task: Task) -> str:
        images = training_images(data, dict(task.needed))
        found = train(
            run,
            images,
            task.folder / "run",
            device=task.device,
            bfloat16=configuration.bfloat16[run.model],
            progress=task.progress,
        )
        if not found.finished:
            msg = f"{run.name} was stopped by {found.stopped_by} and has saved step {found.step}."
            raise Interrupted(msg)
        return checkpoint_digest(found.checkpoint)

    settings = {
        "model": run.model,
        "preset": run.preset,
        "network": dict(run.network),
        "training": dict(run.training),
        "images": run.images,
        "seed": run.seed,
        "bfloat16": configuration.bfloat16[run.model],
        "snapshots": list(run.snapshots),
    }
    return Stage(f"train/{run.name}", settings, work, needs, _LIBRARIES)


def sample_stage(configuration: Configuration, run: Run, seen: int | None = None) -> Stage:
    """Return the stage ``sample/RUN``, or ``sample/RUN-at-SEEN`` of a snapshot."""
    number = configuration.samples if seen is None else configuration.snapshot_samples

    def work(task: Task) -> str:
        from likeness.generators.ddpm.settings import Sampler
        from likeness.generators.models import open_model
        from likeness.generators.samples import write_samples

        checkpoint = checkpoint_at(task.needed[f"train/{run.name}"] / "run", run, seen)
        sampler = (
            Sampler(
                kind=configuration.sampler,
                steps=configuration.sampler_steps,
                eta=1.0 if configuration.sampler == "ddim" else 0.0,
            )
            if run.model == "ddpm"
            else None
        )
        model = open_model(checkpoint, device=task.device, sampler=sampler)
        made = write_samples(
            model,
            task.folder / "set",
            num=number,
            seed=_SAMPLE_SEED,
            snap_annotation=any(model.record["images"].get("annotation_levels", {}).values()),
            progress=task.progress,
        )
        return made.fingerprint

    settings = {
        "number": number,
        "seed": _SAMPLE_SEED,
        "sampler": (
            [configuration.sampler, configuration.sampler_steps] if run.model == "ddpm" else None
        ),
        "seen": seen,
    }
    name = run.name if seen is None else f"{run.name}-at-{seen}"
    return Stage(f"sample/{name}", settings, work, (f"train/{run.name}",), _LIBRARIES)


def train(
    run: Run,
    images: ImageSet,
    out: Path,
    *,
    device: str,
    bfloat16: bool,
    progress: Any,  # noqa: ANN401
    log_every: int = 50,
) -> Trained:
    """Train the generator of a run, or go on with it."""
    channels, side, _ = images.image_shape
    preset: Any = find_preset(run.model, run.preset)
    training = replace(preset.training, **run.training, images=run.images)
    options: dict[str, Any] = {
        "seed": run.seed,
        "device": device,
        "bfloat16": bfloat16,
        "milestone_every": _milestone(run, training.batch),
        "save_every": _milestone(run, training.batch) or 1000,
        "log_every": log_every,
        "progress": progress,
    }
    if run.model == "ddpm":
        from likeness.generators.ddpm.training import train_ddpm

        unet = replace(preset.resized(resolution=side, channels=channels), **run.network)
        return train_ddpm(images, out, unet, preset.diffusion, training, **options)
    from likeness.generators.stylegan3.training import train_stylegan3

    network = replace(preset.network, resolution=side, channels=channels, **run.network)
    return train_stylegan3(images, out, network, training, **options)


def batch_of(run: Run) -> int:
    """Return the images per step."""
    preset: Any = find_preset(run.model, run.preset)
    batch: int = run.training.get("batch", preset.training.batch)
    return batch


def checkpoint_at(folder: Path, run: Run, seen: int | None) -> Path:
    """Return the checkpoint after so many images, None for the last one."""
    from likeness.generators.models import find_checkpoint
    from likeness.generators.training.run_folder import RunFolder

    if seen is None:
        return find_checkpoint(folder)
    return RunFolder(folder).checkpoint(-(-seen // batch_of(run)))


def checkpoint_digest(folder: Path) -> str:
    """Return the hash of a checkpoint's files."""
    return hash_of_json({path.name: sha256_of_file(path) for path in sorted(folder.iterdir())})


def _milestone(run: Run, batch: int) -> int | None:
    if not run.snapshots:
        return None
    return math.gcd(*(-(-seen // batch) for seen in run.snapshots))
