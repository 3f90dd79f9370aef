"""Slow and obvious: correlations and searches one pair at a time, in plain loops.

Nothing here is shared with the package but the names of the transforms.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

# What each transform does: new[i, j] = old[f(i, j)] for an H x W image.
SOURCE_OF = {
    "identity": lambda i, j, h, w: (i, j),
    "flip_h": lambda i, j, h, w: (i, w - 1 - j),
    "flip_v": lambda i, j, h, w: (h - 1 - i, j),
    "rot180": lambda i, j, h, w: (h - 1 - i, w - 1 - j),
    "transpose": lambda i, j, h, w: (j, i),
    "antitranspose": lambda i, j, h, w: (h - 1 - j, w - 1 - i),
    "rot90": lambda i, j, h, w: (j, w - 1 - i),
    "rot270": lambda i, j, h, w: (h - 1 - j, i),
}
ORDER = (
    "identity",
    "flip_h",
    "flip_v",
    "rot90",
    "rot180",
    "rot270",
    "transpose",
    "antitranspose",
)
KEEPS_SHAPE = ("identity", "flip_h", "flip_v", "rot180")


def turn(image, name):
    """Apply a transform pixel by pixel."""
    _, h, w = image.shape
    rows, columns = (h, w) if name in KEEPS_SHAPE else (w, h)
    out = np.empty((image.shape[0], rows, columns), dtype=image.dtype)
    for i in range(rows):
        for j in range(columns):
            out[:, i, j] = image[(slice(None), *SOURCE_OF[name](i, j, h, w))]
    return out


def pearson(x, y):
    """Textbook correlation of two lists of numbers by math.fsum; None if one is constant."""
    x, y = [float(v) for v in np.ravel(x)], [float(v) for v in np.ravel(y)]
    if min(x) == max(x) or min(y) == max(y):
        return None
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    dx, dy = [v - mean_x for v in x], [v - mean_y for v in y]
    xy = math.fsum(a * b for a, b in zip(dx, dy, strict=True))
    xx, yy = math.fsum(a * a for a in dx), math.fsum(b * b for b in dy)
    return xy / math.sqrt(xx) / math.sqrt(yy)


def exact_square(x, y):
    """Return sign(r) r**2 as a fraction, from Python integers: no rounding at all."""
    x, y = [int(v) for v in np.ravel(x)], [int(v) for v in np.ravel(y)]
    n = len(x)
    cov = n * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)
    var = (n * sum(a * a for a in x) - sum(x) ** 2) * (n * sum(b * b for b in y) - sum(y) ** 2)
    return None if var == 0 else Fraction(cov * abs(cov), var)


def both(first, second):
    """Return (r_cat, r_ch), None where undefined."""
    channels = [pearson(a, b) for a, b in zip(first, second, strict=True)]
    present = [r for r in channels if r is not None]
    varies = all(any(c.min() != c.max() for c in image) for image in (first, second))
    whole = pearson(first, second) if varies else None
    return whole, (sum(present) / len(present) if present else None)


def edge(number, length, count):
    """Where block `number` of `count` begins."""
    if 2 * number <= count:
        return number * length // count
    return length - (count - number) * length // count


def blocks(image, grid):
    """Block means by loops; edges at floor(i H / rows) in the first half, mirrored in the other."""
    c, h, w = image.shape
    rows, columns = min(h, grid), min(w, grid)
    out = np.empty((c, rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, bottom = edge(i, h, rows), edge(i + 1, h, rows)
            left, right = edge(j, w, columns), edge(j + 1, w, columns)
            for k in range(c):
                values = [float(v) for v in image[k, top:bottom, left:right].ravel()]
                out[k, i, j] = math.fsum(values) / len(values)
    return out


def all_pairs(queries, references, transforms=ORDER):
    """Compare everything.

    Returns a dict: (query, reference, transform) -> (r_cat, r_ch).
    """
    square = queries.shape[2] == queries.shape[3]
    used = [t for t in transforms if square or t in KEEPS_SHAPE]
    table = {}
    for q, query in enumerate(queries):
        for name in used:
            turned = turn(query, name)
            for m, reference in enumerate(references):
                table[q, m, name] = both(turned, reference)
    return table


def rank(table, query, which, *, keep=lambda reference: True):
    """Best transform of each reference, then references best first; ties as documented."""
    best = {}
    for (q, m, name), values in table.items():
        if q != query or values[which] is None or not keep(m):
            continue
        key = (-values[which], ORDER.index(name))
        if m not in best or key < best[m]:
            best[m] = key
    return sorted((negative, m, t) for m, (negative, t) in best.items())
