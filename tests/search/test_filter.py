"""The filter: the same bits as brute force, and bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

from likeness._progress import SILENT
from likeness.datasets._rows import RowsInMemory
from likeness.errors import OptionError
from likeness.search import SearchOptions, plan_search, search
from likeness.search._block import BlockState, Job
from likeness.search._filtered import coarse_level
from likeness.search.filter import _byte_products, estimates, guessing, kernels, run
from likeness.search.filter import chunks as chunks_module
from likeness.search.filter import window as window_module
from likeness.search.filter.bounds import terms_of
from likeness.search.filter.coarse import CoarseLevel, coarse_of, from_halves, layout_of, make_rows
from likeness.search.filter.queries import Queries
from likeness.search.filter.window import window_of, windows
from likeness.similarity import correlation, correlation_mean, correlation_per_channel
from likeness.similarity.transforms import apply_transform
from likeness.types import TRANSFORMS

from .sources import Source, assert_same, some_images

pytestmark = pytest.mark.skipif(not kernels.available(), reason="Numba is not installed")

OPTIONS = SearchOptions(top_k=7, top_patients=4)


def both(queries, references, options=OPTIONS, **more):
    """Search with the filter and by brute force; they must agree bit for bit."""
    found = [
        search(queries, references, options=options, method=method, **more)
        for method in ("filter", "brute force")
    ]
    assert_same(*found)
    assert [f.plan.method for f in found] == ["filter", "brute force"]
    return found[0]


def problem(shape, seed=0, references=60):
    rng = np.random.default_rng(seed)
    queries = some_images(rng, 9, shape, "uint8")
    others = some_images(rng, references, shape, "uint8")
    others[[3, 30, 41]] = queries[2]
    others[5] = apply_transform(queries[4], "flip_v")
    others[17] = 1
    queries[7] = 200
    if shape[0] > 1:
        others[22, 0] = 2
        queries[5, 1] = 3
    codes = np.concatenate([np.arange(9), rng.integers(0, 9, references - 9)])
    return Source(queries), Source(others, codes)


SHAPES = [(1, 8, 8), (3, 12, 12), (2, 16, 24), (4, 32, 32), (1, 64, 96), (2, 128, 128)]


@pytest.mark.parametrize("shape", SHAPES)
def test_same_as_brute_force(shape):
    """All lists, with ties, copies, turned copies, constant images and constant channels."""
    both(*problem(shape))


@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 64, 64)])
def test_own_patient_left_out(shape):
    """Nobody meets the own images, and the lists are those of brute force."""
    rng = np.random.default_rng(4)
    images = some_images(rng, 40, shape, "uint8")
    codes = np.concatenate([np.arange(8), rng.integers(0, 8, 32)])
    source = Source(images, codes)
    found = both(source, source, query_groups=codes)
    listed = found.top.reference_index
    assert (codes[listed] != codes[:, None])[listed >= 0].all()


def test_random_small_problems():
    """Many small problems: few levels, so that ties are everywhere."""
    rng = np.random.default_rng(11)
    for _ in range(60):
        shape = (int(rng.integers(1, 4)), 4 * int(rng.integers(1, 5)), 4 * int(rng.integers(1, 5)))
        images = rng.integers(0, int(rng.choice([2, 3, 256])), (18, *shape)).astype(np.uint8)
        images[rng.integers(0, 18, 3)] = images[0]
        images[rng.integers(0, 18), 0] = 9
        codes = np.concatenate([np.arange(4), rng.integers(0, 4, 9)])
        own = rng.integers(-1, 4, 5) if rng.random() < 0.3 else None
        options = SearchOptions(
            top_k=int(rng.integers(1, 20)), top_patients=int(rng.integers(2, 6))
        )
        both(Source(images[:5]), Source(images[5:], codes), options, query_groups=own)


@pytest.mark.parametrize("allowance", [-0.5, -0.01, 0.0, 2.5])
def test_a_wrong_guess_changes_nothing(monkeypatch, allowance):
    """Floors guessed far too high are noticed and lowered; far too low costs time only."""
    monkeypatch.setattr(guessing, "ALLOWANCE", allowance)
    queries, references = problem((2, 32, 32), references=200)
    both(queries, references)


@pytest.mark.parametrize(("share", "expected"), [(0.25, 0.25), (-0.1, -0.1), (7.0, 1.0)])
def test_what_rests_share_is_learned_from_pairs(share, expected):
    """A few pairs of a few queries are correlated, and the middle of what they show is taken."""
    rng = np.random.default_rng(0)
    begins = np.arange(0, 40 * 30 + 1, 30)
    values, rests = rng.random((1200, 2)), rng.random((1200, 2)) + 0.01
    left, asked = rng.permutation(1200), []

    def correlate(query, references):
        asked.append((query, len(references)))
        pairs = np.flatnonzero(np.isin(left, references))
        assert (pairs // 30 == query).all()
        odd = np.where(pairs % 10 == 0, 5.0, 1.0)[:, None]  # some are very much alike
        return (values + share * rests)[pairs] * odd

    def learn(begins):
        return guessing._share_of_rests(values, rests, begins, left, 30, correlate)

    assert learn(begins) == pytest.approx([expected, expected])
    assert len(asked) == 24
    assert all(1 <= number <= 8 for _, number in asked)
    assert learn(np.zeros(41, dtype=np.int64)).tolist() == [0, 0]


def test_images_that_vary_in_no_common_channel():
    """Their rests can add nothing: the guess divides by nothing, and the lists are right."""
    rng = np.random.default_rng(0)
    queries, others = (some_images(rng, 40, (2, 32, 32), "uint8") for _ in range(2))
    queries[:, 1], others[:, 0] = 9, 40
    both(Source(queries), Source(others))


@pytest.mark.parametrize(("tile", "flight", "read"), [(1, 1, 1), (7, 20, 64), (64, 64, 1024)])
def test_sizes_of_pieces(monkeypatch, tile, flight, read):
    """How the work is cut up changes nothing."""
    for name, value in (("TILE", tile), ("FLIGHT", flight), ("READ", read)):
        monkeypatch.setattr(run, name, value)
        monkeypatch.setattr(guessing, name, value, raising=False)
    queries, references = problem((2, 32, 32))
    both(queries, references, threads=3)


def test_without_numkong(monkeypatch):
    """NumPy's products of the coarse level give the same lists."""
    monkeypatch.setattr(estimates, "_numkong", lambda: None)
    both(*problem((3, 32, 32)))


