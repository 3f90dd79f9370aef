"""Which proposals could still enter a list and must be decided exactly.

A proposal p stands for a correlation in [p - margin, p + margin]. A list of k holds at last at
least the k-th highest of all lower bounds seen so far, so what lies below that even with its upper
bound never enters. The same holds for each patient's best image, for the L-th best patient, and for
the best without flips and turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likeness.search._level import Needed
from likeness.types import Flags, Floats

if TYPE_CHECKING:
    from likeness.search._running import RankedImages, RankedPatients, RunningIdentity, Segments


def needed_by_lists(
    rows: slice,
    segments: Segments,
    tops: tuple[RankedImages, RankedImages],
    patients: tuple[RankedPatients, RankedPatients],
    identities: tuple[RunningIdentity, RunningIdentity],
) -> Needed:
    """Return the question that the lists ask of proposals; pairs are (r_cat, r_ch)."""

    def needed(whole: Floats, mean: Floats, margin: float) -> Flags:
        wanted = np.zeros(whole.shape, dtype=np.bool_)
        for which, proposed in enumerate((whole, mean)):
            lower = proposed.max(axis=0).T - margin  # (w, m)
            top, people = tops[which], patients[which]
            listed = _kth(np.concatenate([top.value[rows], lower], axis=1), top.value.shape[1])
            maxima = segments.maxima(lower)
            # The L-th best of either part is at most the L-th best of both.
            enough = np.maximum(_kth(maxima, people.value.shape[1]), people.value[rows, -1])
            bound = np.maximum(maxima[:, segments.place], enough[:, None])
            bound = np.minimum(bound, listed[:, None])
            wanted |= proposed + margin >= bound.T
            alone = proposed[0].T
            highest = np.maximum(identities[which].value[rows], alone.max(axis=1) - margin)
            wanted[0] |= (alone + margin >= highest[:, None]).T
        return _possible(wanted, whole, mean)

    return needed


def _possible(wanted: Flags, whole: Floats, mean: Floats) -> Flags:
    wanted &= ~(np.isneginf(whole) & np.isneginf(mean))
    return wanted


def _kth(values: Floats, k: int) -> Floats:
    """Return the k-th highest of each row; -inf where there are fewer."""
    if values.shape[1] < k:
        return np.full(len(values), -np.inf)
    return np.partition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k]
