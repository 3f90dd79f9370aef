"""What the measures in the literature say, side by side; none of them decides.

Each is computed from highest correlations, with the distance ``d = sqrt(2 (1 - r))`` of
standardised images. Each has a known fault, which is why the verdict rests on something else: they
are given so that the audit can be compared with published numbers.

Left out: Pan's diversity score (Pan et al. 2023, Phys. Med. Biol. 68 105004), a Kullback-Leibler
divergence between distributions of nearest SSIM, because neither its bins nor its direction could
be established from a source; and the FLD gap, which needs a learned feature.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from likeness._findings import PanelRow
from likeness.calibration._checks import checked_groups, checked_share
from likeness.errors import InputError
from likeness.types import Floats

NEIGHBOURS: Final = 50
"""n of Carlini et al."""
ALPHA: Final = 0.5
"""alpha of Carlini et al."""
PERMUTATIONS: Final = 1_999


def distance(correlation: Floats) -> Floats:
    """Return ``sqrt(2 (1 - r))``, the distance of standardised images; in [0, 2]."""
    result: Floats = np.sqrt(np.maximum(2.0 * (1.0 - correlation), 0.0))
    return result


def mean_highest_correlation(
    correlation: Floats, *, against: Literal["train", "test"] = "train"
) -> PanelRow:
    """Mean of the highest correlations, the paper's number.

    Parameters
    ----------
    correlation
        (n,) in [-1, 1]; NaN is left out.
    against
        Images that were compared with.
    """
    defined = _defined(correlation)
    return PanelRow(
        name=f"mean highest correlation, {against}",
        value=float(defined.mean()) if len(defined) else None,
        detail=_number(len(defined)),
        meaning=f"The highest correlation with a {against} image, on average. It rises with the "
        "number of patients, and with smooth images that resemble everybody.",
        source="Akbar, Wang, Eklund 2025",
    )


def data_copying_test(
    synthetic: Floats,
    test: Floats,
    *,
    test_groups: NDArray[np.integer] | None = None,
    synthetic_groups: NDArray[np.integer] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> PanelRow:
    """Mann-Whitney statistic of the distances to the training images, synthetic against test.

    The Z_U of the source over one cell, without its correction for continuity. Its own p-value
    takes all images as independent. Beside it stands one that takes patients as the unit: the
    difference of the mean ranks of patients, with patients (and synthetic images) permuted between
    the two sides. That is exact if both sides have units of one kind, and careful where synthetic
    images stand alone against patients of many images, whose means vary less.

    Parameters
    ----------
    synthetic
        (n,) highest correlation of each synthetic image with a training image; NaN is left out.
    test
        (t,) the same for held-out images.
    test_groups
        (t,) their patients; None if each is a patient of its own.
    synthetic_groups
        (n,) volume or the like of each synthetic image; None if each stands alone.
    permutations, seed
        Of the second p-value.

    Returns
    -------
    PanelRow
        Far below 0: synthetic images are closer to the training images than real ones.
    """
    units_s, synthetic = _units(synthetic, synthetic_groups, "synthetic")
    units_t, test = _units(test, test_groups, "test")
    value, detail = None, "Synthetic and held-out images with a score are needed."
    if len(synthetic) and len(test):
        from scipy.special import ndtr
        from scipy.stats import rankdata

        n, t = len(synthetic), len(test)
        ranks = rankdata(-np.concatenate([synthetic, test]))  # the closest has rank 1
        u = float(ranks[:n].sum()) - n * (n + 1) / 2.0
        value = (u - n * t / 2.0) / float(np.sqrt(n * t * (n + t + 1) / 12.0))
        means = np.concatenate([_means(ranks[:n], units_s), _means(ranks[n:], units_t)])
        p = _permutation_p(means, int(units_s.max()) + 1, permutations, seed)
        detail = (
            f"p = {float(ndtr(value)):.2g} if all images were independent, {p:.2g} with patients "
            "as the unit"
        )
    return PanelRow(
        name="C_T",
        value=value,
        detail=detail,
        meaning="Far below 0 if synthetic images are closer to training images than real ones "
        "are. Smooth generators are close to everything, and look like copying here.",
        source="Meehan, Chaudhuri, Dasgupta 2020 (arXiv 2004.05675)",
    )


def authenticity(correlation: Floats, of_match: Floats) -> PanelRow:
    """Share of synthetic images farther from their training image than that is from the others.

    Parameters
    ----------
    correlation
        (n,) highest correlation of each synthetic image with a training image; NaN is left out.
    of_match
        (n,) highest correlation of that training image with any other training image.
    """
    kept = ~(np.isnan(correlation) | np.isnan(of_match))
    number = int(kept.sum())
    return PanelRow(
        name="authenticity",
        value=float((correlation[kept] < of_match[kept]).mean()) if number else None,
        detail=_number(number),
        meaning="Share of images that are farther from their nearest training image than that one "
        "is from its own nearest. Copies make it smaller, and so do smooth images.",
        source="Alaa et al. 2022 (arXiv 2102.08921); Stein et al. 2023 (arXiv 2306.04675)",
    )


def nearest_ratio(first: Floats, second: Floats, *, by: Literal["image", "patient"]) -> PanelRow:
    """Share of synthetic images with ``d1 / d2 < 1/3``.

    Parameters
    ----------
    first
        (n,) highest correlation with a training image; NaN is left out.
    second
        (n,) next highest, of any other image or of an image of another patient.
    by
        Which of the two.
    """
    kept = ~(np.isnan(first) | np.isnan(second))
    number = int(kept.sum())
    closer = 3.0 * distance(first[kept]) < distance(second[kept])
    other = "training image" if by == "image" else "patient"
    return PanelRow(
        name=f"d1/d2 < 1/3, by {by}",
        value=float(closer.mean()) if number else None,
        detail=_number(number),
        meaning=f"Share of images less than a third as far from the nearest as from the next "
        f"{other}. Copies with noise escape it"
        + (", and so do copies of one of several neighbouring slices." if by == "image" else "."),
        source="Gu et al. 2023 (arXiv 2310.02664); Bonnaire et al. 2025 (arXiv 2505.17638)",
    )


def neighbourhood_ratio(similarity: Floats) -> PanelRow:
    """Share with ``d1 / (alpha mean d of the n nearest) < 1``, alpha = 0.5, n = 50.

    Parameters
    ----------
    similarity
        (n, L) correlations with the L most similar training images, falling; NaN where absent, and
        rows with fewer than min(50, L) are left out.
    """
    used = min(NEIGHBOURS, similarity.shape[1])
    part = similarity[:, :used]
    d = distance(part[~np.isnan(part).any(axis=1)])
    enough = used >= 2 and len(d) > 0
    return PanelRow(
        name="Carlini ratio < 1",
        value=float((d[:, 0] < ALPHA * d.mean(axis=1)).mean()) if enough else None,
        detail=f"{_number(len(d))}, {used} neighbours (the source takes {NEIGHBOURS})",
        meaning="Share of images less than half as far from the nearest training image as from "
        "its nearest neighbours on average. Copies with noise escape it.",
        source="Carlini et al. 2023 (arXiv 2301.13188)",
    )


def quantile_rule(synthetic: Floats, test: Floats, *, share: float = 0.05) -> PanelRow:
    """Share of synthetic images closer than the closest 5 % of held-out images are.

    The source compares maxima over different numbers of patients (training images with held-out
    ones against synthetic images with training ones), which flags up to 39 % of images that are no
    copies. Here both sides are compared with the same training images.

    Parameters
    ----------
    synthetic
        (n,) highest correlation of each synthetic image with a training image; NaN is left out.
    test
        (t,) the same for held-out images.
    share
        Share of held-out images that lie above the threshold. In (0, 1).
    """
    checked_share(share, "share")
    synthetic, test = _defined(synthetic), _defined(test)
    value, detail = None, "Synthetic and held-out images with a score are needed."
    if len(synthetic) and len(test):
        threshold = float(np.quantile(test, 1.0 - share))
        value = float((synthetic > threshold).mean())
        detail = f"r > {threshold:.3f}; {share:.0%} expected if all images were new"
    return PanelRow(
        name="Dar's rule",
        value=value,
        detail=detail,
        meaning=f"Share of images closer to a training image than {1.0 - share:.0%} of the "
        "held-out images are. Smooth images exceed it without being copies.",
        source="Dar et al. 2025 (doi 10.1038/s41551-025-01468-8), with the direction mended",
    )


def _number(images: int) -> str:
    return f"{images:,} synthetic images"


def _defined(values: Floats) -> Floats:
    values = np.asarray(values, dtype=np.float64)
    return values[~np.isnan(values)]


def _units(
    values: Floats, groups: NDArray[np.integer] | None, whose: str
) -> tuple[NDArray[np.int64], Floats]:
    """Return the unit of every image with a score, numbered from 0, and the scores."""
    values = np.asarray(values, dtype=np.float64)
    present = ~np.isnan(values)
    codes = checked_groups(groups, len(values), whose)[present]
    return np.unique(codes, return_inverse=True)[1].astype(np.int64), values[present]


def _means(values: Floats, units: NDArray[np.int64]) -> Floats:
    means: Floats = np.bincount(units, weights=values) / np.bincount(units)
    return means


def _permutation_p(means: Floats, num_first: int, permutations: int, seed: int) -> float:
    """Return the one-sided p-value of the first units having the smaller mean rank."""
    if permutations < 1:
        msg = f"permutations is {permutations}; at least 1 is needed."
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    # With all units fixed, the sum over the first decides; rounding must not break ties.
    limit = float(means[:num_first].sum()) * (1.0 + 1e-12)
    smaller = sum(
        float(rng.permutation(means)[:num_first].sum()) <= limit for _ in range(permutations)
    )
    return (1 + smaller) / (1 + permutations)
