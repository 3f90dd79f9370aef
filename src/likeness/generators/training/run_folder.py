"""The folder of a training run.

RUN/
  run.json                      what the run is; another one is refused here
  metrics.jsonl                 one JSON object per logging interval
  checkpoints/step-000001000/   `likeness.generators.checkpoints`
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from likeness._files import make_folder, write_json, write_text, writing_to
from likeness.errors import InputError, OptionError
from likeness.generators.checkpoints import RECORD_NAME, save_checkpoint

_STEP: Final = re.compile(r"step-(\d{9,})")


class RunFolder:
    """Reads and writes the folder of one run; its caller holds the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics = path / "metrics.jsonl"
        self._checkpoints = path / "checkpoints"

    def claim(self, about: Mapping[str, Any]) -> None:
        """Write down what the run is, or check that it is the one of before.

        Raises
        ------
        OptionError
            If a setting is another; the message names all that are.
        InputError
            If ``run.json`` is damaged.
        """
        file = self.path / "run.json"
        wanted = json.loads(json.dumps(about, allow_nan=False))
        if not file.is_file():
            write_json(file, wanted)
            return
        try:
            found = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            msg = f"{str(file)!r} is damaged: it is not JSON ({error}). Choose another folder."
            raise InputError(msg) from error
        differences = list(_differences(found, wanted, ""))
        if differences:
            msg = (
                f"{str(self.path)!r} holds a run with other settings: {'; '.join(differences)}. "
                "Give the settings of before to go on with it, or choose another folder."
            )
            raise OptionError(msg)

    def steps(self) -> list[int]:
        """Return the steps that have a complete checkpoint, in order."""
        if not self._checkpoints.is_dir():
            return []
        found = ((_STEP.fullmatch(path.name), path) for path in self._checkpoints.iterdir())
        return sorted(
            int(match[1]) for match, path in found if match and (path / RECORD_NAME).is_file()
        )

    def checkpoint(self, step: int) -> Path:
        """Return the folder of a step's checkpoint."""
        return self._checkpoints / f"step-{step:09d}"

    def save(
        self,
        step: int,
        tensors: Mapping[str, torch.Tensor],
        record: Mapping[str, Any],
        *,
        keep_last: int,
        milestone_every: int | None,
    ) -> Path:
        """Write a checkpoint, then remove older ones that are neither recent nor milestones."""
        path = self.checkpoint(step)
        save_checkpoint(path, tensors, record)
        for old in self.steps()[:-keep_last]:
            if milestone_every is None or old % milestone_every:
                with writing_to(self._checkpoints):
                    # First the record: what a kill leaves then is no checkpoint.
                    (self.checkpoint(old) / RECORD_NAME).unlink()
                    shutil.rmtree(self.checkpoint(old))
        return path

    def cut_metrics(self, step: int) -> None:
        """Remove what was measured after a step, and a line that a kill left incomplete."""
        if not self._metrics.is_file():
            return
        kept = []
        for line in self._metrics.read_text("utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue
        write_text(self._metrics, "".join(kept))

    def log(self, values: Mapping[str, Any]) -> None:
        """Append one line to the metrics."""
        make_folder(self.path)
        with writing_to(self._metrics), self._metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values, allow_nan=False) + "\n")


def _differences(found: object, wanted: object, name: str) -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [
            difference
            for key in sorted(found.keys() | wanted.keys())
            for difference in _differences(
                found.get(key), wanted.get(key), f"{name}.{key}" if name else key
            )
        ]
    return [] if found == wanted else [f"{name} is {wanted!r}, was {found!r}"]
