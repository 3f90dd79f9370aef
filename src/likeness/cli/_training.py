"""What the `likeness train` verbs share: flags, the dry run, callbacks, and what is said."""

from __future__ import annotations

import contextlib
import json as json_module
import os
import shlex
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from likeness._progress import SILENT, Progress
from likeness.cli._console import remark, say
from likeness.cli._options import Output, readable_bytes
from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, MissingExtraError, OptionError

STOPPED_BY_COPIES, INTERRUPTED = 1, 130
_TRIED_STEPS = 4
_NEEDED = ("torch", "diffusers", "safetensors")

Train = Callable[..., Any]
"""Trains with (out, images seen) and keyword arguments; what a verb hands over."""


@Parameter(name="*")
@dataclass(frozen=True)
class Run:
    """Flags that training any of the models takes."""

    out: Path
    """Folder of the run. The same command again goes on with it."""
    preset: str = "tiny"
    """Network and its training by name, fitted to the channels and the size of the images."""
    images: int | None = None
    """Images seen in all, repetitions included; by default the preset's. A finished run can be
    made longer."""
    batch: int | None = None
    """Images per step, over all processes; by default the preset's."""
    seed: int = 0
    """Of first weights, order of the images and all noise."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 and so on."""
    bfloat16: Annotated[bool, Parameter(negative="")] = False
    """Compute in bfloat16 where that is safe."""
    micro_batch: int | None = None
    """Images computed at once, to save memory; a step's gradients are added up."""
    test: Path | None = None
    """Image set of other patients, for the audit while training."""
    audit_every: int | None = None
    """Audit samples every so many steps; needs --test."""
    audit_samples: int = 300
    """Samples per audit; with fewer than 300 it can find copies but never say that there are none.
    """
    stop_on_copies: Annotated[bool, Parameter(negative="")] = False
    """End the training when an audit finds copies; the exit code is then 1."""
    save_every: int | None = None
    """Steps between checkpoints; by default 1,000, or those of --audit-every."""
    keep_last: int = 2
    """Recent checkpoints kept."""
    milestone_every: int | None = None
    """Checkpoints of multiples of this step are kept too."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    grids: bool = True
    """Draw a sheet of samples at each checkpoint."""
    tensorboard: Annotated[bool, Parameter(negative="")] = False
    """Write the metrics for TensorBoard too."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Try a few steps and forecast time and disk; write nothing to --out."""

    @property
    def steps_between(self) -> int:
        """Steps between two checkpoints."""
        return self.save_every or self.audit_every or 1000

    def loop_options(self) -> dict[str, Any]:
        """Return what the loops of both models take."""
        from likeness._devices import device_named

        return {
            "seed": self.seed,
            "device": device_named(self.device),
            "bfloat16": self.bfloat16,
            "micro_batch": self.micro_batch,
            "save_every": self.steps_between,
            "keep_last": self.keep_last,
            "milestone_every": self.milestone_every,
            "log_every": self.log_every,
        }


def check(run: Run) -> None:
    """Refuse flags that are out of range or do not go together, and absent libraries.

    Raises
    ------
    OptionError, MissingExtraError
        Says what to give instead, or what to install.
    """
    _need_extra()
    if run.audit_every is not None and run.test is None:
        msg = "--audit-every needs --test: without other patients there is nothing to compare with."
        raise OptionError(msg)
    if run.audit_every is None and (run.stop_on_copies or run.test is not None):
        flag = "--stop-on-copies" if run.stop_on_copies else "--test"
        msg = f"{flag} goes with --audit-every STEPS, which is missing."
        raise OptionError(msg)
    for name in ("images", "batch", "audit_every", "save_every", "audit_samples"):
        value = getattr(run, name)
        if value is not None and value < 1:
            msg = f"--{name.replace('_', '-')} must be at least 1, not {value}."
            raise OptionError(msg)
    if run.audit_every is not None and run.audit_every < run.steps_between:
        msg = (
            f"--audit-every {run.audit_every} is less than --save-every {run.steps_between}: an "
            "audit looks at a checkpoint, so give --save-every that or less."
        )
        raise OptionError(msg)


def _need_extra() -> None:
    absent = [name for name in _NEEDED if find_spec(name) is None]
    if absent:
        msg = (
            f"Training needs {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} "
            "absent: pip install 'likeness[generate]'"
        )
        raise MissingExtraError(msg)


