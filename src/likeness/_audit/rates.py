"""How often copies occur, and what the literature's measures would say of the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._findings import Interval, PanelRow, Rates
from likeness.calibration import clopper_pearson, hypergeometric_bound
from likeness.calibration import panel as literature
from likeness.calibration.resampling import Estimate, compare_scores

if TYPE_CHECKING:
    from likeness._audit.comparisons import Highest
    from likeness._audit.scoring import AllScores
    from likeness.datasets import ImageSet
    from likeness.search import SearchResult
    from likeness.types import Flags, Floats

USUAL = 0.99
"""Quantile of real images above which an image counts for the excess rate."""
FEWEST_REAL = 20


def rates_of(
    scores: AllScores,
    train: ImageSet,
    test: ImageSet | None,
    usable_test: Flags | None,
    *,
    num_flagged: int,
    num_judged: int,
    seed: int,
) -> Rates:
    """Return rates with intervals.

    The real side are usable held-out images where there are some, else the training images among
    other people.
    """
    synthetic = scores.synthetic["dihedral"].similarity[:, 0]
    real, groups = _real_side(scores, train, test, usable_test)
    excess = auc = difference = None
    defined = ~np.isnan(synthetic)
    if len(real) >= FEWEST_REAL and defined.any():
        found = compare_scores(
            synthetic, real, groups=groups, threshold=float(np.quantile(real, USUAL)), seed=seed
        )
        excess, auc, difference = map(_interval, (found.excess, found.auc, found.difference))
    share = clopper_pearson(num_flagged, max(num_judged, 1))
    return Rates(
        copy_rate=Interval(share.estimate, share.low, share.high),
        excess_rate=excess,
        auc=auc,
        mean_difference=difference,
        num_audited=num_judged,
        num_in_set=num_judged,
        unseen_in_set=hypergeometric_bound(num_judged, num_judged, num_flagged).unseen
        if num_judged
        else 0,
    )


def _real_side(
    scores: AllScores, train: ImageSet, test: ImageSet | None, usable_test: Flags | None
) -> tuple[Floats, NDArray[np.int32]]:
    if test is not None and usable_test is not None and scores.test is not None:
        kept = scores.test.keep(usable_test)
        if len(kept.rows["dihedral"]) >= FEWEST_REAL:
            codes = test.patient_codes[kept.rows["dihedral"]]
            return _without_nan(kept.rankings["dihedral"].similarity[:, 0], codes)
    groups = scores.people.of_images(train)[scores.null.rows["dihedral"]]
    return _without_nan(scores.null.rankings["dihedral"].similarity[:, 0], groups)


def _without_nan(values: Floats, codes: NDArray[np.int32]) -> tuple[Floats, NDArray[np.int32]]:
    there = ~np.isnan(values)
    return values[there], codes[there]


def _interval(estimate: Estimate) -> Interval:
    return Interval(estimate.value, estimate.low, estimate.high)


def panel_of(
    result: SearchResult,
    synthetic_test: Highest | None,
    test: Highest | None,
    usable_test: Flags | None,
    scores: AllScores,
) -> list[PanelRow]:
    """Return the measures of the literature. They decide nothing."""
    rows = [literature.mean_highest_correlation(result.identity)]
    if synthetic_test is not None:
        rows.append(
            literature.mean_highest_correlation(synthetic_test.correlation_identity, against="test")
        )
    if test is not None and usable_test is not None and usable_test.any():
        names, codes = np.unique(np.array(test.query_patients), return_inverse=True)
        del names
        held_out = test.correlation_identity[usable_test]
        rows += [
            literature.data_copying_test(result.identity, held_out, test_groups=codes[usable_test]),
            literature.quantile_rule(result.identity, held_out),
        ]
    plain, null = scores.synthetic["plain"], scores.null
    rows.append(literature.authenticity(plain.similarity[:, 0], _of_match(scores)))
    if result.top.correlation.shape[1] > 1:
        first, second = result.top.correlation[:, 0], result.top.correlation[:, 1]
        rows.append(literature.nearest_ratio(first, second, by="image"))
        rows.append(literature.neighbourhood_ratio(result.top.correlation))
    if null.rankings["plain"].depth > 1:
        people = result.patients.correlation
        rows.append(literature.nearest_ratio(people[:, 0], people[:, 1], by="patient"))
    return rows


def _of_match(scores: AllScores) -> Floats:
    """Return what each matched training image reaches among other people; NaN if not compared."""
    plain, rows = scores.synthetic["plain"], scores.null.rows["plain"]
    reached = scores.null.rankings["plain"].similarity[:, 0]
    image = plain.image[:, 0]
    place = np.minimum(np.searchsorted(rows, image), len(rows) - 1)
    return np.where(rows[place] == image, reached[place], np.nan)
