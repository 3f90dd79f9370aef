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

from likeness.search.filter.sizes import STEP

WIDE = bool(binding.get_host_cpu_features().get("avx512vnni", False))
"""Whether the processor multiplies and adds 64 pairs of bytes in one instruction."""


def _wide_dots(rows: int, columns: int) -> Any:
    """Return a function that multiplies `rows` rows of unsigned with 1 or 2 of signed bytes.

    ``f(a, starts, b, start, other_start, count, sums, other_sums, group, e)`` adds to
    sums[e + k, group] the sum over i of a[starts[e + k] + i] b[start + i], for `count` bytes, a
    multiple of 128; with two columns also to other_sums, with other_start.

    Two columns read each row once for both: what a core waits for are the rows.
    """
    steps = 3 - columns

    @intrinsic
    def dots(
        typing_context: Any,
        a: Any,
        starts: Any,
        b: Any,
        start: Any,
        other_start: Any,
        count: Any,
        sums: Any,
        other_sums: Any,
        group: Any,
        e: Any,
    ) -> Any:
        index = types.intp
        signature = types.void(a, starts, b, index, index, index, sums, other_sums, index, index)

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
            entry = arguments[9]
            left = [
                builder.gep(
                    data, [builder.load(builder.gep(first, [builder.add(entry, number(k))]))]
                )
                for k in range(rows)
            ]
            signed = builder.bitcast(proxy(2).data, byte.as_pointer())
            right = [builder.gep(signed, [arguments[3 + k]]) for k in range(columns)]
            multiply = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(lanes, [lanes, row, row]),
                "llvm.x86.avx512.vpdpbusd.512",
            )
            zero = ir.Constant(lanes, [0] * 16)
            totals = {
                (k, q, u): cgutils.alloca_once_value(builder, zero)
                for k in range(rows)
                for q in range(columns)
                for u in range(steps)
            }
            step = number(64 * steps)
            with cgutils.for_range_slice(builder, number(0), arguments[5], step, inc=True) as (
                i,
                _,
            ):
                for u in range(steps):
                    offset = builder.add(i, number(64 * u))
                    others = [load(base, offset) for base in right]
                    for k, base in enumerate(left):
                        here = load(base, offset)
                        for q, other in enumerate(others):
                            total = totals[k, q, u]
                            value = builder.call(multiply, [builder.load(total), here, other])
                            builder.store(value, total)
            reduce = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(word, [lanes]), "llvm.vector.reduce.add.v16i32"
            )
            for q in range(columns):
                out = proxy(6 + q)
                width = builder.extract_value(out.shape, 1)
                for k in range(rows):
                    total = builder.load(totals[k, q, 0])
                    for u in range(1, steps):
                        total = builder.add(total, builder.load(totals[k, q, u]))
                    whole = builder.sext(builder.call(reduce, [total]), size)
                    line = builder.mul(builder.add(entry, number(k)), width)
                    place = builder.gep(out.data, [builder.add(line, arguments[8])])
                    builder.store(builder.add(builder.load(place), whole), place)
            return context.get_dummy_value()

        return signature, generate

    return dots