def open_training_set(path: Path) -> ImageSet:
    """Open an image set that a network can be trained on.

    Raises
    ------
    ImageMismatchError
        If its images are not square, or not of 8 bits.
    """
    images = ImageSet.open(path)
    _, rows, columns = images.image_shape
    if rows != columns or images.dtype.name != "uint8":
        msg = (
            f"{str(path)!r} has images of {rows} x {columns} pixels, {images.dtype}; the networks "
            "take square ones of 8 bits. Prepare them again: `likeness prepare images SET --resize "
            f"{min(rows, columns)} --intensity-range LOW,HIGH --out OTHER`."
        )
        raise ImageMismatchError(msg)
    return images


def warnings_about(train: ImageSet, test: ImageSet | None) -> list[str]:
    """Say what will make an audit of the run hard to believe."""
    said = []
    if not train.has_patient_ids:
        said.append(
            "The training set names no patients, so nobody can tell later whose images were "
            "copied; prepare it with --patient-id."
        )
    if test is None:
        return said
    if not test.has_patient_ids:
        said.append("The test set names no patients: whether they are others is not known.")
    shared = {p for p in train.patient_ids if p} & {p for p in test.patient_ids if p}
    if shared:
        said.append(
            f"{len(shared)} patients are in both sets, for example {min(shared)!r}: the test set "
            "cannot tell what an unseen patient's images reach. Split by patient."
        )
    same = set(train.pixel_hashes) & set(test.pixel_hashes)
    if same:
        said.append(f"{len(same)} pictures are in the training and the test set, pixel for pixel.")
    return said


