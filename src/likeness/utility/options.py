"""The settings of a measurement of utility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from likeness.errors import OptionError

SOURCES: Final = ("real", "synthetic", "both")


@dataclass(frozen=True)
class UtilityOptions:
    """How the networks are trained and tested."""

    steps: int = 600
    """Steps of each network, the same for every source."""
    seeds: int = 3
    """Networks per source."""
    batch: int = 16
    """Images per step; for both sources together half of them from each."""
    learning_rate: float = 1e-3
    """Of Adam."""
    validation_share: float = 0.2
    """Share of the training patients by which the best moment of a network is chosen."""
    checks: int = 10
    """How often a network is validated."""
    bootstrap: int = 1000
    """Draws of test patients behind each interval of 95 %."""
    annotation: str | None = None
    """The annotation channel; None for the only one that the training set marks."""
    channels: tuple[str, ...] | None = None
    """Channels that the network sees; None for all but annotations."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 and so on."""

    def __post_init__(self) -> None:
        for name in ("steps", "seeds", "checks"):
            if getattr(self, name) < 1:
                msg = f"{name} is {getattr(self, name)}; expected at least 1."
                raise OptionError(msg)
        if self.batch < 2 or self.batch % 2:
            msg = f"batch is {self.batch}; expected an even number, for halves of two sources."
            raise OptionError(msg)
        if not 0 < self.validation_share < 1:
            msg = f"validation_share is {self.validation_share}; expected between 0 and 1."
            raise OptionError(msg)
        if not self.learning_rate > 0:
            msg = f"learning_rate is {self.learning_rate}; expected more than 0."
            raise OptionError(msg)
        if self.bootstrap < 100:
            msg = f"bootstrap is {self.bootstrap}; expected at least 100 draws for an interval."
            raise OptionError(msg)
