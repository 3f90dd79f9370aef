"""Checkpoints of `likeness.generators`: the model draws, the audit looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.errors import OptionError
from likeness.monitoring.history import read_checks
from likeness.monitoring.training_audit import TrainingAudit

if TYPE_CHECKING:
    from likeness._audit.options import AuditOptions
    from likeness.datasets import ImageSet
    from likeness.generators.ddpm.settings import Sampler


class CheckpointAudit:
    """A callback for the loops of `likeness.generators`.

    A checkpoint is audited if a multiple of `audit_every` lies after the last audited step and at
    or before its own. So with a checkpoint every 1,000 steps and `audit_every` 2,500, those of the
    steps 3,000, 5,000, 8,000 ... are.

    Each check draws with the average weights, from the same seed: what changes along the curve is
    the model, not the noise. Of a model with classes, all classes in turn.

    Parameters
    ----------
    train, test, out, options, progress
        As for `TrainingAudit`. The losses are read from ``metrics.jsonl`` beside `out`.
    audit_every
        Steps between checks.
    num_samples
        Images drawn per check.
    stop_on_copies
        Whether the training ends when a check finds copies (`Check.should_stop`).
    seed
        Of the samples.
    device
        Where the model draws, as torch names it.
    sampler
        Of a DDPM; None for the default of the checkpoint.
    batch_size
        Images drawn at once.
    """

    def __init__(
        self,
        train: ImageSet,
        test: ImageSet,
        *,
        out: Path | str,
        audit_every: int,
        num_samples: int = 1000,
        stop_on_copies: bool = False,
        seed: int = 0,
        device: str = "cpu",
        sampler: Sampler | None = None,
        batch_size: int = 16,
        options: AuditOptions | None = None,
        progress: Progress = SILENT,
    ) -> None:
        for name, value in (("audit_every", audit_every), ("batch_size", batch_size)):
            if value < 1:
                msg = f"{name} is {value}; it must be at least 1."
                raise OptionError(msg)
        self.audit = TrainingAudit(
            train,
            test,
            out=out,
            num_samples=num_samples,
            options=options,
            metrics=Path(out).parent / "metrics.jsonl",
            progress=progress,
        )
        self._every = audit_every
        self._num_samples = num_samples
        self._stop_on_copies = stop_on_copies
        self._seed = seed
        self._device = device
        self._sampler = sampler
        self._batch_size = batch_size
        self._progress = progress

    def is_due(self, step: int) -> bool:
        """Whether the checkpoint of a step is to be audited."""
        earlier = [one.step for one in read_checks(self.audit.out) if one.step < step]
        return step // self._every > max(earlier, default=0) // self._every

    def on_checkpoint(self, step: int, checkpoint_path: Path) -> bool | None:
        """Draw and check; True if copies were found and the training is to stop."""
        if not self.is_due(step):
            return None
        from likeness.generators.models import open_model  # here: it needs torch

        model = open_model(
            checkpoint_path, weights="average", device=self._device, sampler=self._sampler
        )
        classes = model.record.get("classes") or []
        labels = [place % len(classes) for place in range(self._num_samples)] if classes else None
        with self._progress.task("samples for the audit", self._num_samples) as task:
            drawn = list(
                model.draw(
                    self._seed,
                    self._num_samples,
                    batch_size=self._batch_size,
                    labels=labels,
                    task=task,
                )
            )
        found = self.audit.check(np.concatenate(drawn), step)
        return self._stop_on_copies and found.should_stop
