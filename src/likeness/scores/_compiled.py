"""Compiled loops of the scores; importing this imports Numba."""

# ruff: noqa: ANN001, ANN202

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@numba.njit(nogil=True)
def pair_products(queries, references, left, right, out):  # type: ignore[no-untyped-def]
    """Inner products of chosen pairs of vectors of whole numbers, part by part.

    queries (n, S, P) and references (b, S, P) float32 whole numbers; pair p is query left[p] and
    reference right[p]; out (pairs, S) float64. Whatever the order in which a product is added up,
    its partial sums are whole numbers below 2**53: exact.
    """
    parts = queries.shape[1]
    for p in range(len(left)):
        for s in range(parts):
            out[p, s] = _dot(queries[left[p], s], references[right[p], s])


@numba.njit(nogil=True)
def split(values, parts):  # type: ignore[no-untyped-def]
    """Even and odd parts of pictures with even sides.

    values (n, C, H, W) uint16; parts (n, C, 4, H W / 4) float32: rows and columns even-even,
    even-odd, odd-even, odd-odd.
    """
    count, channels, rows, columns = values.shape
    half = columns // 2
    for n in range(count):
        for c in range(channels):
            for i in range(rows // 2):
                for j in range(half):
                    a = np.int32(values[n, c, i, j])
                    b = np.int32(values[n, c, i, columns - 1 - j])
                    d = np.int32(values[n, c, rows - 1 - i, j])
                    e = np.int32(values[n, c, rows - 1 - i, columns - 1 - j])
                    place = i * half + j
                    parts[n, c, 0, place] = a + b + d + e
                    parts[n, c, 1, place] = a - b + d - e
                    parts[n, c, 2, place] = a + b - d - e
                    parts[n, c, 3, place] = a - b - d + e


@numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _short_dot(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@numba.njit(nogil=True)
def tile_products(  # type: ignore[no-untyped-def]
    queries, references, coarse, other_coarse, margin, grid, left, right, limit, out
):
    """Inner products of the tiles of pairs, where a place of them may be good enough.

    queries (n, T, L) and references (b, T, L) int32 whole numbers; coarse (n, T, r) and
    other_coarse (b, T, r) float32 whose product plus margin (n, T) bounds a correlation; grid: rows
    and columns of tiles, and of a place; limit (p,) what the product of g over a place must not
    exceed; out (p, T) float64: products, 0 for tiles that belong to no such place.
    """
    rows, columns, high, across = grid
    one = np.float32(1)
    g = np.empty((rows, columns), dtype=np.float32)
    wanted = np.empty((rows, columns), dtype=np.bool_)
    for p in range(len(left)):
        q, r = left[p], right[p]
        for i in range(rows):
            for j in range(columns):
                t = i * columns + j
                bound = _short_dot(coarse[q, t], other_coarse[r, t]) + margin[q, t]
                bound = min(max(bound, np.float32(0)), one)
                g[i, j] = (one - bound) / (one + bound)
                wanted[i, j] = False
        for i in range(rows - high + 1):
            for j in range(columns - across + 1):
                product = one
                for di in range(high):
                    for dj in range(across):
                        product *= g[i + di, j + dj]
                if product <= limit[p]:
                    for di in range(high):
                        for dj in range(across):
                            wanted[i + di, j + dj] = True
        for i in range(rows):
            for j in range(columns):
                t = i * columns + j
                out[p, t] = _dot(queries[q, t], references[r, t]) if wanted[i, j] else 0.0


@numba.njit(nogil=True)
def cut_tiles(  # type: ignore[no-untyped-def]
    values, factor, offset, tops, lefts, height, width, out
):
    """Cut pictures (n, C, H, W) uint16 into tiles: ``rint(value * factor - offset)``.

    factor, offset (n, C, T); tops, lefts (T,); out (n, T, C * height * width) int32.
    """
    for n in range(values.shape[0]):
        for t in range(len(tops)):
            for c in range(values.shape[1]):
                scale, shift = factor[n, c, t], offset[n, c, t]
                for i in range(height):
                    line = values[n, c, tops[t] + i]
                    target = out[n, t, (c * height + i) * width :]
                    for j in range(width):
                        product = np.float64(line[lefts[t] + j]) * scale
                        target[j] = np.int32(np.rint(product - shift))


def self_test(rng: np.random.Generator) -> bool:
    """Whether what was compiled here gives the right sums."""
    queries = rng.integers(-(2**17), 2**17, (3, 2, 77)).astype(np.float32)
    references = rng.integers(-(2**17), 2**17, (4, 2, 77)).astype(np.float32)
    left, right = np.array([0, 2, 1]), np.array([3, 0, 1])
    out: np.ndarray[Any, np.dtype[np.float64]] = np.empty((3, 2))
    pair_products(queries, references, left, right, out)
    truth = np.einsum(
        "psi,psi->ps", queries[left].astype(np.int64), references[right].astype(np.int64)
    )
    return bool((out == truth).all())
