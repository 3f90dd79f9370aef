"""Plans keep to their budget, and refuse what cannot be."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.sources import Source, some_images

from likeness.errors import (
    ImageMismatchError,
    InputError,
    MemoryBudgetError,
    NoImagesError,
    OptionError,
)
from likeness.search import SearchOptions, plan_search, search


class Promised:
    """A set of which only the size is known: a plan must not read it."""

    def __init__(self, count, shape, dtype="uint8", patients=None):
        self.count, self.image_shape, self.dtype = count, shape, np.dtype(dtype)
        self.num_patients = patients or 1
        self.patient_codes = np.zeros(count, dtype=np.int32)

    def __len__(self):
        return self.count


@settings(max_examples=150, deadline=None)
@given(
    queries=st.integers(1, 3000),
    references=st.integers(1, 30_000),
    channels=st.integers(1, 5),
    height=st.integers(1, 600),
    width=st.integers(1, 600),
    dtype=st.sampled_from(["uint8", "uint16", "float32", "float64"]),
    patients=st.integers(1, 3000),
    memory=st.integers(1, 4 << 30),
    threads=st.integers(1, 64),
)
def test_plan_fits(queries, references, channels, height, width, dtype, patients, memory, threads):
    """A plan keeps to its budget; if there is none, the least budget is named and works."""
    shape = (channels, height, width)
    first = Promised(queries, shape, dtype)
    second = Promised(references, shape, dtype, patients)
    try:
        plan = plan_search(first, second, memory_bytes=memory, threads=threads)
    except MemoryBudgetError as error:
        least = int(re.search(r"at least ([\d,]+) MiB", str(error))[1].replace(",", "")) << 20
        assert least > memory
        plan = plan_search(first, second, memory_bytes=least, threads=threads)
        memory = least
    assert plan.needs_bytes <= memory
    assert 1 <= plan.query_block <= queries
    assert 1 <= plan.reference_block <= references
    assert 1 <= plan.group <= plan.query_block
    assert plan.passes * plan.query_block >= queries
    assert (plan.passes - 1) * plan.query_block < queries
    assert plan.num_pairs == queries * references


def test_more_memory_never_needs_more_passes():
    """Passes over the references fall as the budget grows."""
    first, second = Promised(1000, (4, 256, 256)), Promised(23_478, (4, 256, 256), patients=313)
    budgets = [1 << 30, 2 << 30, 4 << 30, 8 << 30]
    passes = [plan_search(first, second, memory_bytes=b, threads=2).passes for b in budgets]
    assert passes == sorted(passes, reverse=True)
    assert passes[-1] == 1


def test_the_papers_search_fits_in_two_gibibytes():
    """1,000 queries against 23,478 images of 4 x 256 x 256, all flips and turns."""
    first, second = Promised(1000, (4, 256, 256)), Promised(23_478, (4, 256, 256), patients=313)
    pytest.importorskip("numba")
    plan = plan_search(first, second, threads=2)
    assert plan.memory_bytes == 2 << 30
    assert plan.passes <= 3
    text = plan.describe()
    assert "1,000 queries x 23,478 references = 23,478,000 pairs of 4 x 256 x 256 pixels" in text
    assert "exact integers" in text
    assert plan.passes == 1
    assert "1 pass over the references" in text
    assert plan.method == "filter"
    everything = plan_search(first, second, threads=2, method="brute force")
    assert everything.passes <= 3
    assert everything.seconds(gops=250) == pytest.approx(plan.operations / 5e11)
    assert plan.seconds(gops=250) < everything.seconds(gops=250)


def test_what_changes_the_arithmetic():
    """8-bit images are compared in integers, others by float32 and float64."""
    small = (1, 256, 256)
    assert plan_search(Promised(1, small), Promised(1, small)).arithmetic == "exact integers"
    assert (
        "float64"
        in plan_search(Promised(1, small, "uint16"), Promised(1, small, "uint16")).arithmetic
    )
    odd = (1, 999, 999)
    assert plan_search(Promised(1, odd), Promised(1, odd)).arithmetic == "exact integers"


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"top_k": 0}, "--top-k"),
        ({"top_k": 10_001}, "--top-k"),
        ({"top_patients": 1}, "--top-patients"),
        ({"transforms": ("flip_h",)}, "--transforms"),
        ({"transforms": ("identity", "shear")}, "--transforms"),
        ({"channels": ()}, "--channels"),
        ({"channels": (0, 0)}, "--channels"),
        ({"channels": (-1,)}, "--channels"),
    ],
)
def test_options_out_of_range(options, flag):
    """The message names the option of the command line."""
    with pytest.raises(OptionError, match=flag):
        SearchOptions(**options)


def images(count=3, shape=(2, 8, 8), dtype="uint8"):
    return some_images(np.random.default_rng(0), count, shape, dtype)


@pytest.mark.parametrize(
    ("queries", "references", "error", "words"),
    [
        (Source(images()), Source(images(shape=(1, 8, 8))), ImageMismatchError, "shape"),
        (Source(images()), Source(images(dtype="uint16")), ImageMismatchError, "uint16"),
        (Source(images()), Source(images()[:0]), NoImagesError, "references"),
        (Source(images()[:0]), Source(images()), NoImagesError, "queries"),
        (Source(images()), Source(images(), [0, -1, 0]), InputError, "patient codes"),
        (Source(images()), Source(images(), [0, 0]), InputError, "patient codes"),
        (
            Source(images(), channels=("t1", "t2")),
            Source(images(), channels=("t2", "t1")),
            ImageMismatchError,
            "same order",
        ),
        (Source(images().astype(complex)), Source(images()), ImageMismatchError, "real numbers"),
    ],
)
def test_sets_that_cannot_be_compared(queries, references, error, words):
    """Each with its own message, before anything is read."""
    with pytest.raises(error, match=words):
        plan_search(queries, references)


def test_other_settings_out_of_range():
    """Memory, threads and own patients."""
    source = Source(images())
    with pytest.raises(OptionError, match="--memory"):
        plan_search(source, source, memory_bytes=0)
    with pytest.raises(OptionError, match="--threads"):
        plan_search(source, source, threads=0)
    with pytest.raises(OptionError, match="--channels"):
        plan_search(source, source, options=SearchOptions(channels=(2,)))
    for groups in ([0, 1], [0.5, 1.0, 2.0]):
        with pytest.raises(OptionError, match="query_groups"):
            search(source, source, query_groups=np.array(groups), engine="numpy")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_values_that_are_not_finite(value, which):
    """A NaN never becomes a nearest neighbour: it stops the search with its place."""
    sets = [images(dtype="float32"), images(dtype="float32")]
    sets[which][2, 1, 3, 3] = value
    with pytest.raises(InputError, match="Image 2 of"):
        search(Source(sets[0]), Source(sets[1]), engine="numpy")


def test_annotation_channel_is_left_out_unless_asked_for():
    """A channel named seg is not compared by default."""
    rng = np.random.default_rng(1)
    pictures = some_images(rng, 5, (3, 8, 8), "uint8")
    names = ("t1", "flair", "seg")
    source = Source(pictures, channels=names)
    plain = search(source, source, engine="numpy")
    assert plain.channels == (0, 1)
    without = Source(np.ascontiguousarray(pictures[:, :2]))
    assert (search(without, without, engine="numpy").identity == plain.identity).all()
    asked = search(source, source, options=SearchOptions(channels=(2,)), engine="numpy")
    alone = Source(np.ascontiguousarray(pictures[:, 2:]))
    expected = search(alone, alone, engine="numpy")
    assert np.array_equal(asked.top.correlation, expected.top.correlation, equal_nan=True)
    only = Source(pictures[:, 2:], channels=("Seg",))
    with pytest.raises(OptionError, match="annotations"):
        plan_search(only, only)


def test_each_option_takes_effect():
    """Lengths and transforms are those asked for."""
    source = Source(images(9))
    options = SearchOptions(top_k=3, top_patients=2, transforms=("identity", "rot90"))
    result = search(source, source, options=options, engine="numpy")
    assert result.top.reference_index.shape == (9, 3)
    assert result.patients.patient_code.shape == (9, 2)
    assert result.transforms == ("identity", "rot90")
    assert set(np.unique(result.top.transform)) <= {0, 3}
