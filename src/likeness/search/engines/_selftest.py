"""Tell whether every product of an engine is right on this processor.

A library can choose a kernel by processor, and a kernel can be wrong on one of them without a word.
So an engine has to multiply random and worst-case blocks before it is used, and any wrong product
rules it out. The truth comes from int64 arithmetic without a matrix library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.search.engines._base import LoadingEngine
from likeness.types import Integers

if TYPE_CHECKING:
    from likeness.search.engines._base import Bytes, Engine

_SHAPES: Final = (
    (1, 1, 1),
    (3, 5, 7),
    (17, 16, 16),
    (17, 64, 1_025),
    (33, 9, 16_387),
    (2, 3, 65_536),
    (1, 1, 66_100),
)
"""Rows, packed rows, length: odd remainders, the least that tensor cores take (pytorch#107671),
more than one piece, the longest channel, and a sum of squares that fills more than 32 bits."""


def self_test(engine: Engine) -> str | None:
    """Multiply and add up known blocks.

    Returns
    -------
    str or None
        What is wrong; None if all products are exact.
    """
    rng = np.random.default_rng(20_250_131)
    values = np.arange(256, dtype=np.uint8)[:, None]
    if problem := _compare(engine, values, values):
        return f"{problem} (every pair of bytes)"
    for m, n, length in _SHAPES:
        apart = rng.integers(0, 256, (m, length + 3), dtype=np.uint8)
        blocks: dict[str, tuple[Bytes, Bytes]] = {
            "random": (apart[:, :length], rng.integers(0, 256, (n, length), dtype=np.uint8)),
            "all 255": (_filled(m, length, 255, 255), _filled(n, length, 255, 255)),
            "all 0": (_filled(m, length, 0, 0), _filled(n, length, 255, 255)),
            "alternating 0 and 255": (_filled(m, length, 0, 255), _filled(n, length, 255, 0)),
            "alternating 255 and 128": (_filled(m, length, 255, 128), _filled(n, length, 127, 255)),
            "255 times 0": (_filled(m, length, 255, 255), _filled(n, length, 0, 0)),
        }
        for kind, (rows, others) in blocks.items():
            problem = _compare(engine, rows, others)
            if problem:
                return f"{problem} ({kind}, {m} x {n} x {length})"
    return None


def exact_products(rows: Bytes, others: Bytes) -> Integers:
    """Return products the slow and obvious way, (m, n) int64."""
    wide = rows.astype(np.int64)
    return np.stack([(wide * other.astype(np.int64)).sum(axis=1) for other in others], axis=1)


def _compare(engine: Engine, rows: Bytes, others: Bytes) -> str | None:
    try:
        packed = engine.pack(others)
        tables = [np.asarray(engine.products(rows, packed))]
        if isinstance(engine, LoadingEngine):
            tables.append(np.asarray(engine.products(engine.load(rows), packed)))
    except Exception as error:  # noqa: BLE001 - whatever a foreign library raises rules it out
        return f"it raised {type(error).__name__}: {error}"
    if problem := _compare_moments(engine, others):
        return problem
    expected = exact_products(rows, others)
    for got in tables:
        if got.shape != expected.shape:
            return f"shape {got.shape} instead of {expected.shape}"
        if wrong := int(np.count_nonzero(got != expected)):
            return f"{wrong} of {expected.size} products are wrong"
    return None


def _compare_moments(engine: Engine, rows: Bytes) -> str | None:
    for row in rows:
        wide = row.astype(np.int64)
        expected = int(wide.sum()), int((wide * wide).sum())
        try:
            got = tuple(engine.moments(row))
        except Exception as error:  # noqa: BLE001
            return f"it raised {type(error).__name__}: {error}"
        if got != expected:
            return f"sum and sum of squares {got} instead of {expected}"
    return None


def _filled(rows: int, length: int, even: int, odd: int) -> Bytes:
    block = np.full((rows, length), even, dtype=np.uint8)
    block[:, 1::2] = odd
    return block
