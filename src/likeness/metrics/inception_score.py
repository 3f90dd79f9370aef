"""The inception score: are single images clear to a classifier, and together diverse?

IS = exp(mean KL(p(y|x) || p(y))) over the images of a split; mean and standard deviation over ten
splits (Salimans et al. 2016, arXiv 1606.03498). Between 1 and the number of classes. It looks at no
real image, and its classes are those of the classifier: with ImageNet's, it says little about
medical images.

The value is that of torchmetrics; draws of a bootstrap are computed here, with the splits kept and
the images of each counted as often as they were drawn.
"""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np

from likeness.types import Floats, Integers

SPLITS: Final = 10
FEWEST_IMAGES: Final = 2 * SPLITS
_LOWEST: Final = 100.0
"""Logits this far below the largest mean a probability of e^-100: torchmetrics needs it above 0."""


def inception_score(logits: Floats, *, seed: int) -> tuple[float, float]:
    """Return mean and standard deviation over ten random splits.

    Parameters
    ----------
    logits
        (n, K), n at least `FEWEST_IMAGES`.
    seed
        Of the splits.
    """
    import torch
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings():
        # It says that it keeps the logits in memory, where they already are.
        warnings.filterwarnings("ignore", message="Metric `InceptionScore` will save all")
        metric = InceptionScore(feature=torch.nn.Identity(), splits=SPLITS)
    metric.update(torch.from_numpy(_bounded(logits)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def weighted_inception_scores(logits: Floats, weights: Floats, *, seed: int) -> Floats:
    """Return the mean over the same splits, (b,), with images counted as `weights` (b, n) say.

    A split of which nothing was drawn is left out.
    """
    bounded = _bounded(logits)
    log_probabilities = bounded - np.log(np.exp(bounded).sum(axis=1, keepdims=True))
    probabilities = np.exp(log_probabilities)
    own = (probabilities * log_probabilities).sum(axis=1)
    scores = np.full((len(weights), SPLITS), np.nan)
    for number, rows in enumerate(_splits(len(logits), seed)):
        counts = weights[:, rows]
        totals = counts.sum(axis=1)
        there = totals > 0
        marginal = counts[there] @ probabilities[rows] / totals[there, None]
        together = (marginal * np.log(marginal)).sum(axis=1)
        scores[there, number] = np.exp(counts[there] @ own[rows] / totals[there] - together)
    return np.asarray(np.nanmean(scores, axis=1))


def _bounded(logits: Floats) -> Floats:
    """Return logits with the largest of each image at 0 and none too far below."""
    return np.asarray(np.maximum(logits - logits.max(axis=1, keepdims=True), -_LOWEST))


def _splits(count: int, seed: int) -> list[Integers]:
    """Return the splits that torchmetrics makes with this seed."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(count)
    return [part.numpy() for part in order.chunk(SPLITS)]
