"""Which engine multiplies on this machine.

``auto`` tries the engines of `_known` in their order and takes the fastest that passes the
self-test; a later one must be a tenth faster than an earlier one, so that two that are equally fast
do not take turns. The choice never changes a result.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import LikenessError, MissingExtraError, OptionError
from likeness.search._threads import count_threads, single_blas_thread
from likeness.search.engines._base import loaded
from likeness.search.engines._known import (
    KNOWN,
    has_cuda_driver,
    is_imported,
    is_installed,
)
from likeness.search.engines._selftest import self_test

if TYPE_CHECKING:
    from likeness.search.engines._base import Engine

AUTO: Final = "auto"
_TRIAL = (128, 64, 65_536)
_ROUNDS = 3
_FASTER: Final = 1.1


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and why it can be trusted."""

    engine: Engine
    check: str
    """Result of the self-test, in words."""
    gops: float
    """Measured speed of one thread while all are at work, 10**9 operations per second (a product
    counts as two)."""
    threads: int
    why: str = "given by the caller"
    """Why this engine and no other, in words."""

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self.engine.name


def available_engines() -> tuple[str, ...]:
    """Return the names of the engines whose libraries are installed; nothing is imported.

    The engines that need a GPU are among them only where the driver of one is.
    """
    return tuple(name for name, known in KNOWN.items() if is_installed(known))


def choose_engine(name: str | Engine = AUTO, threads: int | None = None) -> EngineChoice:
    """Choose an engine and try it out.

    Parameters
    ----------
    name
        ``auto`` for the fastest that passes the self-test, a name, or an engine of your own.
        ``auto`` considers torch, which takes seconds to import, only where it pays: if it is
        imported already, if there is the driver of a CUDA GPU, or if NumKong cannot be used.
    threads
        How many threads will use it; None for all cores that this process may use.

    Returns
    -------
    EngineChoice
        The engine, with the result of its self-test and its measured speed.

    Raises
    ------
    OptionError
        If there is no such engine, it cannot be loaded, or it fails its self-test.
    MissingExtraError
        If its library is not installed.
    """
    count = count_threads(threads)
    if not isinstance(name, str):
        return _tried(name, count)
    if name == AUTO:
        return _fastest(count)
    full = _full_name(name)
    if full not in available_engines():
        known = KNOWN[full]
        if known.needs_cuda and is_installed(replace(known, needs_cuda=False)):
            msg = f"The engine {full!r} needs a CUDA GPU; no driver of one was found."
            raise OptionError(msg)
        msg = f"The engine {full!r} is not installed. Run: pip install 'likeness[{known.extra}]'"
        raise MissingExtraError(msg)
    try:
        return replace(_made(full, count), why="asked for by name")
    except LikenessError:
        raise
    except Exception as error:  # whatever a broken library raises
        raise OptionError(described_failure(full, error)) from error


def _full_name(name: str) -> str:
    for full in KNOWN:
        if name in {full, full.rpartition("-")[0]}:
            return full
    msg = f"There is no engine {name!r}; --engine takes auto, {', '.join(KNOWN)}."
    raise OptionError(msg)


def _fastest(threads: int) -> EngineChoice:
    best: EngineChoice | None = None
    speeds: list[str] = []
    failures: list[str] = []
    left_out: list[str] = []
    for name in available_engines():
        if KNOWN[name].library == "torch" and not _torch_pays(speeds):
            left_out.append(name.rpartition("-")[0])
            continue
        try:
            choice = _made(name, threads)
        except Exception as error:  # noqa: BLE001 - a broken optional library must not stop an audit
            failures.append(described_failure(name, error))
            continue
        speeds.append(f"{name} {choice.gops:.0f}")
        if best is None or choice.gops > _FASTER * best.gops:
            best = choice
    if best is None:
        msg = "No engine computes right on this machine. " + " ".join(failures)
        raise OptionError(msg)
    why = f"fastest of {len(speeds)} (10**9 operations per second and thread: {', '.join(speeds)})"
    if left_out:
        why += (
            f"; not tried, because NumKong works here and importing torch takes seconds: "
            f"{', '.join(left_out)}"
        )
    return replace(best, check=" ".join([best.check, *failures]), why=why)


def _torch_pays(speeds: list[str]) -> bool:
    """Whether to try torch after engines of those speeds."""
    has_numkong = any(speed.startswith("numkong") for speed in speeds)
    return not has_numkong or is_imported("torch") or has_cuda_driver()


def described_failure(name: str, error: Exception) -> str:
    """Say in words why an engine cannot be used."""
    if isinstance(error, LikenessError):
        return str(error)
    return f"The engine {name!r} cannot be loaded ({type(error).__name__}: {error})."


@lru_cache(maxsize=16)
def _made(name: str, threads: int) -> EngineChoice:
    return _tried(KNOWN[name].make(), threads)


def _tried(engine: Engine, threads: int) -> EngineChoice:
    with single_blas_thread():
        problem = self_test(engine)
        if problem:
            msg = (
                f"The engine {engine.name!r} fails its self-test: {problem}. "
                "Its results cannot be used; choose --engine auto."
            )
            raise OptionError(msg)
        gops = _speed(engine, threads)
    return EngineChoice(engine, "self-test passed: all products exact", gops, threads)


def _speed(engine: Engine, threads: int) -> float:
    """Measure as a search multiplies: all threads at once, each with packed rows of its own."""
    m, n, length = _TRIAL
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (m, length), dtype=np.uint8)
    packed = [engine.pack(rows[:n]) for _ in range(threads)]
    there = loaded(engine, rows)
    fastest = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            for _ in pool.map(lambda right: engine.products(there, right), packed):
                pass
            fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * m * n * length / fastest / 1e9
