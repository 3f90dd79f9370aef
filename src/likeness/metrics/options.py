"""What `evaluate` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from likeness.errors import OptionError
from likeness.metrics.manifolds import NEIGHBOURS
from likeness.metrics.views import ChannelMode

DRAWS: Final = 200


@dataclass(frozen=True)
class EvaluateOptions:
    """How the numbers are computed."""

    channels: tuple[str, ...] | None = None
    """To evaluate; None for all but annotations."""
    annotations: bool = False
    """Whether annotation channels belong to all."""
    channel_mode: ChannelMode = "auto"
    """``apart``: one channel at a time, and the mean; ``together``: all at once; ``auto``: at once
    where an extractor takes just as many, apart otherwise."""
    k: int = NEIGHBOURS
    """Neighbours for precision, recall, density and coverage."""
    bootstrap: int = DRAWS
    """Draws behind each interval; 0 for none."""
    seed: int = 0
    patient_id: str = "auto"
    """Rule for the patients of real images that have to be prepared."""
    manifest: Path | None = None
    """CSV with the column that `patient_id` names."""
    max_skipped: float = 0.01
    """Share of files per set that may be left out."""
    jobs: int = 1
    """Processes that decode files."""

    def __post_init__(self) -> None:
        if self.k < 1 or self.seed < 0 or not (self.bootstrap == 0 or self.bootstrap >= 20):
            msg = (
                f"k is {self.k}, --bootstrap {self.bootstrap}, --seed {self.seed}: give at least 1 "
                "neighbour, no draw or at least 20, and a seed that is not negative."
            )
            raise OptionError(msg)
        if self.channel_mode not in ("auto", "apart", "together"):
            msg = f"Channels are passed 'auto', 'apart' or 'together', not {self.channel_mode!r}."
            raise OptionError(msg)
