"""Sheets of a few samples at each checkpoint, one row of them per channel.

RUN/grids/
  step-000001000-ddim50.png     the name says how they were drawn
  step-000001000-ddim50.json    the same in full

The seed is the same at every checkpoint, so that one looks at the same noise becoming an image.
They are for looking only: few deterministic steps pull samples towards the training images.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import make_folder, write_bytes, write_json
from likeness.generators.checkpoints import read_record
from likeness.types import Images

_GAP: Final = 2
_STEPS: Final = 50


class GridCallback:
    """Draws a sheet of the mean network's samples at each checkpoint.

    Parameters
    ----------
    run
        Folder of the run.
    count
        Images per sheet.
    seed
        Of the samples.
    device
        To sample on.
    steps
        Of DDIM, for a diffusion model; lowered to a divisor of its T.
    """

    def __init__(
        self, run: Path, *, count: int = 8, seed: int = 0, device: str = "cpu", steps: int = _STEPS
    ) -> None:
        self._folder = run / "grids"
        self._count, self._seed, self._device, self._steps = count, seed, device, steps

    def on_checkpoint(self, step: int, checkpoint_path: Path) -> None:
        """Draw the sheet of a checkpoint."""
        from likeness.generators.models import open_model

        record = read_record(checkpoint_path)
        sampler, how = self._sampler(record)
        model = open_model(checkpoint_path, device=self._device, sampler=sampler)
        classes: list[str] = record.get("classes") or []
        labels = [place % len(classes) for place in range(self._count)] if classes else None
        drawn = np.concatenate(
            list(model.draw(self._seed, self._count, batch_size=self._count, labels=labels))
        )
        make_folder(self._folder, private=True)
        name = f"step-{step:09d}-{how}"
        # Private: a network can draw its training images.
        write_bytes(self._folder / f"{name}.png", png(sheet(drawn)), private=True)
        about = {
            "checkpoint": model.checkpoint_sha256,
            "channels": record.get("images", {}).get("channels"),
            "classes": [classes[label] for label in labels or []],
            "sampler": model.sampler_record,
            "seed": self._seed,
            "step": step,
            "weights": "average",
        }
        write_json(self._folder / f"{name}.json", about, private=True)

    def _sampler(self, record: dict[str, Any]) -> tuple[Any, str]:
        if record["model"] != "ddpm":
            return None, "psi1"
        from likeness.generators.ddpm.settings import Sampler

        total = record["diffusion"]["steps"]
        steps = max(k for k in range(1, min(self._steps, total) + 1) if total % k == 0)
        return Sampler(kind="ddim", steps=steps, together=self._count), f"ddim{steps}"


def sheet(images: Images) -> Images:
    """Lay images (n, C, H, W) out as one picture: a row per channel, a column per image."""
    count, channels, height, width = images.shape
    out = np.full(
        (channels * (height + _GAP) - _GAP, count * (width + _GAP) - _GAP), 255, dtype=np.uint8
    )
    for row in range(channels):
        for column in range(count):
            top, left = row * (height + _GAP), column * (width + _GAP)
            out[top : top + height, left : left + width] = images[column, row]
    return out


def png(picture: Images) -> bytes:
    """Return a grey picture (H, W) uint8 as the bytes of a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    return stream.getvalue()