def test_without_wide_instructions(monkeypatch):
    """Plain loops give the same products as the processor's instruction for bytes."""
    compiled = kernels.compiled()
    rng = np.random.default_rng(0)
    references = rng.integers(0, 256, (5, 1000), dtype=np.uint8)
    queries = rng.integers(-128, 128, (2, 4, 500), dtype=np.int8)
    left, right = (x.ravel() for x in np.indices((5, 4)))
    some = rng.random(20) < 0.7
    left, right = left[some], right[some]
    order = np.lexsort((left, right, left // 3))
    out = np.zeros((len(left), 2), dtype=np.int64)
    compiled.pair_products(
        references, queries, np.array([[0, 1, 500, 0], [500, 1, 500, 0]]), np.array([0, 1]),
        left[order], right[order], 3, out,
    )  # fmt: skip
    lines = np.zeros((len(left), 1), dtype=np.int64)
    compiled.pair_products(
        references, queries[:1], np.array([[7, 12, 31, 80]]), np.array([0]),
        left[order], right[order], 3, lines,
    )  # fmt: skip
    for p, (m, w) in enumerate(zip(left[order], right[order], strict=True)):
        a = [int(references[m, 7 + 80 * i + j]) for i in range(12) for j in range(31)]
        assert lines[p, 0] == sum(x * y for x, y in zip(a, queries[0, w].tolist(), strict=False))
        for k in (0, 1):
            a = references[m, 500 * k : 500 * (k + 1)].tolist()
            b = queries[k, w].tolist()
            assert out[p, k] == sum(x * y for x, y in zip(a, b, strict=True))
            plain = _byte_products._plain_dot(references[m], 500 * k, queries[k, w], 0, 500)
            assert plain == out[p, k]


def test_giving_up(monkeypatch):
    """Where most pairs are left, the block is done by brute force, and the result says so."""
    monkeypatch.setattr(run, "PAYS_BELOW", -1.0)
    queries, references = problem((2, 16, 16))
    found = both(queries, references)
    assert found.num_compared == len(queries) * len(references)


def test_without_numba(monkeypatch):
    """A plan that counts on Numba falls back where it does not work."""
    monkeypatch.setattr(kernels, "available", lambda: False)
    queries, references = problem((2, 16, 16))
    found = search(queries, references, options=OPTIONS, method="filter")
    assert found.plan.method == "brute force"


def test_what_cannot_be_filtered():
    """Other number types and odd sides are compared by brute force; asking otherwise is refused."""
    rng = np.random.default_rng(0)
    for shape, dtype in (((1, 8, 8), "float32"), ((1, 8, 8), "uint16"), ((1, 10, 8), "uint8")):
        source = Source(some_images(rng, 4, shape, dtype))
        assert plan_search(source, source).method == "brute force"
        with pytest.raises(OptionError, match="multiples of"):
            plan_search(source, source, method="filter")


def test_resuming(tmp_path):
    """Finished blocks are found again, whichever method made them."""
    queries, references = problem((2, 32, 32))
    whole = both(queries, references)
    search(queries, references, options=OPTIONS, method="filter", checkpoint=tmp_path)
    again = search(queries, references, options=OPTIONS, method="brute force", checkpoint=tmp_path)
    assert_same(whole, again)
    assert again.num_compared == 0


WINDOWS = [
    ((8, 8), (8, 8)),
    ((12, 20), (8, 12)),
    ((64, 64), (64, 64)),
    ((64, 64), (40, 40)),
    ((128, 96), (128, 96)),
    ((128, 96), (96, 72)),
]


@pytest.mark.parametrize(("shape", "window"), WINDOWS)
def test_coefficients_are_those_of_the_cosine_transform(shape, window):
    """The coarse level against SciPy, and its norms against sums over what is left."""
    rng = np.random.default_rng(1)
    image = some_images(rng, 1, (1, *shape), "uint8")
    coarse, layout = coarse_of(image, window), layout_of(*shape, window)
    values = image[0, 0].astype(np.float64)
    unit = (values - values.mean()) / np.linalg.norm(values - values.mean())
    inside = np.zeros(shape, dtype=bool)
    edges = [(whole - part) // 2 for whole, part in zip(shape, window, strict=True)]
    middle = tuple(slice(e, e + part) for e, part in zip(edges, window, strict=True))
    inside[middle] = True
    rows, columns = window[0] // 2, window[1] // 2
    sums = unit[middle].reshape(rows, 2, columns, 2).sum(axis=(1, 3))
    plane = dctn(sums / 2, norm="ortho")
    if shape != window:
        step = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum())
        plane[0, 0] = (unit * step).sum() / np.linalg.norm(step)
    blocks = np.stack([[plane[a::2, b::2] for b in (0, 1)] for a in (0, 1)]).ravel()
    assert (0 in layout.low) == (shape != window)
    assert coarse.numbers[0, 0, -1] == (values[~inside] > 0).any()
    kept = np.zeros_like(blocks)
    low = blocks[layout.low]
    found = from_halves(coarse.low)[0, 0, : len(low)]
    assert np.abs(found - low).max() <= 2.0**-8 * np.abs(low).max()
    assert coarse.numbers[0, 0, 1] >= np.linalg.norm(found - low)
    kept[layout.low] = low
    left = 1 - kept @ kept
    terms = terms_of(coarse.numbers, coarse.moments, shape[0] * shape[1])
    assert coarse.numbers[0, 0, 0] ** 2 >= left
    assert coarse.numbers[0, 0, 0] ** 2 <= left + 1e-5
    for k, (band, places) in enumerate(zip(coarse.bands, layout.bands, strict=True)):
        rest, error, step = coarse.numbers[0, 0, 2 + 3 * k : 5 + 3 * k]
        here = blocks[places]
        norm = terms.bands[k][0, 0]
        assert here @ here <= norm**2 <= here @ here + 1e-5
        steps = band[0, 0, : len(here)].astype(float) - 128
        assert error >= np.linalg.norm(steps * step - here)
        assert np.abs(steps * step - here).max(initial=0) <= 0.51 * step + 1e-9
        assert (band[0, 0, len(here) :] == 128).all()
        left -= here @ here
        assert rest**2 >= left
        assert rest**2 <= max(left, 0) + 1e-5
    assert coarse.left[0, 0] == rest


@pytest.mark.parametrize("window", [(32, 32), (24, 24)])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_turned_coefficients_are_those_of_turned_images(name, window):
    """Signs and exchanges instead of another transform."""
    rng = np.random.default_rng(2)
    images = some_images(rng, 3, (2, 32, 32), "uint8")
    turned = coarse_of(images, window).turned(name, layout_of(32, 32, window))
    anew = coarse_of(np.ascontiguousarray(apply_transform(images, name)), window)
    assert np.abs(from_halves(turned.low) - from_halves(anew.low)).max() < 2e-3
    for a, b in zip(turned.bands, anew.bands, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1
    assert np.allclose(turned.numbers, anew.numbers, rtol=1e-5)


def discs(rng, count, shape, radius):
    """Noisy discs in the middle of black images."""
    channels, height, width = shape
    i, j = np.indices((height, width))
    disc = (i - height / 2 + 0.5) ** 2 + (j - width / 2 + 0.5) ** 2 <= radius**2
    smooth = 90 + 60 * np.sin(i / 5 + 4 * rng.random((count, channels, 1, 1)))
    return ((smooth + rng.integers(0, 30, (count, *shape))) * disc).astype(np.uint8)


@pytest.mark.parametrize(("shape", "radius"), [((2, 64, 64), 15), ((1, 64, 96), 20)])
def test_the_window_holds_what_varies(shape, radius):
    """No more than that, and the whole image where that varies or nothing does."""
    rng = np.random.default_rng(0)
    rows = RowsInMemory(discs(rng, 100, shape, radius))
    window = window_of(rows)
    assert all(2 * radius <= side < 2 * radius + 16 for side in window[:1])
    assert window in windows(*shape[1:])
    assert all(side % 4 == 0 for side in window)
    noise = rng.integers(0, 256, (9, *shape), dtype=np.uint8)
    for images in (noise, np.full((3, *shape), 7, dtype=np.uint8)):
        assert window_of(RowsInMemory(images)) == shape[1:]


def test_windows_can_be_turned():
    """Square in a square image; in the middle, where sums of 2 x 2 pixels have their borders."""
    for size in ((4, 4), (8, 12), (64, 64), (100, 36), (256, 256)):
        found = windows(*size)
        assert found[-1] == size
        assert len(set(found)) == len(found) <= 16
        for window in found:
            assert all(0 < a <= b for a, b in zip(window, size, strict=True))
            assert all((b - a) % 4 == 0 == a % 4 for a, b in zip(window, size, strict=True))
            assert size[0] != size[1] or window[0] == window[1]


@pytest.mark.parametrize("window", [(8, 8), (24, 24), (32, 32)])
@pytest.mark.parametrize("chunk", [64, 4096])
def test_any_window_is_right(monkeypatch, chunk, window):
    """Images that are black around it, images that are not, and pairs that differ only there."""
    monkeypatch.setattr(chunks_module, "CHUNK", chunk)
    monkeypatch.setattr(window_module, "window_of", lambda rows: window)
    rng = np.random.default_rng(3)
    images = discs(rng, 90, (2, 48, 48), 12)
    references, queries = images[:80], images[80:]
    references[40] = queries[2]
    references[41:44] = queries[3]
    references[42, 0, 2, 5] = 255
    references[43, :, 20, 1] = 90
    queries[4, 1, 40:, :] = 30
    references[50] = queries[4]
    references[51] = apply_transform(queries[4], "rot90")
    source = Source(references, rng.integers(0, 20, 80))
    source.patient_codes[:20] = np.arange(20)
    around = references[:, :, np.abs(np.arange(48) - 23.5) > window[0] / 2].any(axis=(2, 3))
    level = coarse_level(source, work=None, progress=SILENT)
    assert level.window == window
    found = level.rows["numbers"].read(0, 80)[:, :, -1]
    assert found[[42, 50], [0, 1]].all()
    assert (found >= around).all()
    assert found.all() == (window == (8, 8))
    both(Source(queries), source)


KINDS = ("noise", "smooth", "checks", "point", "half", "near", "levels", "edge")


def awkward(kind, rng, shape):
    """Images that try to break a bound: energy where the basis keeps none, and extremes."""
    _, height, width = shape
    if kind == "noise":
        return rng.integers(0, 256, shape)
    if kind == "smooth":
        i, j = np.indices((height, width))
        angle = rng.random() * 6
        return np.broadcast_to(128 + 120 * np.sin(i / height * angle + j / width), shape)
    if kind == "checks":
        i, j = np.indices((height, width))
        return np.broadcast_to(255 * ((i + j) % 2), shape)
    if kind == "point":
        image = np.zeros(shape)
        image[:, rng.integers(height), rng.integers(width)] = rng.integers(1, 256)
        return image
    if kind == "half":
        image = np.full(shape, 255)
        image[:, : height // 2] = 0
        return image
    if kind == "levels":
        return 127 + rng.integers(0, 2, shape)
    if kind == "edge":
        image = rng.integers(0, 256, shape)
        image[0] = 7  # a constant channel
        return image
    return np.clip(awkward("smooth", rng, shape) + rng.integers(-1, 2, shape), 0, 255)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(KINDS), min_size=2, max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 8, 8), (2, 16, 12), (3, 32, 32), (1, 64, 64)]),
    st.sampled_from([1.0, 0.75, 0.5]),
)
def test_a_floor_at_the_exact_correlation_never_loses_the_pair(kinds, seed, shape, part):
    """The rounding of every step is inside the bound: a pair survives a floor at its own value."""
    rng = np.random.default_rng(seed)
    images = np.stack([awkward(kind, rng, shape) for kind in kinds]).astype(np.uint8)
    images = np.concatenate([images, np.clip(images.astype(int) + 1, 0, 255).astype(np.uint8)])
    images = images[[any(c.min() < c.max() for c in image) for image in images]]
    if len(images) < 2:
        return
    window = tuple(int(side * part) // 4 * 4 for side in shape[1:])
    block, queries, order = prepared(images, shape, window)
    asked = images[order]
    table = np.empty((2, len(images), len(images)), dtype=np.float32)
    block._estimate(queries, *table)
    excluded = np.full(len(images), -1)
    for j in range(len(images)):
        for which, measure in enumerate((correlation, correlation_mean)):
            floors = np.full((len(images), 2), np.inf)
            for i in range(len(images)):
                shared = any(
                    a.min() < a.max() and b.min() < b.max()
                    for a, b in zip(asked[i], images[j], strict=True)
                )
                if which == 0 or shared:
                    floors[i, which] = measure(asked[i], images[j])
            low = np.nextafter(floors.astype(np.float32), np.float32(-np.inf))
            left, right, each = block._left(queries, *table, low, excluded, j, j + 1)
            expected = np.flatnonzero(np.isfinite(floors[:, which]))
            assert right.tolist() == expected.tolist()
            assert (left == j).all()
            for i, row in zip(right, each, strict=True) if shape[0] > 1 else ():
                exact = correlation_per_channel(asked[i], images[j])
                assert all(r is None or bound >= r for r, bound in zip(exact, row, strict=True))


def prepared(images, shape, window):
    """A block whose queries are the references."""

    class Now:
        def __init__(self, values):
            self._values = values

        def result(self):
            return self._values

    class Pool:
        def map(self, work, *parts):
            return map(work, *parts)

        def submit(self, work, *arguments):
            return Now(work(*arguments))

    class InMemory:
        def __init__(self, values):
            self._values = values

        def read(self, start, stop):
            return self._values[start:stop]

    source = Source(images)
    options = SearchOptions(top_k=2, transforms=("identity",))
    plan = plan_search(source, source, options=options, threads=1, method="filter")
    job = Job(source, source, None, options, plan, None, Pool(), Pool())
    state = BlockState(0, len(images), job)
    rows = {name: InMemory(values) for name, values in make_rows(images, window).items()}
    block = run.FilteredBlock(state, job, CoarseLevel(window, rows))
    ready = Queries(images, block._chunks, block._layout, Pool())
    return block, ready.turned("identity"), ready.order
