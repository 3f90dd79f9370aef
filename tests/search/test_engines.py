"""Engines multiply exactly, and one that does not is never used."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.search.sources import Source, some_images

from likeness.errors import MissingExtraError, OptionError
from likeness.search import available_engines, choose_engine, search
from likeness.search.engines import _choice, self_test
from likeness.search.engines.numpy_engine import NumpyEngine
from likeness.testing.engines import EngineTests, exact_products

HAS_NUMKONG = "numkong-uint8" in available_engines()


class TestNumpyEngine(EngineTests):
    def make_engine(self):
        return NumpyEngine()


@pytest.mark.skipif(not HAS_NUMKONG, reason="NumKong is not installed")
class TestNumkongEngine(EngineTests):
    def make_engine(self):
        return choose_engine("numkong").engine


class Broken(NumpyEngine):
    """Wrong in one way."""

    name = "broken"

    def __init__(self, fault):
        self.fault = fault

    def products(self, rows, packed):
        return self.fault(rows, super().products(rows, packed))


def rounded(rows, products):
    return products.astype(np.float16).astype(np.float64)


def wrapped(rows, products):
    return (products % 2**32) if rows.shape[1] < 65_536 else products % (2**31)


def saturated(rows, products):
    return np.minimum(products, 2.0**31 - 1)


def one_wrong(rows, products):
    products[-1, -1] += 1
    return products


def wrong_for_long_rows(rows, products):
    return products + (rows.shape[1] > 16_384)


def wrong_shape(rows, products):
    return products.T


def raises(rows, products):
    message = "illegal instruction"
    raise RuntimeError(message)


class WrongMoments(NumpyEngine):
    name = "broken"

    def moments(self, row):
        total, squares = super().moments(row)
        return total, squares % 2**32


def test_wrong_sums_are_noticed():
    """Sums of squares that wrap at 32 bits rule an engine out too."""
    with pytest.raises(OptionError, match="sum and sum of squares"):
        choose_engine(WrongMoments())


FAULTS = [rounded, wrapped, saturated, one_wrong, wrong_for_long_rows, wrong_shape, raises]


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_engine_is_refused(fault):
    """Whatever the fault, the self-test finds it and the engine is not used."""
    with pytest.raises(OptionError, match="'broken' fails its self-test"):
        choose_engine(Broken(fault))


def test_broken_engine_is_passed_over(monkeypatch):
    """`auto` takes another engine, and says why."""
    monkeypatch.setitem(_choice._MAKERS, "numkong-uint8", (None, lambda: Broken(one_wrong)))
    _choice._made.cache_clear()
    try:
        choice = choose_engine("auto")
        assert choice.name == "numpy-float32"
        assert "fails its self-test" in choice.check
    finally:
        _choice._made.cache_clear()


def test_library_that_cannot_be_loaded_is_passed_over(monkeypatch):
    """A broken installation does not stop an audit."""
    monkeypatch.setitem(sys.modules, "numkong", None)
    monkeypatch.setitem(_choice._MAKERS, "numkong-uint8", (None, _choice._numkong))
    _choice._made.cache_clear()
    try:
        assert choose_engine("auto").name == "numpy-float32"
    finally:
        _choice._made.cache_clear()


def test_names():
    """Full and short names; anything else is an error that lists them."""
    assert choose_engine("numpy").name == choose_engine("numpy-float32").name == "numpy-float32"
    with pytest.raises(OptionError, match="--engine takes auto, numkong-uint8, numpy-float32"):
        choose_engine("cuda")


def test_absent_engine_says_how_to_install(monkeypatch):
    """The message ends with the line that installs it."""
    monkeypatch.setitem(_choice._MAKERS, "numkong-uint8", ("no_such_library", _choice._numkong))
    with pytest.raises(MissingExtraError, match=r"pip install 'likeness\[fast\]'"):
        choose_engine("numkong")


def test_choice_tells_speed_and_check():
    """What goes into the report."""
    choice = choose_engine("numpy", threads=3)
    assert choice.gops > 0
    assert choice.threads == 3
    assert "self-test passed" in choice.check
    assert self_test(choice.engine) is None


def test_engine_of_your_own_is_used():
    """An engine object can be handed to `search`, which really calls it."""
    calls = []

    class Counting(NumpyEngine):
        name = "counting"

        def products(self, rows, packed):
            calls.append(rows.shape)
            return super().products(rows, packed)

    images = some_images(np.random.default_rng(0), 6, (1, 8, 8), "uint8")
    result = search(Source(images), Source(images), engine=Counting())
    assert result.engine == "counting"
    assert (6, 64) in calls


def test_oracle_of_the_contract():
    """The products that engines are compared with are those of Python integers."""
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 256, (2, 3, 50), dtype=np.uint8)
    expected = [[sum(int(x) * int(y) for x, y in zip(r, s, strict=True)) for s in b] for r in a]
    assert exact_products(a, b).tolist() == expected
