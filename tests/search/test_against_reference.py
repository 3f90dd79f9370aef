"""The search gives what plain loops over all pairs give."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import correlation as reference
from tests.search.sources import Source, some_images

from likeness.search import SearchOptions, search
from likeness.similarity import apply_transform
from likeness.types import TRANSFORMS

TOLERANCE = 1e-9


def check_against_reference(queries, references, codes, options, query_groups=None, engine="numpy"):
    """Compare every list of a search with the loops.

    Values must agree; where the loops see a clear order, indices and transforms must too. Among
    candidates whose correlations differ by less than the rounding of the loops, any may be chosen
    here: exact ties have tests of their own.
    """
    result = search(
        Source(queries),
        Source(references, codes),
        options=options,
        engine=engine,
        threads=2,
        query_groups=query_groups,
    )
    table = reference.all_pairs(queries, references, options.transforms)
    codes = np.asarray(codes)
    for q in range(len(queries)):

        def keep(m, q=q):
            return query_groups is None or codes[m] != query_groups[q]

        for which, (top, patients) in enumerate(
            [(result.top, result.patients), (result.top_mean, result.patients_mean)]
        ):
            name = ("correlation", "correlation_mean")[which]
            ranked = reference.rank(table, q, which, keep=keep)
            compare(top, name, q, ranked[: options.top_k], table, which)
            firsts = {}
            for entry in ranked:
                firsts.setdefault(codes[entry[1]], entry)
            compare(patients, name, q, list(firsts.values())[: options.top_patients], table, which)
            listed = patients.reference_index[q]
            own = patients.patient_code[q]
            assert (own[listed >= 0] == codes[listed[listed >= 0]]).all()
            assert (own[listed < 0] == -1).all()
            assert len(set(own[own >= 0])) == (own >= 0).sum()

            plain = {k: v for k, v in table.items() if k[2] == "identity"}
            best = reference.rank(plain, q, which, keep=keep)
            value = (result.identity, result.identity_mean)[which][q]
            index = (result.identity_index, result.identity_mean_index)[which][q]
            if best:
                assert value == pytest.approx(-best[0][0], abs=TOLERANCE)
                assert plain[q, index, "identity"][which] == pytest.approx(value, abs=TOLERANCE)
            else:
                assert np.isnan(value)
                assert index == -1

    for source, undefined in (
        (queries, result.undefined_queries),
        (references, result.undefined_references),
    ):
        for image, flag in zip(source, undefined, strict=True):
            assert flag == all(c.min() == c.max() for c in image)
    return result, table


def compare(top, name, q, expected, table, which):
    values = getattr(top, name)[q]
    present = top.reference_index[q] >= 0
    assert present.sum() == len(expected)
    assert np.isnan(values[~present]).all()
    assert (top.transform[q][~present] == -1).all()
    assert (np.diff(values[present]) <= 0).all()
    for rank, (negative, m, transform) in enumerate(expected):
        found = int(top.reference_index[q, rank])
        turned = TRANSFORMS[top.transform[q, rank]]
        assert values[rank] == pytest.approx(-negative, abs=TOLERANCE)
        assert table[q, found, turned][which] == pytest.approx(values[rank], abs=TOLERANCE)
        other = table[q, found, turned][1 - which]
        got = (top.correlation_mean, top.correlation)[which][q, rank]
        assert np.isnan(got) if other is None else got == pytest.approx(other, abs=TOLERANCE)
        alone = all(
            abs(r[which] + negative) > TOLERANCE
            for (i, j, t), r in table.items()
            if i == q and r[which] is not None and (j, t) != (m, reference.ORDER[transform])
        )
        if alone:
            assert (found, turned) == (m, reference.ORDER[transform])


CASES = [
    ("uint8", (2, 6, 6)),
    ("uint8", (3, 7, 5)),
    ("uint8", (1, 9, 9)),
    ("uint8", (1, 4, 4)),
    ("uint16", (2, 6, 6)),
    ("int16", (2, 5, 5)),
    ("float32", (2, 6, 6)),
    ("float32", (3, 7, 5)),
    ("float64", (2, 5, 5)),
    ("float16", (1, 6, 6)),
    ("int32", (1, 6, 6)),
]


@pytest.mark.parametrize(("dtype", "shape"), CASES)
def test_every_list_agrees(dtype, shape):
    """All lists, both correlations, with ties, duplicates and constants among them."""
    rng = np.random.default_rng(7)
    queries = some_images(rng, 5, shape, dtype)
    references = some_images(rng, 30, shape, dtype)
    references[4] = queries[1]
    references[9] = apply_transform(queries[2], "flip_v")
    references[11] = references[4]
    references[13] = 7  # constant
    queries[4] = 2
    if shape[0] > 1:
        references[17, 0] = 3  # one channel constant
        queries[3, 0] = 5
    codes = np.concatenate([np.arange(8), rng.integers(0, 8, 22)])
    options = SearchOptions(top_k=6, top_patients=4)
    result, _ = check_against_reference(queries, references, codes, options)
    assert result.undefined_queries.tolist() == [False, False, False, False, True]
    assert result.top.reference_index[1, :2].tolist() == [4, 11]
    assert result.num_pairs == 4 * 29


@pytest.mark.parametrize("chunk", range(8))
def test_random_small_problems(chunk):
    """A thousand random small problems, 125 in each part; the highest correlations agree."""
    rng = np.random.default_rng(1_000 + chunk)
    for _ in range(125):
        dtype = rng.choice(["uint8", "uint16", "int16", "float32", "float64"])
        shape = tuple(int(n) for n in rng.integers(1, [4, 5, 5]))
        if shape[1] * shape[2] < 2:
            shape = (shape[0], 2, 2)
        images = awkward_images(rng, 9, shape, dtype)
        queries, references = images[:2], images[2:]
        codes = np.concatenate([np.arange(3), rng.integers(0, 3, 4)])
        groups = rng.integers(-1, 3, 2) if rng.random() < 0.3 else None
        options = SearchOptions(
            top_k=int(rng.integers(1, 9)),
            top_patients=int(rng.integers(2, 5)),
            transforms=TRANSFORMS if rng.random() < 0.2 else ("identity", "flip_h"),
        )
        check_against_reference(queries, references, codes, options, groups)


def awkward_images(rng, count, shape, dtype):
    """Few levels (ties), duplicates, constants, constant channels, large offsets."""
    levels = int(rng.choice([2, 3, 250]))
    images = rng.integers(0, levels, (count, *shape)).astype(np.float64)
    kind = rng.integers(0, 4)
    if np.dtype(dtype).kind == "f" and kind == 0:
        images = 40 * images + 1e6  # float32 holds 1e6 in steps of 0.06
    if dtype in ("uint16", "int16") and kind == 1:
        images += 30_000
    if kind == 2:
        images[rng.integers(0, count)] = 4
        images[rng.integers(0, count), 0] = 1
    images[rng.integers(0, count)] = images[rng.integers(0, count)]
    return images.astype(dtype)


def test_own_patient_is_never_met():
    """With the own patient left out, even the image itself is not found."""
    rng = np.random.default_rng(3)
    images = some_images(rng, 14, (2, 6, 6), "uint8")
    codes = np.repeat(np.arange(7), 2)
    options = SearchOptions(top_k=5, top_patients=3)
    result, _ = check_against_reference(images, images, codes, options, query_groups=codes)
    assert (codes[result.top.reference_index] != codes[:, None]).all()
    assert result.num_pairs == 14 * 12


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_transform_lays_the_query_on_the_reference(name, dtype):
    """A planted turned copy is found with the transform that undoes the turn."""
    rng = np.random.default_rng(5)
    references = some_images(rng, 12, (2, 12, 12), dtype)
    query = some_images(rng, 1, (2, 12, 12), dtype)
    references[6] = apply_transform(query[0], name)
    result = search(Source(query), Source(references), engine="numpy")
    assert result.top.reference_index[0, 0] == 6
    assert TRANSFORMS[result.top.transform[0, 0]] == name
    assert result.top.correlation[0, 0] == pytest.approx(1, abs=1e-12)


def test_direction():
    """Queries are rows and references are what is found: swapping them is noticed."""
    rng = np.random.default_rng(8)
    queries = some_images(rng, 3, (1, 8, 8), "uint8")
    references = rng.integers(0, 256, (10, 1, 8, 8), dtype=np.uint8)
    references[7] = apply_transform(queries[1], "rot90")
    forward = search(Source(queries), Source(references), engine="numpy")
    assert forward.identity.shape == (3,)
    assert forward.top.reference_index[1, 0] == 7
    assert TRANSFORMS[forward.top.transform[1, 0]] == "rot90"
    backward = search(Source(references), Source(queries), engine="numpy")
    assert backward.top.reference_index[7, 0] == 1
    assert TRANSFORMS[backward.top.transform[7, 0]] == "rot270"


def test_quarter_turns_are_left_out_where_images_are_not_square():
    """Only what keeps the shape is tried, and the result says so."""
    rng = np.random.default_rng(9)
    images = some_images(rng, 4, (1, 6, 8), "uint8")
    result = search(Source(images), Source(images), engine="numpy")
    assert result.transforms == ("identity", "flip_h", "flip_v", "rot180")


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_exact_ties_keep_the_lower_index_and_the_earlier_transform(dtype):
    """Equal references, and a query that is its own mirror image."""
    rng = np.random.default_rng(2)
    half = rng.integers(0, 256, (1, 8, 4))
    query = np.concatenate([half, half[:, :, ::-1]], axis=2).astype(dtype)[None]
    references = some_images(rng, 9, (1, 8, 8), dtype)
    references[[3, 5, 8]] = apply_transform(query[0], "rot90")
    codes = [0, 1, 2, 4, 3, 3, 5, 6, 2]
    result = search(
        Source(query),
        Source(references, codes),
        options=SearchOptions(top_k=4, top_patients=3),
        engine="numpy",
    )
    for top in (result.top, result.top_mean):
        assert top.reference_index[0, :3].tolist() == [3, 5, 8]
        assert [TRANSFORMS[t] for t in top.transform[0, :3]] == ["rot90"] * 3
    for patients in (result.patients, result.patients_mean):
        assert patients.reference_index[0].tolist() == [3, 5, 8]
        assert patients.patient_code[0].tolist() == [4, 3, 2]
