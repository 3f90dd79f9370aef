"""Speed of the engines that multiply bytes, at the shapes that a search uses.

A search multiplies tiles of 256 rows (one channel of an image of 256 x 256 pixels each) with groups
of at most 96 packed rows, in several threads at once. Each engine that passes its self-test does
this here, with one thread and with all, in turns, so that other work on the machine slows all
alike; medians of the rounds are shown, with the slowest and the fastest, and the median per second
of processor time, which other work on the machine changes less: where it is the same with several
threads as with one, the threads do not stand in each other's way. A multiplication and an addition
count as two operations.

Nothing is recorded: the numbers say which engine suits a machine, and differ between machines.

Run: python -m benchmarks.engines [--rounds 15] [--threads 1 2] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.recording import circumstances, cores
from likeness.errors import LikenessError
from likeness.search import available_engines, choose_engine
from likeness.search._threads import single_blas_thread
from likeness.search.engines import loaded

SHAPES = {
    "tile x group": (256, 96, 65_536),
    "narrow group": (256, 24, 65_536),
    "64 x 64 means": (256, 96, 4_096),
}
"""Rows, packed rows, length."""
REPEATS = 4
"""Calls of one thread in one round."""


def measure(engines, shape, threads, rounds):
    """Return two tables of 10**9 operations per second, of all threads together, per engine and
    round: by the clock, and by processor time."""
    m, n, length = shape
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (m, length), dtype=np.uint8)
    others = rng.integers(0, 256, (threads, n, length), dtype=np.uint8)
    packed = {name: [engine.pack(each) for each in others] for name, engine in engines.items()}
    there = {name: loaded(engine, rows) for name, engine in engines.items()}

    def work(name, thread):
        for _ in range(REPEATS):
            engines[name].products(there[name], packed[name][thread])

    by_clock = {name: [] for name in engines}
    by_processor = {name: [] for name in engines}
    with ThreadPoolExecutor(threads) as pool:
        for number in range(rounds + 1):
            for name in list(engines) if number % 2 else reversed(engines):
                began, used = time.perf_counter(), time.process_time()
                list(pool.map(work, [name] * threads, range(threads)))
                seconds, used = time.perf_counter() - began, time.process_time() - used
                if number:  # the first round warms up
                    operations = 2 * m * n * length * threads * REPEATS
                    by_clock[name].append(operations / seconds / 1e9)
                    by_processor[name].append(operations / used / 1e9)
    return by_clock, by_processor


def usable_engines():
    """Return the engines that pass their self-test here, and say why others do not."""
    engines = {}
    for name in available_engines():
        try:
            engines[name] = choose_engine(name, 1).engine
        except LikenessError as error:
            print(f"left out: {error}")
    return engines


def main():
    """Print one table per shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores()}))
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    given = parser.parse_args()
    rounds = 2 if given.quick else given.rounds
    machine = circumstances()["machine"]
    print(f"{machine['processor']}, {', '.join(machine['flags'])}; load {machine['load_before']}")
    engines = usable_engines()
    for title, shape in SHAPES.items():
        print(f"\n{title}: {shape[0]} rows x {shape[1]} packed rows of {shape[2]:,} bytes")
        with single_blas_thread():
            for threads in given.threads:
                by_clock, by_processor = measure(engines, shape, threads, rounds)
                for name, found in by_clock.items():
                    print(
                        f"  {name:20} {threads} thread{'s' if threads > 1 else ' '} "
                        f"{statistics.median(found):6.0f} GOPS "
                        f"({min(found):.0f} to {max(found):.0f}), "
                        f"{statistics.median(by_processor[name]):.0f} per core"
                    )


if __name__ == "__main__":
    main()
