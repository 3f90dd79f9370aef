"""Many looks, one error rate.

Each image is looked at by F families of scores, and there are n images. `combine_families` pays for
the first with Bonferroni, `benjamini_hochberg` for the second: of the flagged images, at most the
share q is expected to be flagged by mistake.

Source: Benjamini, Hochberg 1995; valid for p-values that share a baseline, Bates et al. 2021
(arXiv 2104.08279).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likeness.calibration._checks import checked_share
from likeness.errors import InputError
from likeness.types import Flags, Floats

if TYPE_CHECKING:
    from likeness.types import Integers


def combine_families(p: Floats) -> tuple[Floats, Integers]:
    """Return the p-value of each image over all families, and the family that shows it best.

    Parameters
    ----------
    p
        (n, F) p-value of each image in each family, in [0, 1]; F at least 1.

    Returns
    -------
    combined
        (n,) ``min(1, F min_f p)``.
    best
        (n,) index of the smallest p; the first of equal ones.
    """
    p = _checked(p, 2)
    if p.shape[1] == 0:
        msg = "There are p-values of no family; give at least one column."
        raise InputError(msg)
    best = p.argmin(axis=1)
    combined = np.minimum(1.0, p.shape[1] * p[np.arange(len(p)), best])
    return combined, best.astype(np.int64)


def adjusted(p: Floats) -> Floats:
    """Return (n,) the smallest q at which `benjamini_hochberg` flags each image.

    Parameters
    ----------
    p
        (n,) in [0, 1].
    """
    p = _checked(p, 1)
    count = len(p)
    order = np.argsort(p, kind="stable")
    # Rounding must not make an adjusted value smaller than its p.
    ratios = np.maximum(p[order] * count / np.arange(1, count + 1), p[order])
    values = np.empty(count)
    values[order] = np.minimum(1.0, np.minimum.accumulate(ratios[::-1])[::-1])
    return values


def benjamini_hochberg(p: Floats, q: float) -> Flags:
    """Return (n,) which images are flagged at the false discovery rate `q`.

    Parameters
    ----------
    p
        (n,) in [0, 1].
    q
        In (0, 1).

    Raises
    ------
    OptionError
        If `q` is out of range.
    InputError
        If a p-value is.
    """
    checked_share(q, "q")
    flags: Flags = adjusted(p) <= q
    return flags


def flagged_alone(p: Floats, m: int, q: float) -> Flags:
    """Return (n,) whether each image would be flagged as the only copy in a set of `m` images.

    Planted copies are judged this way: many of them together make Benjamini-Hochberg lenient, and
    would show a sensitivity that a single copy does not meet.

    Parameters
    ----------
    p
        (n,) in [0, 1].
    m
        Images in the set, at least 1.
    q
        In (0, 1).
    """
    checked_share(q, "q")
    if m < 1:
        msg = f"The set is said to have {m} images; it must have at least 1."
        raise InputError(msg)
    flags: Flags = _checked(p, 1) * m <= q  # as the first step of Benjamini-Hochberg
    return flags


def _checked(p: Floats, dimensions: int) -> Floats:
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != dimensions or not bool(((p >= 0) & (p <= 1)).all()):
        msg = (
            f"p-values of shape {p.shape}: expected {dimensions} dimension(s) and numbers from 0 "
            "to 1 without NaN; an image without a score has the p-value 1."
        )
        raise InputError(msg)
    return p
