"""Engines multiply exactly, and one that does not is never used."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.search.sources import Source, assert_same, some_images

from likeness.errors import MissingExtraError, OptionError
from likeness.search import SearchOptions, available_engines, choose_engine, search
from likeness.search.engines import _choice, self_test
from likeness.search.engines._known import KNOWN, Known
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


@pytest.fixture
def known(monkeypatch):
    """The table of engines to play with: ``known(name, Known(...))``. Torch is not there."""
    for name in KNOWN:
        if name.startswith("torch"):
            monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], library="no_such_library"))
    _choice._made.cache_clear()
    yield lambda name, entry: monkeypatch.setitem(KNOWN, name, entry)
    _choice._made.cache_clear()


class Measured(NumpyEngine):
    """Right, and as fast as the test says."""

    def __init__(self, name):
        self.name = name


@pytest.fixture
def speeds(monkeypatch):
    """Speeds by engine, in place of measured ones."""
    table = {}
    monkeypatch.setattr(_choice, "_speed", lambda engine, threads: table[engine.name])
    return table


def test_broken_engine_is_passed_over(known):
    """`auto` takes another engine, and says why."""
    known("numkong-uint8", Known(lambda: Broken(one_wrong)))
    choice = choose_engine("auto")
    assert choice.name == "numpy-float32"
    assert "'broken' fails its self-test: 1 of 65536 products are wrong" in choice.check
    assert "fastest of 1" in choice.why


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError, ValueError])
def test_library_that_cannot_be_loaded_is_passed_over(known, error):
    """A broken installation does not stop an audit, whatever it raises."""

    def make():
        message = "undefined symbol: ncclCommWindowDeregister"
        raise error(message)

    known("numkong-uint8", Known(make))
    choice = choose_engine("auto")
    assert choice.name == "numpy-float32"
    assert f"cannot be loaded ({error.__name__}: undefined symbol" in choice.check
    with pytest.raises(OptionError, match=r"'numkong-uint8' cannot be loaded .*undefined symbol"):
        choose_engine("numkong")


def test_library_that_is_blocked_is_absent(known, monkeypatch):
    """Where a module cannot be found there is no engine, and nothing is raised."""
    monkeypatch.setitem(sys.modules, "numkong", None)
    assert "numkong-uint8" not in available_engines()
    assert choose_engine("auto").name == "numpy-float32"


def test_nothing_right_is_an_error(known):
    """If no engine is right there is no answer, and each failure is told."""
    known("numkong-uint8", Known(lambda: Broken(one_wrong)))
    known("numpy-float32", Known(lambda: Broken(saturated)))
    with pytest.raises(OptionError, match=r"No engine computes right .*1 of 65536 .*6 of 6"):
        choose_engine("auto")


def test_the_fastest_is_chosen(known, speeds):
    """By measured speed, told in words."""
    known("numkong-uint8", Known(lambda: Measured("numkong-uint8")))
    speeds |= {"numkong-uint8": 100.0, "numpy-float32": 120.0}
    choice = choose_engine("auto")
    assert choice.name == "numpy-float32"
    assert choice.gops == 120.0
    assert "numkong-uint8 100, numpy-float32 120" in choice.why


def test_equal_speeds_do_not_take_turns(known, speeds):
    """A later engine must be a tenth faster."""
    known("numkong-uint8", Known(lambda: Measured("numkong-uint8")))
    speeds |= {"numkong-uint8": 100.0, "numpy-float32": 109.0}
    assert choose_engine("auto").name == "numkong-uint8"


TORCH_RULES = [
    # NumKong, torch imported, a driver -> is torch tried?
    (True, False, False, False),
    (True, True, False, True),
    (True, False, True, True),
    (False, False, False, True),
]


@pytest.mark.parametrize(("numkong", "imported", "driver", "tried"), TORCH_RULES)
def test_when_auto_tries_torch(known, speeds, monkeypatch, numkong, imported, driver, tried):
    """Importing torch takes seconds: only where it is there already, or pays."""
    made = []

    def torch():
        made.append("torch")
        return Measured("torch-cpu-int8")

    library = None if numkong else "no_such_library"
    known("numkong-uint8", Known(lambda: Measured("numkong-uint8"), library, "fast"))
    known("torch-cpu-int8", Known(torch, None, "torch"))
    monkeypatch.setitem(KNOWN, "torch-cpu-int8", Known(torch, "torch", "torch"))
    monkeypatch.setattr(_choice, "is_installed", lambda one: one.library in {None, "torch"})
    monkeypatch.setattr(_choice, "is_imported", lambda name: imported)
    monkeypatch.setattr(_choice, "has_cuda_driver", lambda: driver)
    speeds |= {"numkong-uint8": 100.0, "numpy-float32": 50.0, "torch-cpu-int8": 300.0}
    choice = choose_engine("auto")
    assert bool(made) == tried
    assert (choice.name == "torch-cpu-int8") == tried
    assert ("not tried, because NumKong works here" in choice.why) == (not tried)


def test_names(known):
    """Full names and names without the number type; anything else is an error that lists them."""
    assert choose_engine("numpy").name == choose_engine("numpy-float32").name == "numpy-float32"
    for wrong in ("cuda", "torch", "float32", ""):
        with pytest.raises(OptionError, match="takes auto, numkong-uint8, numpy-float32, torch-cp"):
            choose_engine(wrong)


def test_absent_engine_says_how_to_install(known):
    """The message ends with the line that installs it."""
    known("numkong-uint8", Known(NumpyEngine, "no_such_library", "fast"))
    with pytest.raises(MissingExtraError, match=r"pip install 'likeness\[fast\]'"):
        choose_engine("numkong")
    with pytest.raises(MissingExtraError, match=r"pip install 'likeness\[torch\]'"):
        choose_engine("torch-cpu")


def test_no_driver_is_not_a_missing_package(known, monkeypatch):
    """Where torch is there and the GPU is not, installing would not help."""
    monkeypatch.setattr("likeness.search.engines._known.has_cuda_driver", lambda: False)
    known("torch-cuda-int8", Known(NumpyEngine, "numpy", "torch", needs_cuda=True))
    assert "torch-cuda-int8" not in available_engines()
    with pytest.raises(OptionError, match="needs a CUDA GPU; no driver of one was found"):
        choose_engine("torch-cuda")


def test_choice_tells_speed_and_check():
    """What goes into the report."""
    choice = choose_engine("numpy", threads=3)
    assert choice.gops > 0
    assert choice.threads == 3
    assert choice.why == "asked for by name"
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
    assert choose_engine(Counting()).why == "given by the caller"
    calls.clear()
    result = search(Source(images), Source(images), engine=Counting())
    assert result.engine == "counting"
    assert (6, 64) in calls


def test_rows_are_sent_once():
    """An engine with `load` gets each tile once, for all its groups and transforms; same result."""
    sent, met = [], []

    class Far(NumpyEngine):
        name = "far"

        def load(self, rows):
            sent.append(rows.shape)
            return "far away", rows.copy()

        def products(self, rows, packed):
            if isinstance(rows, tuple):
                met.append(rows[0])
                rows = rows[1]
            return super().products(rows, packed)

    far = choose_engine(Far())
    images = some_images(np.random.default_rng(0), 12, (2, 8, 8), "uint8")
    options = SearchOptions(top_k=3)
    sent.clear(), met.clear()
    result = search(Source(images), Source(images), options=options, engine=far, threads=3)
    assert sent == [(12, 64), (12, 64)]
    assert len(met) > len(sent)
    expected = search(Source(images), Source(images), options=options, engine="numpy", threads=3)
    assert_same(result, expected)


def test_oracle_of_the_contract():
    """The products that engines are compared with are those of Python integers."""
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 256, (2, 3, 50), dtype=np.uint8)
    expected = [[sum(int(x) * int(y) for x, y in zip(r, s, strict=True)) for s in b] for r in a]
    assert exact_products(a, b).tolist() == expected
