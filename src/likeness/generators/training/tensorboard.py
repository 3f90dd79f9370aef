"""The metrics of a run, handed on to TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from likeness._files import make_folder
from likeness.errors import MissingExtraError


class TensorBoardCallback:
    """Writes the new lines of ``metrics.jsonl`` to ``RUN/tensorboard`` at each checkpoint.

    What a run of before wrote after its last checkpoint is marked as void there.

    Raises
    ------
    MissingExtraError
        If TensorBoard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            msg = "--tensorboard needs TensorBoard: pip install tensorboard"
            raise MissingExtraError(msg) from error
        self._open: Any = SummaryWriter
        self._run = run
        self._writer: Any = None
        self._written = 0

    def on_checkpoint(self, step: int, checkpoint_path: Path) -> None:
        """Write the lines up to a step."""
        del checkpoint_path
        metrics = self._run / "metrics.jsonl"
        if not metrics.is_file():
            return
        lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
        if self._writer is None:
            folder = self._run / "tensorboard"
            make_folder(folder)
            # A fresh file tells all from the beginning; older ones are void from step 0 on.
            self._writer = self._open(str(folder), purge_step=0)
        for line in lines:
            if self._written < line["step"] <= step:
                for name, value in line.items():
                    if name != "step" and isinstance(value, int | float):
                        self._writer.add_scalar(name, value, line["step"])
        self._written = step
        self._writer.flush()
