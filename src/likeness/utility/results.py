"""The result: numbers with intervals, as JSON and as a table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from likeness._files import make_folder, write_json, writing_to

FILE: Final = "utility.json"

LIMIT: Final = (
    "Utility says nothing about privacy: a synthetic set that copies its patients is as useful as "
    "they are. Read it beside likeness audit."
)


@dataclass(frozen=True)
class Measured:
    """One number of one source."""

    source: str
    """real, synthetic, both; a difference such as ``synthetic - real``; or a constant predictor."""
    measure: str
    value: float
    """Mean over the seeds."""
    low: float
    """Lower end of the interval of 95 % over test patients."""
    high: float
    """Upper end."""
    seeds: tuple[float, ...] = ()
    """The value of each seed, for the networks."""


@dataclass(frozen=True)
class Utility:
    """What networks trained on real, on synthetic and on both reach on real test patients."""

    task: str
    """segmentation or classification."""
    networks: tuple[Measured, ...]
    differences: tuple[Measured, ...]
    """From training on real, over the same draws of patients."""
    baselines: tuple[Measured, ...]
    """Constant predictors: they do not look at the image."""
    sets: dict[str, Any]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    units: tuple[dict[str, Any], ...] = field(default=())
    """Each network: source, seed, the step that was chosen, seconds."""

    def find(self, source: str, measure: str) -> Measured:
        """Return one number.

        Raises
        ------
        KeyError
            If there is no such source or measure.
        """
        for one in (*self.networks, *self.differences, *self.baselines):
            if (one.source, one.measure) == (source, measure):
                return one
        raise KeyError((source, measure))

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON; a number that is not defined is null."""
        found: dict[str, Any] = _without_nan({"format": "likeness-utility-1", **asdict(self)})
        return found

    def write(self, folder: Path) -> Path:
        """Write ``utility.json`` into a folder, atomically.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        make_folder(folder)
        with writing_to(folder / FILE):
            write_json(folder / FILE, self.to_json())
        return folder / FILE


def table_lines(result: Utility) -> list[str]:
    """Return the result as lines of a terminal."""
    sets = result.sets
    lines = [
        f"{result.task}: tested on {sets['test']['images']:,} real images of "
        f"{sets['test']['patients']:,} patients; {result.settings['steps']} steps, "
        f"{result.settings['seeds']} seeds",
        f"{'trained on':<27}{'measure':<34}{'value':>7}  {'95 % (patients)':<19}over seeds",
    ]
    for one in (*result.networks, *result.differences, *result.baselines):
        spread = f"{min(one.seeds):.3f} to {max(one.seeds):.3f}" if one.seeds else ""
        lines.append(
            f"{one.source:<27}{one.measure:<34}{_shown(one.value):>7}  "
            f"{_shown(one.low)} to {_shown(one.high):<10}{spread}".rstrip()
        )
    lines += [f"note       {note}" for note in result.notes]
    return lines


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _without_nan(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
