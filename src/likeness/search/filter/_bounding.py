"""Compiled: passes over tables of estimates, and the pairs whose bounds reach a floor."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def combine(products, mine, theirs, mixed, whole, mean):  # type: ignore[no-untyped-def]
    """Turn products of channels into estimates of both correlations.

    products (C, w, t) float32, 0 where a channel is constant; mine (w, 5 C) and theirs (5 C, t):
    see `bounds.Terms`; whole, mean (w, t) float32 are written. `mixed` where any channel is
    constant.
    """
    channels, width, columns = products.shape
    for i in range(width):
        for j in range(columns):
            whole[i, j] = np.float32(0)
            mean[i, j] = np.float32(0)
        for c in range(channels):
            weight, shift = mine[i, c], mine[i, channels + c]
            for j in range(columns):
                product = products[c, i, j]
                mean[i, j] += product
                whole[i, j] += weight * theirs[c, j] * product + shift * theirs[channels + c, j]
        if mixed:
            for j in range(columns):
                mean[i, j] /= _shared(mine, theirs, channels, i, j)
        else:
            for j in range(columns):
                mean[i, j] /= np.float32(channels)


@numba.njit(nogil=True, cache=True, inline="always")
def _shared(mine, theirs, channels, i, j):  # type: ignore[no-untyped-def]
    """Count the channels that vary in both; at least 1, for what is 0 anyway."""
    count = np.float32(0)
    for c in range(channels):
        count += mine[i, 4 * channels + c] * theirs[4 * channels + c, j]
    return max(count, np.float32(1))


@numba.njit(nogil=True, cache=True)
def _sift_down(values, places, count):
    """Put the first entry where it belongs in a heap whose least value stands first."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= count:
            return
        if child + 1 < count and values[child + 1] < values[child]:
            child += 1
        if values[at] <= values[child]:
            return
        values[at], values[child] = values[child], values[at]
        places[at], places[child] = places[child], places[at]
        at = child


@numba.njit(nogil=True, cache=True)
def list_likely(estimates, codes, excluded, images, num_patients, out):
    """List the best images, and the best image of each of the best patients, by estimates (w, m).

    out (w, images + patients) references, -1 for none; codes and excluded as in `select`.
    """
    width, count = estimates.shape
    best, whose = np.empty(num_patients, np.float32), np.empty(num_patients, np.int64)
    values, places = np.empty(images, np.float32), np.empty(images, np.int64)
    low = np.float32(-np.inf)
    for i in range(width):
        out[i] = -1
        if excluded[i] == -3:
            continue
        best[:], values[:], places[:] = low, low, -1
        for j in range(count):
            value, code = estimates[i, j], codes[j]
            if code == -2 or code == excluded[i]:
                continue
            if value > best[code]:
                best[code], whose[code] = value, j
            if value > values[0]:
                values[0], places[0] = value, j
                _sift_down(values, places, images)
        out[i, :images] = places
        for k in range(images, out.shape[1]):
            code = np.argmax(best)
            if best[code] > low:
                out[i, k] = whose[code]
                best[code] = low


@numba.njit(nogil=True, cache=True)
def kth_values(values, codes, begins, images, patients, out):
    """Find what the last of some images and the last of some patients reach, the lower of the two.

    values (p, 2) of the pairs of each query in turn, which begin at begins (w + 1,); codes (p,)
    patients; out (w, 2), -inf where there are fewer.
    """
    width = len(begins) - 1
    for i in range(width):
        first, stop = begins[i], begins[i + 1]
        for which in range(2):
            out[i, which] = -np.inf
            order = first + np.argsort(-values[first:stop, which])
            if len(order) < images:
                continue
            found = 0
            for k in range(len(order)):
                known = False
                for other in range(k):
                    known = known or codes[order[other]] == codes[order[k]]
                found += not known
                if found == patients:
                    out[i, which] = min(values[order[k], which], values[order[images - 1], which])
                    break


@numba.njit(nogil=True, cache=True)
def add_band(sums, left, right, mine, theirs, mixed, band_mine, band_theirs, gains):
    """Add to gains (p, 2) what a band adds to both estimates; the rest as in `select_again`."""
    channels = sums.shape[1]
    for p in range(len(left)):
        j, i = left[p], right[p]
        divisor = np.float64(channels)
        if mixed:
            divisor = np.float64(_shared(mine, theirs, channels, i, j))
        for c in range(channels):
            value = sums[p, c] - band_mine[i, 4 * channels + c]
            value *= band_mine[i, 3 * channels + c] * band_theirs[3 * channels + c, j]
            gains[p, 0] += np.float64(mine[i, c]) * theirs[c, j] * value
            gains[p, 1] += value / divisor


