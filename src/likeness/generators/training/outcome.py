"""How a training ends, and who is told of its checkpoints: the same for every model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class CheckpointCallback(Protocol):
    """Called after each checkpoint."""

    def on_checkpoint(self, step: int, checkpoint_path: Path) -> bool | None:
        """Look at a checkpoint; True stops the training."""


@dataclass(frozen=True)
class Trained:
    """How a call of a training loop ended."""

    step: int
    """Steps done."""
    images: int
    """Images seen."""
    checkpoint: Path
    finished: bool
    stopped_by: str | None
    """``SIGTERM``, ``SIGINT`` or ``callback``, if not finished."""
