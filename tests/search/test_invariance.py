"""The result depends on the images and the options alone, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.search.sources import Source, assert_same, some_images

from likeness.search import SearchOptions, available_engines, exact, search
from likeness.search.plan import plan_search
from likeness.similarity import (
    apply_transform,
    correlation,
    correlation_mean,
)
from likeness.types import TRANSFORMS

OPTIONS = SearchOptions(top_k=7, top_patients=5)


def problem(dtype, shape=(2, 12, 12), seed=0):
    """Queries, references with duplicates and constants, patients in mixed order."""
    rng = np.random.default_rng(seed)
    queries = some_images(rng, 13, shape, dtype)
    references = some_images(rng, 50, shape, dtype)
    references[[3, 30, 41]] = queries[2]
    references[17] = 1
    if shape[0] > 1:
        references[22, 0] = 2
        queries[5, 1] = 3
    return queries, references, np.concatenate([np.arange(9), rng.integers(0, 9, 41)])


def with_blocks(monkeypatch, query_block, reference_block, group):
    """Force block sizes."""

    def planned(*arguments, **options):
        plan = plan_search(*arguments, **options)
        return replace(plan, query_block=query_block, reference_block=reference_block, group=group)

    monkeypatch.setattr(exact, "plan_search", planned)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("query_block", "reference_block", "group", "threads"),
    [(13, 50, 13, 1), (1, 1, 1, 1), (5, 7, 2, 2), (13, 16, 3, 3), (4, 50, 4, 2)],
)
def test_blocks_and_threads(monkeypatch, dtype, query_block, reference_block, group, threads):
    """Block sizes and the number of threads change nothing."""
    queries, references, codes = problem(dtype)
    plain = search(Source(queries), Source(references, codes), options=OPTIONS, engine="numpy")
    with_blocks(monkeypatch, query_block, reference_block, group)
    other = search(
        Source(queries), Source(references, codes), options=OPTIONS, engine="numpy", threads=threads
    )
    assert_same(plain, other)


@pytest.mark.parametrize("shape", [(2, 12, 12), (3, 128, 64), (1, 100, 70), (1, 520, 520)])
def test_engines(shape):
    """All engines give the same bits."""
    queries, references, codes = problem("uint8", shape)
    options = replace(OPTIONS, transforms=("identity", "flip_v", "rot90"))
    results = [
        search(Source(queries[:3]), Source(references[:20], codes[:20]), options=options, engine=e)
        for e in available_engines()
    ]
    for other in results[1:]:
        assert_same(results[0], other)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_memory_budget(dtype):
    """A small budget needs more passes and gives the same bits."""
    queries, references, codes = problem(dtype, (1, 96, 96))
    first = search(Source(queries), Source(references, codes), options=OPTIONS, engine="numpy")
    least = plan_search(Source(queries[:1]), Source(references[:1], codes[:1]), options=OPTIONS)
    budget = least.needs_bytes + 600_000
    small = search(
        Source(queries),
        Source(references, codes),
        options=OPTIONS,
        engine="numpy",
        memory_bytes=budget,
    )
    assert small.plan.passes > first.plan.passes == 1
    assert_same(first, small)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_order_of_references(dtype):
    """References in another order are found all the same."""
    rng = np.random.default_rng(1)
    queries = some_images(rng, 6, (2, 9, 9), dtype)
    references = rng.permutation(some_images(rng, 40, (2, 9, 9), dtype))
    codes = np.concatenate([np.arange(6), rng.integers(0, 6, 34)])
    order = rng.permutation(40)
    plain = search(Source(queries), Source(references, codes), options=OPTIONS, engine="numpy")
    mixed = search(
        Source(queries), Source(references[order], codes[order]), options=OPTIONS, engine="numpy"
    )
    for name in ("top", "top_mean", "patients", "patients_mean"):
        a, b = getattr(plain, name), getattr(mixed, name)
        assert (a.reference_index == order[b.reference_index]).all()
        assert (a.transform == b.transform).all()
        assert (a.correlation == b.correlation).all()
        assert (a.correlation_mean == b.correlation_mean).all()
    assert (plain.identity_index == order[mixed.identity_index]).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_same_bits_as_the_definition_of_record(dtype):
    """Every correlation in the result is what `likeness.similarity` gives for that pair."""
    queries, references, codes = problem(dtype, (2, 11, 11))
    result = search(Source(queries), Source(references, codes), options=OPTIONS)
    for top in (result.top, result.top_mean, result.patients, result.patients_mean):
        for (q, rank), m in np.ndenumerate(top.reference_index):
            if m < 0:
                continue
            turned = apply_transform(queries[q], TRANSFORMS[top.transform[q, rank]])
            assert top.correlation[q, rank] == correlation(turned, references[m])
            assert top.correlation_mean[q, rank] == correlation_mean(turned, references[m])


def test_largest_pixels():
    """Sums of 65,536 products of 255 x 255 in each of four channels stay exact."""
    images = np.full((3, 4, 256, 256), 255, np.uint8)
    images[0, :, 0, 0] = 254
    images[1, :, 0, 0] = 0
    images[2, :, 255, 255] = 254
    for engine in available_engines():
        result = search(
            Source(images[:1]),
            Source(images),
            options=SearchOptions(transforms=("identity", "rot180")),
            engine=engine,
        )
        assert result.top.reference_index[0, :3].tolist() == [0, 1, 2]
        assert result.top.correlation[0, :3].tolist() == [1.0, 1.0, 1.0]
        assert [TRANSFORMS[t] for t in result.top.transform[0, :3]] == [
            "identity",
            "identity",
            "rot180",
        ]


def test_wide_float_values():
    """Neither huge nor tiny numbers overflow or vanish."""
    rng = np.random.default_rng(4)
    base = rng.random((6, 1, 8, 8))
    for scale in (1e-300, 1e-150, 1e150, 1e300):
        result = search(Source(base[:2] * scale), Source(base), options=OPTIONS, engine="numpy")
        assert result.identity == pytest.approx([1, 1], abs=1e-12)
        assert result.identity_index.tolist() == [0, 1]


def test_constant_of_a_tenth_has_no_correlation():
    """0.1 as float32, with and without rounding noise, is a constant."""
    rng = np.random.default_rng(4)
    images = rng.random((6, 1, 32, 32)).astype(np.float32)
    images[2] = 0.1
    images[3] = np.float32(0.1) * (1 + 6e-8 * rng.integers(0, 2, (1, 32, 32)))
    result = search(Source(images), Source(images), engine="numpy")
    assert result.undefined_queries.tolist() == [False, False, True, True, False, False]
    assert result.undefined_references.tolist() == result.undefined_queries.tolist()
    assert np.isnan(result.top.correlation[2:4]).all()
    assert (result.top.reference_index[2:4] == -1).all()
    assert not np.isin(result.top.reference_index, [2, 3]).any()
    assert np.isfinite(result.identity[[0, 1, 4, 5]]).all()
