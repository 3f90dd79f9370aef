"""The highest of many is higher than the highest of few: maxima over equally many patients.

A maximum over 1,195 training patients and one over 56 test patients cannot be compared. What can
be compared is the maximum over a *random subset* of the training patients, as many as there are
test patients, and its mean over all subsets has a closed form. With the patients' values sorted,
``v_1 >= ... >= v_K``, and subsets of n of them

    E max = sum_j v_j C(K-j, n-1) / C(K, n)        P(max >= t) = 1 - C(K-a, n) / C(K, n),

where a is the number of values of at least t. Binomials are taken in logarithms.

Subsets of *images* would be wrong where a patient has many: the unit is the patient throughout.
Lists may hold only the L highest values: the weights fall like ``(1 - n/K)^j``, and the probability
that a subset meets none of the L is known (`missing`), hence the error as well.

Source: order statistics of sampling without replacement; derived in the project's method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.errors import InputError
from likeness.types import Floats


@dataclass(frozen=True)
class ExpectedMaximum:
    """Mean of the highest value over a random subset of patients."""

    value: Floats
    """(n,) for each query; NaN without any value. Where the list is cut, its last value stands for
    those beyond, so that this is an upper limit."""
    missing: Floats
    """(n,) probability that no patient of the list is in the subset; 0 for complete lists."""
    error: Floats
    """(n,) how much too high `value` can be: `missing` times (last value - lowest possible)."""


def without_marked(total: int, marked: NDArray[np.integer], size: int) -> Floats:
    """Return the probability that a random subset holds none of the marked patients.

    ``C(total - marked, size) / C(total, size)``.

    Parameters
    ----------
    total
        Patients, at least 1.
    marked
        Any shape; numbers from 0 to `total`.
    size
        Patients in the subset, from 1 to `total`.
    """
    from scipy.special import gammaln

    _checked_size(total, size)
    rest = total - np.asarray(marked, dtype=np.int64)
    possible = rest >= size
    kept = np.where(possible, rest, size)
    logarithm = (
        gammaln(kept + 1.0)
        - gammaln(kept - size + 1.0)
        - gammaln(total + 1.0)
        + gammaln(total - size + 1.0)
    )
    probability: Floats = np.where(possible, np.exp(np.minimum(logarithm, 0.0)), 0.0)
    return probability


def probability_of_maximum(
    values: Floats, threshold: Floats, size: int, *, total: int | None = None
) -> Floats:
    """Return (n,) the probability that the highest value over a random subset is >= a threshold.

    Parameters
    ----------
    values
        (n, L) per query the values of its L highest patients; NaN where absent.
    threshold
        (n,).
    size
        Patients in the subset, at least 1; of fewer patients all.
    total
        Patients in all, where a list holds only the highest; those that it lacks are lower than
        its last. None where all are in the list: then NaN are patients that do not exist.

    Returns
    -------
    ndarray
        In [0, 1]; NaN for rows without any value. Where all values of a cut list reach the
        threshold, a lower limit.
    """
    counts = _counts(values, total)
    reached = (values >= np.asarray(threshold)[:, None]).sum(axis=1)  # NaN reaches nothing
    result = np.full(len(values), np.nan)
    for count in np.unique(counts[~np.isnan(values).all(axis=1)]):
        rows = (counts == count) & ~np.isnan(values).all(axis=1)
        result[rows] = 1.0 - without_marked(int(count), reached[rows], min(size, int(count)))
    return result


def expected_maximum(
    values: Floats, size: int, *, total: int | None = None, lowest: float = -1.0
) -> ExpectedMaximum:
    """Return the mean of the highest value over all subsets of patients of one size.

    Parameters
    ----------
    values
        (n, L) per query the values of its L highest patients, falling; NaN at the end where there
        are fewer.
    size
        Patients in the subset, at least 1; of fewer patients all.
    total
        Patients in all, where a list holds only the highest; those that it lacks are lower than
        its last. None where all are in the list: then NaN are patients that do not exist.
    lowest
        Lowest possible value, for the error of cut lists; -1 for correlations.

    Raises
    ------
    InputError
        If `size` is below 1, `total` below the length of a list, or the values do not fall.
    """
    counts = _counts(values, total)
    with np.errstate(invalid="ignore"):
        rises = (np.diff(values, axis=1) > 0).any()
    if rises or (np.isnan(values[:, :-1]) & ~np.isnan(values[:, 1:])).any():
        msg = "The values of a query must fall from the first to the last, with NaN at the end."
        raise InputError(msg)
    known = (~np.isnan(values)).sum(axis=1)
    result = np.full(len(values), np.nan)
    missing = np.zeros(len(values))
    last = np.full(len(values), np.nan)
    pairs = np.unique(np.stack([counts, known], axis=1)[known > 0], axis=0)
    for count, length in pairs.tolist():
        rows = (counts == count) & (known == length)
        # Telescoped: C(K-j, n-1) / C(K, n) = P(none of the first j-1) - P(none of the first j).
        none = without_marked(count, np.arange(length + 1), min(size, count))
        part = values[rows, :length]
        result[rows] = (part * (none[:-1] - none[1:])).sum(axis=1) + part[:, -1] * none[-1]
        missing[rows] = none[-1]
        last[rows] = part[:, -1]
    return ExpectedMaximum(result, missing, missing * (last - lowest))


def matched_share(
    train: Floats,
    test: Floats,
    *,
    num_train: int | None = None,
    num_test: int | None = None,
) -> Floats:
    """Return (n,) the probability that equally many training patients come closer than test ones.

    A random subset of the larger group, as large as the smaller one, against all of the smaller.
    Equal maxima count half. Its mean over images is 0.5 where training left no trace.

    Parameters
    ----------
    train
        (n, L1) per query the values of its highest training patients, falling; NaN where absent.
    test
        (n, L2) the same for test patients.
    num_train, num_test
        Patients in all; None where the lists are complete.

    Returns
    -------
    ndarray
        In [0, 1]; NaN where a query has no value on one side.
    """
    total_train = train.shape[1] if num_train is None else num_train
    total_test = test.shape[1] if num_test is None else num_test
    size = min(total_train, total_test)
    highest_train, highest_test = _highest(train), _highest(test)
    if total_train >= total_test:
        at_least = probability_of_maximum(train, highest_test, size, total=total_train)
        above = probability_of_maximum(
            train, np.nextafter(highest_test, np.inf), size, total=total_train
        )
        share = 0.5 * (at_least + above)
    else:
        at_least = probability_of_maximum(test, highest_train, size, total=total_test)
        above = probability_of_maximum(
            test, np.nextafter(highest_train, np.inf), size, total=total_test
        )
        share = 1.0 - 0.5 * (at_least + above)
    undefined = np.isnan(highest_train) | np.isnan(highest_test)
    return np.where(undefined, np.nan, share)


def _highest(values: Floats) -> Floats:
    highest: Floats = np.where(np.isnan(values), -np.inf, values).max(axis=1, initial=-np.inf)
    return np.where(np.isneginf(highest), np.nan, highest)


def _counts(values: Floats, total: int | None) -> NDArray[np.int64]:
    """Return (n,) the patients behind each row: `total`, or as many as it has values."""
    defined: NDArray[np.int64] = (~np.isnan(values)).sum(axis=1).astype(np.int64)
    if total is None:
        return defined
    if (most := int(defined.max(initial=0))) > total:
        msg = f"{most} values per query, but only {total} patients; check the order of arguments."
        raise InputError(msg)
    return np.full(len(values), total, dtype=np.int64)


def _checked_size(total: int, size: int) -> None:
    if not 1 <= size <= total:
        msg = f"A subset of {size} out of {total} patients; it must be between 1 and all of them."
        raise InputError(msg)
