"""How good the gate itself is, measured on the user's own data.

- *Sensitivity*: copies that the audit planted and caught, per level (`SelfCheck.levels`).
- *Specificity*: share of real pictures of held-out people that the rules would let pass.
- *Consistency*: are the same images withheld when chance and a pixel change? Each run shifts the
  images by one pixel, in a direction drawn by its seed, and drops a tenth of the people behind the
  baseline, as another sample of them would. The withheld sets are compared by Jaccard's index,
  estimated from up to 60 images: withheld ones, those nearest to a threshold among the others, and
  a random sample of the rest, each counted for as many as it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._findings import Consistency
from likeness._progress import SILENT, Progress
from likeness._release.decisions import Decisions, Thresholds, withheld_by_rule
from likeness.calibration import clopper_pearson
from likeness.datasets import ImageSet
from likeness.types import Flags, Floats, Integers

if TYPE_CHECKING:
    from likeness._release.gate_scores import Null, Rescore
    from likeness._release.policy import ReleasePolicy
    from likeness._release.tables import BaselineTable, ImagesTable
    from likeness.types import Images

RUNS: Final = 5
WITHHELD: Final = 20
NEAREST: Final = 20
SAMPLED: Final = 20
"""Images scored in every run: withheld ones, others nearest to a threshold, and of the rest."""
DROPPED_PEOPLE: Final = 0.1
_DIRECTIONS: Final = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Specificity:
    """What the gate does to real pictures of people the generator has not seen."""

    num_images: int
    num_passed: int
    low: float
    """Lower 95 % limit of the share that passes."""


@dataclass(frozen=True)
class Jitter:
    """The consistency of the gate, and what it was measured on."""

    result: Consistency
    num_images: int
    num_withheld: int
    """Of these, withheld in the decision that was taken."""


def specificity(
    control: BaselineTable, null: Null, thresholds: Thresholds, policy: ReleasePolicy
) -> Specificity | None:
    """Judge held-out pictures as if they were synthetic; None where there are none.

    Parameters
    ----------
    control
        Real images of held-out people, compared in the families of the gate.
    """
    rows = np.flatnonzero(np.isfinite(control.similarity["registered"]))
    if not len(rows):
        return None
    similarity = {family: values[rows] for family, values in control.similarity.items()}
    contrast = {family: values[rows] for family, values in control.contrast.items()}
    withheld = withheld_by_rule(
        p_value=null.p_value(contrast),
        similarity=similarity,
        thresholds=thresholds,
        kinds=policy.withhold_transforms,
    )
    passed = sum(not why for why in withheld)
    return Specificity(len(rows), passed, clopper_pearson(passed, len(rows)).low)


def consistency(
    images: ImageSet,
    table: ImagesTable,
    decisions: Decisions,
    *,
    null: Null,
    rescore: Rescore,
    policy: ReleasePolicy,
    runs: int = RUNS,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Jitter:
    """Withhold again after small changes and compare.

    Parameters
    ----------
    images
        The synthetic set.
    table, decisions
        What the audit found and what the gate decided, in the order of `images`.
    runs
        Number of repetitions, at least 1.

    Returns
    -------
    Jitter
        Mean and lowest Jaccard index between the decision taken and each repetition; 1 where
        neither withholds anything.
    """
    rows, weights = chosen_rows(table, _rules_alone(decisions), decisions.thresholds, seed)
    before = _rules_alone(decisions)[rows]
    pixels = images.take(rows)
    indices: list[float] = []
    with progress.task("consistency", runs * len(rows)) as task:
        for run in range(runs):
            rng = np.random.default_rng([seed, run])
            direction = _DIRECTIONS[int(rng.integers(len(_DIRECTIONS)))]
            moved = ImageSet.from_arrays(moved_by(pixels, *direction), channels=images.channels)
            scores = rescore(moved)
            withheld = withheld_by_rule(
                p_value=null.without_people(DROPPED_PEOPLE, rng).p_value(scores.contrast),
                similarity=scores.similarity,
                thresholds=decisions.thresholds,
                kinds=policy.withhold_transforms,
            )
            after = np.array([bool(why) for why in withheld], dtype=np.bool_)
            indices.append(jaccard(before, after, weights))
            task.advance(len(rows))
    result = Consistency(runs, float(np.mean(indices)), float(np.min(indices)))
    return Jitter(result, len(rows), int(np.count_nonzero(before)))


def chosen_rows(
    table: ImagesTable, withheld: Flags, limits: Thresholds, seed: int
) -> tuple[Integers, Floats]:
    """Return the images to score again, and how many images of the set each stands for.

    Withheld images, those nearest to a threshold among the others, and a sample of the rest.
    """
    distance = _distance(table, limits)
    open_rows = np.flatnonzero(~withheld & ~np.isnan(distance))
    order = open_rows[np.argsort(distance[open_rows], kind="stable")]
    rng = np.random.default_rng([seed, 97])
    # Without a score an image stays withheld whatever moves.
    parts = [
        (np.flatnonzero(withheld & ~table.undefined), WITHHELD),
        (order[:NEAREST], NEAREST),
        (order[NEAREST:], SAMPLED),
    ]
    rows, weights = [], []
    for members, most in parts:
        drawn = rng.choice(members, size=min(most, len(members)), replace=False)
        rows.append(drawn)
        weights.append(np.full(len(drawn), len(members) / max(len(drawn), 1)))
    return np.concatenate(rows).astype(np.int64), np.concatenate(weights)


def _distance(table: ImagesTable, limits: Thresholds) -> Floats:
    """Return (n,) how far each image is from the nearer of two thresholds; NaN without a score."""
    # log p and artanh r are on one scale: both are differences of transformed correlations.
    with np.errstate(divide="ignore", invalid="ignore"):
        by_p = np.abs(np.log(table.p_value) - np.log(limits.p_value))
        clipped = np.clip(table.similarity["registered"], -0.9999999, 0.9999999)
        by_r = np.abs(np.arctanh(clipped) - np.arctanh(min(limits.registered, 0.9999999)))
    distance: Floats = np.where(table.undefined, np.nan, np.fmin(by_p, by_r))
    return distance


def moved_by(pixels: Images, down: int, right: int) -> Images:
    """Return images (n, C, H, W) shifted by at most one pixel; the edge is repeated."""
    rows, columns = pixels.shape[2:]
    padded = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    moved: Images = padded[:, :, 1 - down : 1 - down + rows, 1 - right : 1 - right + columns]
    return np.ascontiguousarray(moved)


def jaccard(first: Flags, second: Flags, weights: Floats) -> float:
    """Return shared over all members of two sets, each member counted with its weight.

    1 where both are empty.
    """
    union = float(weights[first | second].sum())
    return float(weights[first & second].sum()) / union if union else 1.0


def _rules_alone(decisions: Decisions) -> Flags:
    """Return the images that rules withheld, people's reviews aside."""
    human = {"reviewed", "not_reviewed"}
    return np.array([bool(set(why) - human) for why in decisions.reasons], dtype=np.bool_)