def carry_out(
    kind: str,
    train_set: Path,
    images: ImageSet,
    run: Run,
    output: Output,
    *,
    batch: int,
    total: int,
    parameters: dict[str, int],
    train: Train,
) -> int:
    """Train, or try a few steps; say what came of it and return the exit code."""
    first = os.environ.get("RANK", "0") == "0"  # of several processes only the first one speaks
    if run.dry_run and os.environ.get("WORLD_SIZE", "1") != "1":
        msg = "--dry-run measures one process: start it without a launcher."
        raise OptionError(msg)
    test = None if run.test is None else open_training_set(run.test)
    warned = warnings_about(images, test)
    if first and not output.quiet:
        for line in warned:
            remark(f"warning: {line}")
    steps = -(-total // batch)
    told: dict[str, Any] = {
        "model": kind,
        "preset": run.preset,
        "parameters": parameters,
        "images": len(images),
        "patients": images.num_patients if images.has_patient_ids else None,
        "shape": list(images.image_shape),
        "batch": batch,
        "steps": steps,
        "images_to_see": total,
        "warnings": warned,
        "out": str(run.out),
    }
    if run.dry_run:
        told |= _forecast(run, train, batch, steps)
        _show(told, output, _plan_lines(told, kind, train_set, run))
        return 0
    progress = output.make_progress() if first else SILENT
    # Of several processes the first one calls them, and all of them wait.
    callbacks = _callbacks(run, images, test, progress) if first else []
    found = train(run.out, total, progress=progress, callbacks=callbacks, **run.loop_options())
    told |= {
        "step": found.step,
        "images_seen": found.images,
        "checkpoint": str(found.checkpoint),
        "finished": found.finished,
        "stopped_by": found.stopped_by,
    }
    if first:
        _show(told, output, _end_lines(told, run))
    if found.stopped_by == "callback" or any(
        isinstance(one, _Audit) and one.asked_to_stop for one in callbacks
    ):
        return STOPPED_BY_COPIES
    return 0 if found.finished else INTERRUPTED


def _callbacks(run: Run, images: ImageSet, test: ImageSet | None, progress: Progress) -> list[Any]:
    from likeness._devices import device_named

    made: list[Any] = []
    device = device_named(run.device)
    if run.grids:
        from likeness.generators.training.grids import GridCallback

        made.append(GridCallback(run.out, device=device))
    if run.tensorboard:
        from likeness.generators.training.tensorboard import TensorBoardCallback

        made.append(TensorBoardCallback(run.out))
    if run.audit_every is not None and test is not None:
        from likeness.monitoring import CheckpointAudit

        audit = CheckpointAudit(
            images,
            test,
            out=run.out / "audits",
            audit_every=run.audit_every,
            num_samples=run.audit_samples,
            stop_on_copies=run.stop_on_copies,
            seed=run.seed,
            device=device,
            progress=progress,
        )
        made.append(_Audit(audit))
    made.append(_Figure(run.out))
    return made


class _Audit:
    """Remembers whether an audit asked to stop, also where the training ended by itself."""

    def __init__(self, audit: Any) -> None:  # noqa: ANN401
        self._audit = audit
        self.asked_to_stop = False

    def on_checkpoint(self, step: int, checkpoint_path: Path) -> bool:
        """Audit a checkpoint."""
        wish = bool(self._audit.on_checkpoint(step, checkpoint_path))
        self.asked_to_stop = self.asked_to_stop or wish
        return wish


class _Figure:
    """Draws ``progress.png``: the loss, and the audits below it."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def on_checkpoint(self, step: int, checkpoint_path: Path) -> None:
        """Draw all that is known by now."""
        del step, checkpoint_path
        from likeness.monitoring.history import read_checks
        from likeness.monitoring.progress_figure import draw_progress

        metrics = self._run / "metrics.jsonl"
        # What is to be looked at only must not end a training.
        with contextlib.suppress(MissingExtraError):
            draw_progress(
                self._run / "progress.png", read_checks(self._run / "audits"), metrics=metrics
            )


def _forecast(run: Run, train: Train, batch: int, steps: int) -> dict[str, Any]:
    """Train a few steps in a folder that is removed, and say what all would take."""
    options = {**run.loop_options(), "log_every": 1, "save_every": _TRIED_STEPS}
    with tempfile.TemporaryDirectory(prefix="likeness-train-") as name:
        tried = Path(name)
        found = train(tried, _TRIED_STEPS * batch, progress=SILENT, callbacks=(), **options)
        lines = (tried / "metrics.jsonl").read_text("utf-8").splitlines()
        size = sum(path.stat().st_size for path in found.checkpoint.iterdir())
    # The first step is slower: memory is taken, kernels are chosen.
    speed = statistics.median(json_module.loads(one)["images_per_second"] for one in lines[1:])
    kept = min(run.keep_last, -(-steps // run.steps_between)) + (
        steps // run.milestone_every if run.milestone_every else 0
    )
    return {
        "images_per_second": speed,
        "seconds": steps * batch / speed,
        "checkpoint_bytes": size,
        # One more, since the new one is complete before an old one goes.
        "disk_bytes": size * (kept + 1),
    }


def _plan_lines(told: dict[str, Any], kind: str, train_set: Path, run: Run) -> list[str]:
    again = f"likeness train {kind} {shlex.quote(str(train_set))} --out {shlex.quote(str(run.out))}"
    return [
        *_head_lines(told),
        f"speed      {told['images_per_second']:,.1f} images/s, measured on a few steps",
        f"time       about {_duration(told['seconds'])}, without sheets and audits",
        f"disk       up to {readable_bytes(told['disk_bytes'])}, "
        f"{readable_bytes(told['checkpoint_bytes'])} per checkpoint",
        "nothing was written to --out",
        f"next       the same command without --dry-run: {again} ...",
    ]


def _end_lines(told: dict[str, Any], run: Run) -> list[str]:
    out = shlex.quote(str(run.out))
    how = {
        None: "finished",
        "callback": "stopped by an audit: copies were found",
    }.get(told["stopped_by"], f"stopped by {told['stopped_by']}; the same command goes on")
    return [
        *_head_lines(told),
        f"seen       {told['images_seen']:,} images in {told['step']:,} steps: {how}",
        f"checkpoint {told['checkpoint']} (can know its images by heart: do not share)",
        f"next       likeness sample {out} --num 1000 --seed 0 --out samples",
    ]


def _head_lines(told: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{name} {count:,}" for name, count in told["parameters"].items())
    patients = "unknown" if told["patients"] is None else f"{told['patients']:,}"
    return [
        f"network    {told['model']}, preset {told['preset']}; parameters: {counts}",
        f"images     {told['images']:,} of {' x '.join(map(str, told['shape']))}, "
        f"patients {patients}",
        f"plan       {told['steps']:,} steps of {told['batch']} images",
    ]


def _show(told: dict[str, Any], output: Output, lines: list[str]) -> None:
    if output.json:
        say(json_module.dumps(told, indent=2, sort_keys=True))
    else:
        say(*lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
