"""Compiled: products of bytes for chosen pairs.

With AVX-512 VNNI one instruction multiplies and adds 64 pairs of bytes; without it, plain loops are
what the compiler makes vector code of. Both give whole numbers, so both give the same.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

WIDE = bool(binding.get_host_cpu_features().get("avx512vnni", False))
"""Whether the processor multiplies and adds 64 pairs of bytes in one instruction."""
_AT_ONCE = 2
"""Sums of a pair that grow side by side, so that no instruction waits for the one before."""
_BLOCK = 64 * _AT_ONCE
"""Bytes per step of the wide loop."""


def _wide_dots(rows: int) -> Any:
    """Return a function that multiplies `rows` rows of unsigned bytes with one of signed bytes.

    ``f(a, starts, b, start, count, out, group, p)`` adds to out[p + k, group] the sum over i of
    a[starts[p + k] + i] b[start + i], for `count` bytes, a multiple of 128.
    """

    @intrinsic
    def dots(
        typing_context: Any,
        a: Any,
        starts: Any,
        b: Any,
        start: Any,
        count: Any,
        out: Any,
        group: Any,
        p: Any,
    ) -> Any:
        size_type = types.intp
        signature = types.void(a, starts, b, size_type, size_type, out, size_type, size_type)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            byte, word, size = ir.IntType(8), ir.IntType(32), ir.IntType(64)
            lanes, row = ir.VectorType(word, 16), ir.VectorType(byte, 64)

            def number(value: int) -> Any:
                return ir.Constant(size, value)

            def proxy(k: int) -> Any:
                return cgutils.create_struct_proxy(signature.args[k])(
                    context, builder, arguments[k]
                )

            def load(base: Any, offset: Any) -> Any:
                place = builder.bitcast(builder.gep(base, [offset]), row.as_pointer())
                value = builder.load(place)
                value.align = 1
                return value

            data, first = builder.bitcast(proxy(0).data, byte.as_pointer()), proxy(1).data
            bases = [
                builder.gep(
                    data, [builder.load(builder.gep(first, [builder.add(arguments[7], number(k))]))]
                )
                for k in range(rows)
            ]
            other = builder.gep(builder.bitcast(proxy(2).data, byte.as_pointer()), [arguments[3]])
            multiply = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(lanes, [lanes, row, row]),
                "llvm.x86.avx512.vpdpbusd.512",
            )
            zero = ir.Constant(lanes, [0] * 16)
            sums = [
                [cgutils.alloca_once_value(builder, zero) for _ in range(_AT_ONCE)] for _ in bases
            ]
            step = number(64 * _AT_ONCE)
            with cgutils.for_range_slice(builder, number(0), arguments[4], step, inc=True) as (
                i,
                _,
            ):
                for u in range(_AT_ONCE):
                    offset = builder.add(i, number(64 * u))
                    right = load(other, offset)
                    for base, totals in zip(bases, sums, strict=True):
                        value = builder.call(
                            multiply, [builder.load(totals[u]), load(base, offset), right]
                        )
                        builder.store(value, totals[u])
            reduce = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(word, [lanes]), "llvm.vector.reduce.add.v16i32"
            )
            columns = builder.extract_value(proxy(5).shape, 1)
            for k, totals in enumerate(sums):
                total = builder.load(totals[0])
                for value in totals[1:]:
                    total = builder.add(total, builder.load(value))
                whole = builder.sext(builder.call(reduce, [total]), size)
                line = builder.mul(builder.add(arguments[7], number(k)), columns)
                place = builder.gep(proxy(5).data, [builder.add(line, arguments[6])])
                builder.store(builder.add(builder.load(place), whole), place)
            return context.get_dummy_value()

        return signature, generate

    return dots


@numba.njit(nogil=True, cache=True, inline="always")
def _plain_dot(a, a_start, b, b_start, count):  # type: ignore[no-untyped-def]
    total = np.int32(0)
    for i in range(count):
        total += np.int32(a[a_start + i]) * np.int32(b[b_start + i])
    return total


if WIDE:
    _four, _two, _one = _wide_dots(4), _wide_dots(2), _wide_dots(1)

    @numba.njit(nogil=True, cache=True)
    def _products(a, starts, b, start, count, out, group, first, stop):  # type: ignore[no-untyped-def]
        whole = count // _BLOCK * _BLOCK
        p = first
        if whole:
            while p + 4 <= stop:
                _four(a, starts, b, start, whole, out, group, p)
                p += 4
            while p + 2 <= stop:
                _two(a, starts, b, start, whole, out, group, p)
                p += 2
            while p < stop:
                _one(a, starts, b, start, whole, out, group, p)
                p += 1
        if whole < count:
            for p in range(first, stop):
                out[p, group] += _plain_dot(a, starts[p] + whole, b, start + whole, count - whole)

else:

    @numba.njit(nogil=True, cache=True)
    def _products(a, starts, b, start, count, out, group, first, stop):  # type: ignore[no-untyped-def]
        for p in range(first, stop):
            out[p, group] += _plain_dot(a, starts[p], b, start, count)


@numba.njit(nogil=True, cache=True)
def pair_products(  # type: ignore[no-untyped-def]
    references, queries, edges, group, left, right, out
):
    """Add up products of bytes for chosen pairs.

    references (m * P,) unsigned and queries (chunks, w, S) signed; `edges` (chunks + 1,) where the
    chunks of a reference begin; `group` (chunks,) which sum a chunk belongs to; pair p is reference
    left[p] and query right[p]; out (pairs, groups) int64. Pairs of one query in a row are faster.

    Chunks come outermost, so that those of the queries stay in the cache. A chunk is at most 65,536
    bytes: its sum stays below 2**31.
    """
    chunks = len(edges) - 1
    size = edges[chunks]
    width, stride = queries.shape[1], queries.shape[2]
    flat = queries.reshape(-1)
    pairs = len(left)
    starts = np.empty(pairs, dtype=np.int64)
    for k in range(chunks):
        for p in range(pairs):
            starts[p] = left[p] * size + edges[k]
        first = 0
        while first < pairs:
            query = right[first]
            stop = first + 1
            while stop < pairs and right[stop] == query:
                stop += 1
            _products(
                references, starts, flat, (k * width + query) * stride,
                edges[k + 1] - edges[k], out, group[k], first, stop,
            )  # fmt: skip
            first = stop


def self_test(rng: np.random.Generator) -> bool:
    """Tell whether products of bytes are right on this processor."""
    for m, w, size in ((1, 1, 1), (3, 5, 255), (4, 2, 256), (2, 3, 1000), (2, 2, 65_536)):
        for low, high in ((0, 256), (255, 256)):
            references = rng.integers(low, high, (m, size), dtype=np.uint8)
            queries = rng.integers(-128, 128, (1, w, size), dtype=np.int8)
            if low:
                queries[:] = -128
            left, right = (x.ravel() for x in np.indices((m, w)))
            out = np.zeros((m * w, 1), dtype=np.int64)
            pair_products(
                references.reshape(-1), queries, np.array([0, size]), np.zeros(1, np.int64),
                left.astype(np.int64), right.astype(np.int64), out,
            )  # fmt: skip
            expected = references.astype(np.int64) @ queries[0].astype(np.int64).T
            if (out[:, 0] != expected.ravel()).any():
                return False
    return True