@numba.njit(nogil=True, cache=True)
def select(  # type: ignore[no-untyped-def]
    whole, mean, mine, theirs, mixed, floors, codes, excluded, margin, left, right, upper
):
    """List the pairs whose upper bound reaches a floor.

    whole, mean (w, t) estimates; mine, theirs, mixed as in `combine`; floors (w, 2) float32; codes
    (t,), -2 where a reference has no correlation; excluded (w,) a code that a query must not meet,
    -3 where it has no correlation itself. Writes references into `left` and queries into `right`,
    each of w t places, and into `upper` (w t, 2) the bounds without what the rest can add. Returns
    how many.
    """
    width, count = whole.shape
    channels = len(theirs) // 5
    place = 0
    for i in range(width):
        if excluded[i] == -3:
            continue
        floor_whole, floor_mean = floors[i, 0], floors[i, 1]
        for j in range(count):
            rest_whole, rest_mean = np.float32(0), np.float32(0)
            error_whole, error_mean = np.float32(0), np.float32(0)
            for c in range(channels):
                weight = mine[i, c] * theirs[c, j]
                rest = mine[i, 2 * channels + c] * theirs[2 * channels + c, j]
                error = mine[i, 3 * channels + c] + theirs[3 * channels + c, j]
                rest_mean += rest
                error_mean += error
                rest_whole += weight * rest
                error_whole += weight * error
            divisor = np.float32(channels)
            if mixed:
                divisor = _shared(mine, theirs, channels, i, j)
            bound_whole = whole[i, j] + error_whole + margin
            bound_mean = mean[i, j] + error_mean / divisor + margin
            if (
                bound_whole + rest_whole >= floor_whole
                or bound_mean + rest_mean / divisor >= floor_mean
            ) and not (codes[j] == -2 or codes[j] == excluded[i]):
                left[place], right[place] = j, i
                upper[place, 0], upper[place, 1] = bound_whole, bound_mean
                place += 1
    return place


@numba.njit(nogil=True, cache=True)
def select_again(  # type: ignore[no-untyped-def]
    sums, left, right, upper, each, mine, theirs, mixed, band_mine, band_theirs, floors, keep
):
    """Add a band to the upper bounds of pairs, and mark those that still reach a floor.

    sums (p, C) products of steps; upper (p, 2) bounds without what the rest can add and each (p, C)
    what the bands add to the products of channels, with the bounds of their rounding, updated;
    band_mine (w, 5 C) and band_theirs (5 C, t): norm of the band, norm of the rest after
    it, norm of the rounding, step, and 128 times the sum of the steps (of queries).
    """
    channels = sums.shape[1]
    for p in range(len(left)):
        j, i = left[p], right[p]
        gain_whole, gain_mean, rest_whole, rest_mean = 0.0, 0.0, 0.0, 0.0
        for c in range(channels):
            weight = np.float64(mine[i, c]) * theirs[c, j]
            value = sums[p, c] - band_mine[i, 4 * channels + c]
            value *= band_mine[i, 3 * channels + c] * band_theirs[3 * channels + c, j]
            norm, error = band_mine[i, c], band_mine[i, 2 * channels + c]
            value += error * band_theirs[c, j]
            value += (norm + error) * band_theirs[2 * channels + c, j]
            rest = band_mine[i, channels + c] * band_theirs[channels + c, j]
            each[p, c] += value
            gain_mean += value
            rest_mean += rest
            gain_whole += weight * value
            rest_whole += weight * rest
        divisor = np.float64(channels)
        if mixed:
            divisor = np.float64(_shared(mine, theirs, channels, i, j))
        upper[p, 0] += gain_whole
        upper[p, 1] += gain_mean / divisor
        keep[p] = (
            upper[p, 0] + rest_whole >= floors[i, 0]
            or upper[p, 1] + rest_mean / divisor >= floors[i, 1]
        )


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _float_dot(a, b):
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@numba.njit(nogil=True, cache=True)
def bound_channels(low, others, left, right, mine, theirs, band_mine, band_theirs, margin, each):
    """Complete the upper bounds of each channel's product, each (p, C), after the last band.

    low (C, w, K) of the queries and others (t, C, K) of the references, float32; the last band's
    terms as in `select_again`.
    """
    channels = each.shape[1]
    for p in range(len(left)):
        j, i = left[p], right[p]
        for c in range(channels):
            value = np.float64(_float_dot(low[c, i], others[j, c])) + margin
            value += mine[i, 3 * channels + c] + theirs[3 * channels + c, j]
            each[p, c] += value + band_mine[i, channels + c] * band_theirs[channels + c, j]


@numba.njit(nogil=True, cache=True)
def narrow(
    sums, c, moments, other_moments, pixels, left, right, each, mine, theirs, floors, margin, keep
):
    """Put one channel's exact correlation in the place of its bound; mark what reaches a floor.

    sums (p, C) inner products of pixels, of which column c is done; moments (w, C, 2) of the
    queries, other_moments (t, C, 2); floors (w, 2).
    """
    channels = each.shape[1]
    for p in range(len(left)):
        j, i = left[p], right[p]
        total, squares = moments[i, c, 0], moments[i, c, 1]
        other, other_squares = other_moments[j, c, 0], other_moments[j, c, 1]
        variance = np.float64(pixels * squares - total * total)
        other_variance = np.float64(pixels * other_squares - other * other)
        each[p, c] = 0.0
        if variance > 0 and other_variance > 0:
            covariance = np.float64(pixels * sums[p, c] - total * other)
            each[p, c] = covariance / (np.sqrt(variance) * np.sqrt(other_variance))
        whole, mean, shared = 0.0, 0.0, 0.0
        for k in range(channels):
            weight = np.float64(mine[i, k]) * theirs[k, j]
            whole += weight * each[p, k]
            whole += np.float64(mine[i, channels + k]) * theirs[channels + k, j]
            mean += each[p, k]
            shared += mine[i, 4 * channels + k] * theirs[4 * channels + k, j]
        keep[p] = whole + margin >= floors[i, 0] or mean / max(shared, 1.0) + margin >= floors[i, 1]
