"""What to search for."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.errors import OptionError
from likeness.types import TRANSFORMS, Transform

_MOST_KEPT = 10_000


@dataclass(frozen=True)
class SearchOptions:
    """Everything that changes the result of a search. Memory, threads and engine do not.

    Raises
    ------
    OptionError
        If a value is out of range; the message names the option of the command line.
    """

    top_k: int = 20
    """Reference images kept per query, by each of the two correlations. 1 to 10,000."""
    top_patients: int = 2
    """Patients kept per query at full size, with the best image of each. 2 to 10,000."""
    transforms: tuple[Transform, ...] = TRANSFORMS
    """Flips and quarter turns of the query that are tried. Quarter turns and transpositions are
    left out where images are not square; `identity` is always among them."""
    channels: tuple[int, ...] | None = None
    """Channels compared, in this order. None for all but an annotation channel."""

    def __post_init__(self) -> None:
        _in_range("--top-k", self.top_k, 1, _MOST_KEPT)
        _in_range("--top-patients", self.top_patients, 2, _MOST_KEPT)
        unknown = [name for name in self.transforms if name not in TRANSFORMS]
        if unknown or "identity" not in self.transforms:
            msg = (
                f"--transforms must hold 'identity' and any of {', '.join(TRANSFORMS[1:])}; "
                f"got {list(self.transforms)}."
            )
            raise OptionError(msg)
        if self.channels is not None and (
            not self.channels
            or min(self.channels) < 0
            or len(set(self.channels)) != len(self.channels)
        ):
            msg = f"--channels must name different channels, from 0; got {list(self.channels)}."
            raise OptionError(msg)


def _in_range(flag: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        msg = f"{flag} must be from {low} to {high:,}; got {value}."
        raise OptionError(msg)
