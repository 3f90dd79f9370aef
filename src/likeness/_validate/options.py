"""The settings of a validation, and which of them the expensive part depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from likeness.errors import OptionError

COPY_RATES: Final = (0.0, 0.005, 0.01, 0.05, 0.2)
"""Shares of copies in the mixtures; method of the project, validation protocol."""
HEADLINE_RATE: Final = 0.01
"""The share for which the table states the sensitivity: ten copies in a thousand."""
MEMBERSHIP_RATES: Final = (0.0, 0.01, 0.03, 0.1, 0.3)
CONTAMINATIONS: Final = (0.1, 0.5)
"""Shares of test patients that were trained on in secret."""
SHARES: Final = (0.6, 0.2)
"""Patients in train and in test; the rest is novel."""
LARGE: Final = 1000
"""Patients from which a row of the table counts as proof by its estimate alone."""

_ARITHMETIC: Final = frozenset(
    {"splits", "null_splits", "membership_splits", "permutations", "synthetic", "q"}
)
_SPEED: Final = frozenset({"memory_bytes", "threads"})


@dataclass(frozen=True)
class ValidationOptions:
    """How much is drawn and how often. The defaults are those of the protocol."""

    seed: int = 0
    splits: int = 20
    """Random divisions of the patients for sensitivity and false discoveries."""
    null_splits: int = 200
    """Divisions for the rate of any flag where nothing was copied."""
    membership_splits: int = 400
    """Divisions for the size and the power of the membership test."""
    permutations: int = 999
    """Permutations of each membership test."""
    per_kind: int = 120
    """Altered copies of each kind."""
    controls: int = 600
    """Innocent images of each kind."""
    synthetic: int = 1000
    """Images in a mixture, where the novel patients have so many."""
    q: float = 0.05
    """False discovery rate at which images are flagged; in (0, 1)."""
    depth: int = 40
    """Patients kept per image; after a split, those of the training patients are left."""
    grid: int = 64
    """Blocks along each axis at which decisions are made."""
    channels: tuple[str, ...] | None = None
    """Names of the channels to compare; None for all but annotations."""
    memory_bytes: int = 2 << 30
    """Memory that the search may take."""
    threads: int | None = None
    """None for all cores."""

    def __post_init__(self) -> None:
        for name in ("splits", "null_splits", "membership_splits"):
            _require(getattr(self, name) >= 2, name, getattr(self, name), "at least 2")
        _require(self.permutations >= 99, "permutations", self.permutations, "at least 99")
        _require(self.per_kind >= 2, "per_kind", self.per_kind, "at least 2")
        _require(self.controls >= 2, "controls", self.controls, "at least 2")
        _require(self.synthetic >= 20, "synthetic", self.synthetic, "at least 20")
        _require(self.depth >= 8, "depth", self.depth, "at least 8")
        _require(0 < self.q < 1, "q", self.q, "a number between 0 and 1")
        _require(self.seed >= 0, "seed", self.seed, "at least 0")

    def settings(self) -> dict[str, Any]:
        """Return the options that can change a number, as JSON values."""
        values = asdict(self)
        values["channels"] = None if self.channels is None else list(self.channels)
        return {key: value for key, value in values.items() if key not in _SPEED}

    def bank_settings(self) -> dict[str, Any]:
        """Return the options that the scores depend on."""
        return {key: value for key, value in self.settings().items() if key not in _ARITHMETIC}


def _require(condition: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001
    if not condition:
        msg = f"--{name.replace('_', '-')} is {value}; expected {expected}."
        raise OptionError(msg)
