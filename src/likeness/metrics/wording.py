"""An evaluation as lines of text for a terminal."""

from __future__ import annotations

from typing import Final

from likeness.metrics.evaluation import Compared, Evaluation, Measurement
from likeness.metrics.measures import Measure

LABELS: Final[dict[Measure, str]] = {
    "frechet_distance": "Fréchet distance",
    "kernel_distance": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "inception_score": "inception score",
}
INCEPTION_LABELS: Final[dict[Measure, str]] = {
    "frechet_distance": "FID",
    "kernel_distance": "KID",
}
COLUMNS: Final[dict[Compared, str]] = {
    "synthetic": "synthetic",
    "synthetic_matched": "synthetic",
    "test": "test (baseline)",
}


def table_lines(evaluation: Evaluation) -> list[str]:
    """Return a table per extractor and channel, and what must be known beside it."""
    lines: list[str] = []
    for described in evaluation.features:
        name = described["name"]
        own = [one for one in evaluation.measurements if one.features == name]
        width = own[0].num_features
        lines.append(
            f"features   {name}: {width:,} numbers per image; {described['channels']}"
            f"; against {own[0].num_real:,} real images"
        )
        channels = list(dict.fromkeys(one.channel for one in own))
        for channel in channels:
            if len(channels) > 1:
                lines.append(f"  {'mean over the channels' if channel == 'mean' else channel}")
            lines += _table([one for one in own if one.channel == channel], name)
        if all(one.measure != "inception_score" for one in own):
            lines.append("  no inception score: these features know no classes")
    if evaluation.channels_left_out:
        lines.append(f"left out   {', '.join(evaluation.channels_left_out)}")
    return lines + [f"note       {warning}" for warning in evaluation.warnings]


def _table(measurements: list[Measurement], features: str) -> list[str]:
    columns = [name for name in COLUMNS if any(one.compared == name for one in measurements)]
    sizes = {one.compared: one.num_compared for one in measurements}
    head = "".join(f"{f'{COLUMNS[name]}, {sizes[name]:,}':>30}" for name in columns)
    lines = [f"  {'':<18}{head}"]
    for measure in dict.fromkeys(one.measure for one in measurements):
        cells = {one.compared: one for one in measurements if one.measure == measure}
        label = LABELS[measure]
        if features == "inception":
            label = INCEPTION_LABELS.get(measure, label)
        row = "".join(f"{_cell(cells.get(name)):>30}" for name in columns)
        lines.append(f"  {label:<18}{row}")
    return lines


def _cell(one: Measurement | None) -> str:
    if one is None:
        return "-"
    if one.value is None:
        return "not defined"
    value = _number(one.value)
    if one.low is None or one.high is None:
        return value
    return f"{value} ({_number(one.low)} to {_number(one.high)})"


def _number(value: float) -> str:
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}"
    decimals = 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 4
    return f"{value:.{decimals}f}"
