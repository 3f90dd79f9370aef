"""How often do images of other people reach a score this high?

Three answers to the same question, for each query image:

- `pooled`: counted over the baseline images, ``(1 + #) / (N + 1)``. Exact for images that are
  exchangeable; slightly too small (0.108 at a nominal 0.10 with 56 patients) where the images of
  one patient go together.
- `conservative`: the same with the most numerous patient counted as if all its images had
  exceeded, ``(n_max + #) / (n_max + N)``. Exact under hierarchical exchangeability for held-out
  images; approximate for the leave-own-patient-out baseline, where the query has one patient more
  to resemble.
- `working`: as pooled, but carried on beyond the highest tenth of the baseline (see `tail`). This
  one decides. Where the tail was needed the image is marked `extrapolated`.

Source: conformal p-values, Vovk, Gammerman, Shafer 2005; the conservative form after Lee, Barber,
Willett 2023 (arXiv 2306.06342) and Dunn, Wasserman, Ramdas 2018 (arXiv 1809.07441).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.calibration._checks import checked_groups
from likeness.calibration.tail import Tail, fit_tail
from likeness.errors import InputError, OptionError
from likeness.types import Flags, Floats

_CONTRADICTION: Final = 0.05
"""The tail may not go below the lower 95 % limit of the share that was counted: near-duplicates
among the baseline would otherwise lie outside the curve that describes the others."""


@dataclass(frozen=True)
class PValues:
    """P-values of the query images against one baseline, each in (0, 1]; 1 without a score."""

    pooled: Floats
    """(n,) counted over baseline images."""
    working: Floats
    """(n,) as pooled, beyond the tail's threshold extrapolated; times the inflation."""
    conservative: Floats
    """(n,) counted, with the largest patient in doubt."""
    extrapolated: Flags
    """(n,) where `working` comes from the tail."""
    num_baseline: int
    """Baseline images with a score."""
    num_groups: int
    """Patients behind them."""
    largest_group: int
    """Most baseline images of one patient."""
    tail: Tail | None
    """None where the baseline is too small for one."""
    inflation: float
    """Factor on `working`, at least 1."""


def p_values(
    scores: Floats,
    baseline: Floats,
    *,
    groups: NDArray[np.integer] | None = None,
    tail: Tail | None = None,
    extrapolate: bool = True,
    inflation: float = 1.0,
) -> PValues:
    """Compare each score with the baseline; equal counts as exceeding.

    Parameters
    ----------
    scores
        (n,) higher is more unusual; NaN, no score, has the p-value 1.
    baseline
        (b,) scores of images that cannot be copies, found by the same search; NaN is left out.
    groups
        (b,) patient of each baseline image; None if each is a patient of its own.
    tail
        The tail of this baseline; None to fit it here.
    extrapolate
        Whether to go beyond the baseline at all.
    inflation
        Observed over nominal rate of a negative control, at least 1.

    Returns
    -------
    PValues
        `working` does not rise with the score, and depends on neither the order of the baseline
        nor on the other queries.

    Raises
    ------
    InputError
        If no baseline image has a score, or `groups` has another length than `baseline`.
    OptionError
        If `inflation` is below 1.
    """
    if not 1.0 <= inflation < np.inf:
        msg = f"inflation is {inflation}; it must be a finite number of at least 1."
        raise OptionError(msg)
    baseline = np.asarray(baseline, dtype=np.float64)
    present = ~np.isnan(baseline)
    codes = checked_groups(groups, len(baseline), "baseline")[present]
    ordered = np.sort(baseline[present])
    size = len(ordered)
    if not size:
        msg = (
            f"None of the {len(baseline)} baseline images has a score, so no score can be judged; "
            "give real images of at least two patients."
        )
        raise InputError(msg)
    if tail is None and extrapolate:
        tail = fit_tail(baseline[present], groups=codes)
    if not extrapolate:
        tail = None

    scores = np.asarray(scores, dtype=np.float64)
    defined = ~np.isnan(scores)
    comparable = np.where(defined, scores, -np.inf)
    above = size - np.searchsorted(ordered, comparable, side="left")
    pooled = ((1.0 + above) / (1.0 + size)).astype(np.float64)
    largest = int(np.unique(codes, return_counts=True)[1].max())
    conservative = ((largest + above) / (largest + size)).astype(np.float64)
    working, extrapolated = pooled, np.zeros(len(scores), dtype=np.bool_)
    if tail is not None:
        extrapolated = comparable > tail.threshold
        floor = _least_credible(above, size)
        carried_on = np.maximum(tail.p_value(comparable), floor)
        working = np.where(extrapolated, np.minimum(carried_on, tail.share), pooled)
    return PValues(
        pooled=pooled,
        working=np.minimum(working * inflation, 1.0),
        conservative=conservative,
        extrapolated=extrapolated,
        num_baseline=size,
        num_groups=len(np.unique(codes)),
        largest_group=largest,
        tail=tail,
        inflation=inflation,
    )


def _least_credible(above: NDArray[np.integer], size: int) -> Floats:
    """Return the lower 95 % Clopper-Pearson limit of the share `above` of `size`; 0 for none."""
    from scipy.special import betaincinv

    limit = np.zeros(len(above))
    some = above > 0
    limit[some] = betaincinv(above[some], size - above[some] + 1, _CONTRADICTION)
    return limit
