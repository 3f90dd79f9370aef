"""Dice, accuracy and AUC of test patients, under many weightings of the patients at once.

A bootstrap over patients gives each patient the number of times it was drawn as its weight; all
images of a patient go with it (Efron and Tibshirani 1993, chapter 8). Row 0 of the weights is one
for everybody: the estimate itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def patient_weights(patients: int, draws: int, *, seed: int = 0) -> Floats:
    """Return (1 + draws, patients) weights: ones, then how often each was drawn."""
    rng = np.random.default_rng([seed, patients])
    drawn = rng.multinomial(patients, np.full(patients, 1 / patients), size=draws)
    return np.concatenate([np.ones((1, patients)), drawn]).astype(np.float64)


def mean_dice(overlap: Counts, predicted: Counts, annotated: Counts, weights: Floats) -> Floats:
    """Return the mean over patients of their Dice, 2 |A and B| / (|A| + |B|), for each weighting.

    Parameters
    ----------
    overlap, predicted, annotated
        (P,) pixels of each patient, all of its images together.
    weights
        (draws, P).

    Returns
    -------
    Floats
        (draws,). Patients without any annotated pixel are left out: their Dice is 0 / 0 or 0
        whatever the network has learned. NaN where nobody is left.
    """
    counted = annotated > 0
    dice = 2 * overlap[counted] / (predicted[counted] + annotated[counted])
    chosen = weights[:, counted]
    return _ratio(chosen @ dice, chosen.sum(axis=1))


def pooled_share(part: Counts, whole: Counts, weights: Floats) -> Floats:
    """Return the share of all pixels, (draws,); NaN where there is none."""
    return _ratio(weights @ part.astype(np.float64), weights @ whole.astype(np.float64))


def class_measures(
    probabilities: Floats, truth: Counts, patients: Counts, weights: Floats
) -> dict[str, Floats]:
    """Return accuracy, balanced accuracy and AUC for each weighting of the patients.

    Parameters
    ----------
    probabilities
        (N, K) of the classes of each image.
    truth
        (N,) class of each image.
    patients
        (N,) patient of each image.
    weights
        (draws, P).

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy`` (mean of the classes' recalls) and ``auc`` (with more
        than two classes the mean of each against the rest), each (draws,).
    """
    each = weights[:, patients]
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    classes = probabilities.shape[1]
    recalls = []
    for k in range(classes):
        mine = truth == k
        recalls.append(_ratio(each[:, mine] @ right[mine], each[:, mine].sum(axis=1)))
    # Of two classes the second AUC is the first again.
    asked = [1] if classes == 2 else range(classes)
    aucs = [area_under_curve(probabilities[:, k], truth == k, each) for k in asked]
    return {
        "accuracy": _ratio(each @ right, each.sum(axis=1)),
        "balanced_accuracy": np.mean(recalls, axis=0),
        "auc": np.mean(aucs, axis=0),
    }


def area_under_curve(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the weighted area under the ROC curve: P(positive above negative), ties count half.

    Parameters
    ----------
    scores, positive
        (N,).
    weights
        (draws, N).

    Returns
    -------
    Floats
        (draws,); NaN where one of the two kinds is absent.
    """
    _, place = np.unique(scores, return_inverse=True)
    places = int(place.max()) + 1
    area = np.empty(len(weights))
    for row, weight in enumerate(weights):
        up = np.bincount(place, weight * positive, minlength=places)
        down = np.bincount(place, weight * ~positive, minlength=places)
        below = np.cumsum(down) - down / 2
        pairs = up.sum() * down.sum()
        area[row] = (up @ below) / pairs if pairs > 0 else np.nan
    return area


def interval(draws: Floats) -> tuple[float, float]:
    """Return the percentile interval of 95 % of those draws that are numbers."""
    known = draws[np.isfinite(draws)]
    if len(known) == 0:
        return (float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    return (float(low), float(high))


def _ratio(upper: Floats, lower: Floats) -> Floats:
    ratio: Floats = np.divide(upper, lower, out=np.full(len(lower), np.nan), where=lower > 0)
    return ratio
