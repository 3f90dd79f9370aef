"""Which engine multiplies on this machine."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import MissingExtraError, OptionError
from likeness.search._threads import count_threads, single_blas_thread
from likeness.search.engines._selftest import self_test
from likeness.search.engines.numpy_engine import NumpyEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from likeness.search.engines._base import Engine

AUTO: Final = "auto"
_TRIAL = (128, 64, 65_536)


def _numkong() -> Engine:
    from likeness.search.engines.numkong_engine import NumkongEngine

    return NumkongEngine()


_MAKERS: Final[dict[str, tuple[str | None, Callable[[], Engine]]]] = {
    "numkong-uint8": ("numkong", _numkong),
    "numpy-float32": (None, NumpyEngine),
}


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and why it can be trusted."""

    engine: Engine
    check: str
    """Result of the self-test, in words."""
    gops: float
    """Measured speed of one thread, 10**9 operations per second (a product counts as two)."""
    threads: int

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self.engine.name


def available_engines() -> tuple[str, ...]:
    """Return the names of the engines whose libraries are installed."""
    return tuple(
        name
        for name, (library, _) in _MAKERS.items()
        if library is None or importlib.util.find_spec(library) is not None
    )


def choose_engine(name: str | Engine = AUTO, threads: int | None = None) -> EngineChoice:
    """Choose an engine and try it out.

    Parameters
    ----------
    name
        ``auto`` for the fastest that passes the self-test, a name, or an engine of your own.
    threads
        How many threads will use it; None for all cores that this process may use.

    Returns
    -------
    EngineChoice
        The engine, with the result of its self-test and its measured speed.

    Raises
    ------
    OptionError
        If there is no such engine, or it fails its self-test.
    MissingExtraError
        If its library is not installed.
    """
    count = count_threads(threads)
    if not isinstance(name, str):
        return _tried(name, count)
    if name == AUTO:
        return _fastest(count)
    known = {key: key for key in _MAKERS} | {key.split("-")[0]: key for key in _MAKERS}
    if name not in known:
        msg = f"There is no engine {name!r}; --engine takes auto, {', '.join(_MAKERS)}."
        raise OptionError(msg)
    full = known[name]
    if full not in available_engines():
        msg = f"The engine {full!r} is not installed. Run: pip install 'likeness[fast]'"
        raise MissingExtraError(msg)
    return _made(full, count)


def _fastest(threads: int) -> EngineChoice:
    good: list[EngineChoice] = []
    failures: list[str] = []
    for name in available_engines():
        try:
            good.append(_made(name, threads))
        except Exception as error:  # noqa: BLE001 - a broken optional library must not stop an audit
            failures.append(str(error))
    if not good:
        msg = "No engine computes right on this machine. " + " ".join(failures)
        raise OptionError(msg)
    best = max(good, key=lambda choice: choice.gops)
    if not failures:
        return best
    check = " ".join([best.check, *failures])
    return EngineChoice(best.engine, check, best.gops, threads)


@lru_cache(maxsize=16)
def _made(name: str, threads: int) -> EngineChoice:
    return _tried(_MAKERS[name][1](), threads)


def _tried(engine: Engine, threads: int) -> EngineChoice:
    with single_blas_thread():
        problem = self_test(engine)
        if problem:
            msg = (
                f"The engine {engine.name!r} fails its self-test: {problem}. "
                "Its results cannot be used; choose --engine auto."
            )
            raise OptionError(msg)
        gops = _speed(engine)
    return EngineChoice(engine, "self-test passed: all products exact", gops, threads)


def _speed(engine: Engine) -> float:
    m, n, length = _TRIAL
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (m, length), dtype=np.uint8)
    packed = engine.pack(rows[:n])
    fastest = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        engine.products(rows, packed)
        fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * m * n * length / fastest / 1e9
