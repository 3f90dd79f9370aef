"""Peak memory and time of a whole search: 1,000 queries against 23,478 images of 4 x 256 x 256.

Artificial images go to a temporary folder (6.4 GB at full size, removed afterwards) and a process
of its own searches them, with all flips and turns, reading from the disk. Its peak memory is what
the system counted (VmHWM), to be compared with the budget.

Run: python benchmarks/search_memory.py [--queries 1000] [--references 23478] [--memory 2147483648]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

SLICES_PER_PATIENT = 75
SHAPE = (4, 256, 256)
IMAGE_BYTES = 4 * 256 * 256
SEED = 1
POSITIONS = np.linspace(30, 125, SLICES_PER_PATIENT)


class RawImages:
    """Images in one file, one behind the other: all that a search asks of a set."""

    image_shape = SHAPE
    dtype = np.dtype(np.uint8)

    def __init__(self, path):
        self._path = Path(path)
        self._count = self._path.stat().st_size // IMAGE_BYTES
        self.patient_codes = (np.arange(self._count) // SLICES_PER_PATIENT).astype(np.int32)
        self.num_patients = int(self.patient_codes.max()) + 1
        self.fingerprint = str(path)

    def __len__(self):
        return self._count

    def read(self, start, stop):
        count = (stop - start) * IMAGE_BYTES
        pixels = np.fromfile(self._path, np.uint8, count, offset=start * IMAGE_BYTES)
        return pixels.reshape(stop - start, *SHAPE)


def draw(task):
    """Write the slices of one patient to their place in the file."""
    from likeness.datasets.phantoms import brain_slices

    path, patient, first, count = task
    with Path(path).open("r+b") as stream:
        stream.seek(first * IMAGE_BYTES)
        stream.write(brain_slices(SEED, patient, POSITIONS[:count]).tobytes())


def make_set(path, count, first_patient, workers):
    """Make a file of artificial images."""
    path.touch()
    starts = range(0, count, SLICES_PER_PATIENT)
    tasks = [
        (path, first_patient + i, start, min(SLICES_PER_PATIENT, count - start))
        for i, start in enumerate(starts)
    ]
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(draw, tasks))


def peak_bytes():
    """Return the peak resident memory of this process, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def run_search(folder, memory, threads, engine, transforms):
    """Search and print what it took, as JSON."""
    from likeness.search import SearchOptions, search
    from likeness.types import TRANSFORMS

    result = search(
        RawImages(folder / "queries.bin"),
        RawImages(folder / "references.bin"),
        options=SearchOptions(transforms=TRANSFORMS[:transforms]),
        engine=engine,
        memory_bytes=memory,
        threads=threads,
    )
    found = {
        "peak": peak_bytes(),
        "seconds": result.seconds,
        "pairs": result.num_pairs,
        "engine": result.engine,
        "plan": result.plan.describe(),
        "highest": float(np.nanmax(result.top.correlation)),
    }
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--references", type=int, default=23_478)
    parser.add_argument("--memory", type=int, default=2 << 30)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--transforms", type=int, default=8, help="how many of the eight, from 1")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--search-in", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search_in is not None:
        run_search(
            arguments.search_in,
            arguments.memory,
            arguments.threads,
            arguments.engine,
            arguments.transforms,
        )
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        began = time.perf_counter()
        workers = len(os.sched_getaffinity(0))
        make_set(folder / "references.bin", arguments.references, 0, workers)
        make_set(folder / "queries.bin", arguments.queries, 100_000, workers)
        print(f"images made in {time.perf_counter() - began:.0f} s", flush=True)
        command = [sys.executable, __file__, *sys.argv[1:], "--search-in", str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    print(found["plan"])
    print(f"engine {found['engine']}, highest r {found['highest']:.4f}")
    print(f"{found['seconds']:.1f} s, {found['pairs'] / found['seconds']:,.0f} pairs/s")
    within = found["peak"] <= arguments.memory
    print(
        f"peak memory {found['peak'] / 2**20:,.0f} MiB of {arguments.memory / 2**20:,.0f} MiB: "
        f"{'within' if within else 'OVER'} the budget"
    )
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
