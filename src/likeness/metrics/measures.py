"""All numbers of two clouds of features, each with its value in every draw of the bootstrap.

For precision, recall, density and coverage the neighbourhoods are those of the sets as they are; a
draw only says how often each image counts in the mean. Neighbours among images drawn twice would be
other neighbours. What another choice of the images that make the balls would do is not in those
intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from likeness.metrics import frechet, inception_score, kernel_distance, manifolds
from likeness.types import Floats, Integers

if TYPE_CHECKING:
    from likeness._progress import Task

Measure: TypeAlias = Literal[
    "frechet_distance",
    "kernel_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score",
]
MEASURES: Final[tuple[Measure, ...]] = (
    "frechet_distance",
    "kernel_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score",
)
HIGHEST: Final[dict[Measure, float]] = {"precision": 1.0, "recall": 1.0, "coverage": 1.0}
LOWEST: Final[dict[Measure, float]] = {"kernel_distance": -np.inf}
"""The others are 0 or more."""
MOST_PAIRED: Final = 10_000
"""Images per set whose pairs are looked at: more cost their number squared."""


@dataclass(frozen=True)
class Counts:
    """How often each image counts in each draw."""

    real: Floats
    """(b, n)"""
    compared: Floats
    """(b, m)"""


@dataclass(frozen=True)
class Number:
    """One number."""

    value: float | None
    replicates: Floats = field(default_factory=lambda: np.empty(0))
    """(b',) in the first draws, b' <= b."""
    deviation: float | None = None
    """Of the inception score over its splits."""
    note: str | None = None
    """Why there is none, or what was left out."""


def measure(
    real: Floats,
    compared: Floats,
    logits: Floats | None,
    counts: Counts,
    *,
    k: int,
    seed: int,
    task: Task,
) -> dict[Measure, Number]:
    """Return all numbers of two clouds.

    Parameters
    ----------
    real, compared
        (n, d) and (m, d) features.
    logits
        (m, K) class scores of the compared images; None for no inception score.
    counts
        Of the draws; zero rows for no intervals.
    k
        Neighbours.
    seed
        Of the splits of the inception score.
    task
        Advanced by 1 in all.
    """
    found: dict[Measure, Number] = {"frechet_distance": _frechet(real, compared, counts, task)}
    found |= _of_pairs(real, compared, counts, k)
    if logits is not None:
        found["inception_score"] = _inception_score(logits, counts, seed)
    task.advance(0.1)
    return {name: found[name] for name in MEASURES if name in found}


def mean_number(numbers: Sequence[Number]) -> Number:
    """Return the mean over channels, draw by draw: a draw holds the same images in all."""
    values = [number.value for number in numbers if number.value is not None]
    if len(values) < len(numbers):
        return Number(None, note="not defined in every channel")
    draws = min(len(number.replicates) for number in numbers)
    replicates = np.mean([number.replicates[:draws] for number in numbers], axis=0)
    notes = {number.note for number in numbers if number.note is not None}
    return Number(float(np.mean(values)), replicates, note="; ".join(sorted(notes)) or None)


def _frechet(real: Floats, compared: Floats, counts: Counts, task: Task) -> Number:
    if min(len(real), len(compared)) < frechet.FEWEST_IMAGES:
        task.advance(0.9)
        return Number(None, note="needs two images of each set")
    value = frechet.frechet_distance(real, compared)
    draws = frechet.affordable_draws(len(real), len(compared), real.shape[1], len(counts.real))
    replicates = np.empty(draws)
    for number in range(draws):
        replicates[number] = frechet.weighted_frechet_distance(
            real, compared, counts.real[number], counts.compared[number]
        )
        task.advance(0.9 / draws)
    return Number(value, replicates)


def _of_pairs(real: Floats, compared: Floats, counts: Counts, k: int) -> dict[Measure, Number]:
    real_rows, rows = _at_most(len(real)), _at_most(len(compared))
    note = None
    if len(real_rows) < len(real) or len(rows) < len(compared):
        note = f"of {len(real_rows):,} real and {len(rows):,} compared images, evenly spaced"
    real, compared = real[real_rows], compared[rows]
    real_counts, compared_counts = counts.real[:, real_rows], counts.compared[:, rows]
    found: dict[Measure, Number] = {}
    if min(len(real), len(compared)) < kernel_distance.FEWEST_IMAGES:
        found["kernel_distance"] = Number(None, note="needs two images of each set")
    else:
        with np.errstate(invalid="ignore"):  # a draw of one image over and over has no pairs
            distances = kernel_distance.kernel_distance(
                real,
                compared,
                np.vstack([np.ones(len(real)), real_counts]),
                np.vstack([np.ones(len(compared)), compared_counts]),
            )
        found["kernel_distance"] = Number(float(distances[0]), distances[1:], note=note)
    if min(len(real), len(compared)) <= k:
        few = Number(None, note=f"needs more than {k} images of each set")
        return found | dict.fromkeys(("precision", "recall", "density", "coverage"), few)
    inside = manifolds.memberships(real, compared, k=k)
    for name, of, times in (
        ("precision", inside.precision, compared_counts),
        ("recall", inside.recall, real_counts),
        ("density", inside.density, compared_counts),
        ("coverage", inside.coverage, real_counts),
    ):
        numbers = of.astype(np.float64)
        with np.errstate(invalid="ignore"):
            replicates = times @ numbers / times.sum(axis=1)
        found[name] = Number(float(numbers.mean()), replicates, note=note)  # type: ignore[index]
    return found


def _inception_score(logits: Floats, counts: Counts, seed: int) -> Number:
    if len(logits) < inception_score.FEWEST_IMAGES:
        return Number(None, note=f"needs {inception_score.FEWEST_IMAGES} images")
    value, deviation = inception_score.inception_score(logits, seed=seed)
    replicates = inception_score.weighted_inception_scores(logits, counts.compared, seed=seed)
    return Number(value, replicates, deviation)


def _at_most(count: int) -> Integers:
    rows = np.linspace(0, count - 1, min(count, MOST_PAIRED)).round()
    return np.asarray(rows, dtype=np.int64)