@intrinsic
def _copy(typing_context: Any, to: Any, start: Any, source: Any, first: Any, count: Any) -> Any:
    """Copy bytes between two arrays: to[start + i] = source[first + i], both taken as flat.

    Numba copies slices one item at a time.
    """
    signature = types.void(to, types.intp, source, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        places = [
            builder.gep(
                builder.bitcast(
                    cgutils.create_struct_proxy(signature.args[k])(
                        context, builder, arguments[k]
                    ).data,
                    byte,
                ),
                [arguments[k + 1]],
            )
            for k in (0, 2)
        ]
        cgutils.raw_memcpy(builder, *places, arguments[4], 1)
        return context.get_dummy_value()

    return signature, generate


@numba.njit(nogil=True, cache=True, inline="always")
def _plain_dot(a, a_start, b, b_start, count):  # type: ignore[no-untyped-def]
    total = np.int32(0)
    for i in range(count):
        total += np.int32(a[a_start + i]) * np.int32(b[b_start + i])
    return total


if WIDE:
    _four, _two, _one = _wide_dots(4, 1), _wide_dots(2, 1), _wide_dots(1, 1)
    _four_both, _two_both, _one_both = _wide_dots(4, 2), _wide_dots(2, 2), _wide_dots(1, 2)

    @numba.njit(nogil=True, cache=True)
    def _products(a, starts, b, start, other, count, sums, other_sums, group, first, stop):
        whole = count // STEP * STEP
        e = first
        if whole and other < 0:
            while e + 4 <= stop:
                _four(a, starts, b, start, 0, whole, sums, other_sums, group, e)
                e += 4
            while e + 2 <= stop:
                _two(a, starts, b, start, 0, whole, sums, other_sums, group, e)
                e += 2
            while e < stop:
                _one(a, starts, b, start, 0, whole, sums, other_sums, group, e)
                e += 1
        elif whole:
            while e + 4 <= stop:
                _four_both(a, starts, b, start, other, whole, sums, other_sums, group, e)
                e += 4
            while e + 2 <= stop:
                _two_both(a, starts, b, start, other, whole, sums, other_sums, group, e)
                e += 2
            while e < stop:
                _one_both(a, starts, b, start, other, whole, sums, other_sums, group, e)
                e += 1
        if whole < count:
            rest = count - whole
            for e in range(first, stop):
                sums[e, group] += _plain_dot(a, starts[e] + whole, b, start + whole, rest)
                if other >= 0:
                    other_sums[e, group] += _plain_dot(a, starts[e] + whole, b, other + whole, rest)

else:

    @numba.njit(nogil=True, cache=True)
    def _products(a, starts, b, start, other, count, sums, other_sums, group, first, stop):
        for e in range(first, stop):
            sums[e, group] += _plain_dot(a, starts[e], b, start, count)
            if other >= 0:
                other_sums[e, group] += _plain_dot(a, starts[e], b, other, count)


@numba.njit(nogil=True, cache=True)
def _jobs(left, right, tile, rows, first_pair, second_pair, jobs):
    """Join the pairs of two queries that follow each other where they share enough references.

    left, right: the pairs, by tile, then query, then reference. Writes for every entry its
    reference (`rows`) and the pairs it stands for, -1 for none; and for every job (n, 5) its first
    entry, where it ends, one or two queries (-1 for none), and the first reference of its tile.
    Returns how many jobs.
    """
    pairs, count, entry, first = len(left), 0, 0, 0
    while first < pairs:
        tile_row = left[first] // tile * tile
        query, stop = right[first], first + 1
        while stop < pairs and right[stop] == query and left[stop] < tile_row + tile:
            stop += 1
        end = stop
        if stop < pairs and left[stop] >= tile_row and left[stop] < tile_row + tile:
            end = stop + 1
            while end < pairs and right[end] == right[stop] and left[end] < tile_row + tile:
                end += 1
        begin, p, q = entry, first, stop
        while p < stop or q < end:
            row = tile_row + tile
            if p < stop:
                row = left[p]
            if q < end:
                row = min(row, left[q])
            rows[entry], first_pair[entry], second_pair[entry] = row, -1, -1
            if p < stop and left[p] == row:
                first_pair[entry] = p
                p += 1
            if q < end and left[q] == row:
                second_pair[entry] = q
                q += 1
            entry += 1
        jobs[count, 0], jobs[count, 2], jobs[count, 4] = begin, query, tile_row
        if end > stop and 5 * (entry - begin) <= 4 * (end - first):
            jobs[count, 1], jobs[count, 3] = entry, right[stop]
            first = end
        else:  # too little in common: the first alone
            entry = begin
            for p in range(first, stop):
                rows[entry], first_pair[entry], second_pair[entry] = left[p], p, -1
                entry += 1
            jobs[count, 1], jobs[count, 3] = entry, -1
            first = stop
        count += 1
    return count


@numba.njit(nogil=True, cache=True)
def pair_products(references, queries, chunks, group, left, right, tile, out):
    """Add up products of bytes for chosen pairs.

    references (m, P) unsigned, contiguous, and queries (n, w, S) signed; `chunks` (n, 4) where the
    chunks of a reference lie: first byte, number of lines, bytes of a line, and from one line to
    the next; those of a query lie packed, with zeros behind. `group` (n,) which sum a chunk belongs
    to; pair p is reference left[p] and query right[p]; out (pairs, groups) int64. Pairs must come
    by tiles of `tile` references, then by query, then by reference.

    Chunks come outermost, so that those of the queries stay in the cache. Those of a tile's
    references are first copied side by side: a whole image apart they would crowd each other out of
    the few places that a cache has for such addresses. A chunk is at most 65,536 bytes: its sum
    stays below 2**31.
    """
    width, stride, row_bytes = queries.shape[1], queries.shape[2], references.shape[1]
    flat = queries.reshape(-1)
    pairs = len(left)
    rows = np.empty(2 * pairs, dtype=np.int64)
    first_pair, second_pair = np.empty(2 * pairs, np.int64), np.empty(2 * pairs, np.int64)
    jobs = np.empty((pairs, 5), dtype=np.int64)
    count = _jobs(left, right, tile, rows, first_pair, second_pair, jobs)
    entries = jobs[count - 1, 1] if count else 0
    starts = np.empty(entries, dtype=np.int64)
    sums = np.zeros((entries, out.shape[1]), dtype=np.int64)
    other_sums = np.zeros((entries, out.shape[1]), dtype=np.int64)
    near = np.empty(tile * stride, dtype=np.uint8)
    copied, token = np.zeros(tile, dtype=np.int64), 0
    for job in range(count):
        for e in range(jobs[job, 0], jobs[job, 1]):
            starts[e] = (rows[e] - jobs[job, 4]) * stride
    for k in range(len(chunks)):
        place, lines, line, step = chunks[k]
        size = lines * line
        padded = min((size + STEP - 1) // STEP * STEP, stride)
        here = -1
        for job in range(count):
            if jobs[job, 4] != here:
                here = jobs[job, 4]
                token += 1
            for e in range(jobs[job, 0], jobs[job, 1]):
                if copied[rows[e] - here] != token:
                    copied[rows[e] - here] = token
                    source = rows[e] * row_bytes + place
                    for i in range(lines):
                        _copy(near, starts[e] + i * line, references, source + i * step, line)
                    for i in range(starts[e] + size, starts[e] + padded):
                        near[i] = 0
            other = -1
            if jobs[job, 3] >= 0:
                other = (k * width + jobs[job, 3]) * stride
            _products(
                near, starts, flat, (k * width + jobs[job, 2]) * stride, other, padded, sums,
                other_sums, group[k], jobs[job, 0], jobs[job, 1],
            )  # fmt: skip
    for e in range(entries):
        if first_pair[e] >= 0:
            out[first_pair[e]] += sums[e]
        if second_pair[e] >= 0:
            out[second_pair[e]] += other_sums[e]


def self_test(rng: np.random.Generator) -> bool:
    """Tell whether products of bytes are right on this processor."""
    for m, w, size in ((1, 1, 1), (3, 5, 255), (4, 2, 256), (2, 3, 1000), (2, 2, 65_536)):
        for low, high in ((0, 256), (255, 256)):
            references = rng.integers(low, high, (m, size), dtype=np.uint8)
            queries = rng.integers(-128, 128, (1, w, size), dtype=np.int8)
            if low:
                queries[:] = -128
            right, left = (x.ravel() for x in np.indices((w, m)))
            out = np.zeros((m * w, 1), dtype=np.int64)
            pair_products(
                references, queries, np.array([[0, 1, size, 0]]), np.zeros(1, np.int64),
                left.astype(np.int64), right.astype(np.int64), m, out,
            )  # fmt: skip
            expected = queries[0].astype(np.int64) @ references.astype(np.int64).T
            if (out[:, 0] != expected.ravel()).any():
                return False
    return True
