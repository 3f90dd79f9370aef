"""Search on a cluster, kill a job half-way, and hold the result against one process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from likeness._cluster import open_cluster
from likeness._cluster.cutting import Cut
from likeness.datasets import ImageSet
from likeness.search import SearchOptions, search

LISTS = ("top", "top_mean", "patients", "patients_mean")


def main(text, folder):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1200, 1, 64, 64), dtype=np.uint8)
    queries = ImageSet.from_arrays(pixels[:200])
    references = ImageSet.from_arrays(
        pixels[200:], patient_ids=[f"p{row % 90}" for row in range(1000)]
    )
    options = SearchOptions(top_k=5, top_patients=4)
    began = time.monotonic()
    with open_cluster(text, shared=Path(folder), cut=Cut(20, 20 * 4096)) as cluster:
        killer = threading.Thread(target=kill_one_job, args=(Path(folder) / "parts",))
        killer.start()
        found = cluster.search(queries, references, options=options)
        killer.join()
        say(*cluster.outcome.describe())
    say(f"{time.monotonic() - began:.1f} s")
    expected = search(queries, references, options=options)
    for name in LISTS:
        for field, values in vars(getattr(expected, name)).items():
            assert values.tobytes() == getattr(getattr(found, name), field).tobytes(), (name, field)
    assert cluster.outcome.complete
    say("same bits as in one process")


def say(*lines):
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def kill_one_job(parts):
    """Kill a running job, without a warning, once some parts are there."""
    while len(list(parts.glob("*.npz"))) < 20:
        time.sleep(0.05)
    jobs = subprocess.run(
        ["squeue", "--noheader", "--format", "%i", "--states", "RUNNING"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    subprocess.run(["scancel", "--signal=KILL", "--full", jobs[0]], check=True)
    say(f"killed job {jobs[0]} of {jobs}")


if __name__ == "__main__":
    main(*sys.argv[1:])
