"""What sets that no single machine holds would take: unit costs measured here, the rest on paper.

    python benchmarks/forecast.py            about ten minutes on two idle cores
    python benchmarks/forecast.py --quick    to see that it works

Measured, with one thread: searching a part (warm and first time), scoring, one task's own cost
through a scheduler, one part's bytes on disk, what the tables of a set take in memory. From these
`forecast` computes what a search and the scores of 10,000 synthetic images would take among 91,271,
10 million and 500 million training images of 4 x 256 x 256, and which limit is met first. The
costs are taken to be proportional to the pairs, which is too dark for the search (it skips more of
a larger set) and too bright for a network that is shared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from phantom_images import (
    IMAGE_BYTES,
    PAPER_IMAGES,
    QUERY_PATIENTS,
    Collection,
    image_set,
)
from recording import add_common_arguments, arguments_of, write_result

STORES = {
    "BRATS21": PAPER_IMAGES,
    "10 million images": 10_000_000,
    "a hospital network": 500_000_000,
}
"""The last: 2 million examinations of 250 slices."""
QUERIES = 10_000
NULL_ROWS = {"oriented": 20_000, "local": 2_000}
"""Training images that are compared with other people's, whatever the size of the set."""
CLUSTERS = (2, 100, 2_000)
"""Cores."""
STORAGE_BYTES_PER_SECOND = {2: 1e9, 100: 5e9, 2_000: 50e9}
"""What shared storage is assumed to give all of them together."""
COORDINATOR_BYTES = 256e9
"""Memory of a large login node."""


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--references", type=int, default=4096)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--table-rows", type=int, default=500_000)
    add_common_arguments(parser)
    given = arguments_of(parser, references=256, queries=16, tasks=40, table_rows=200_000)
    kind = Collection(num_images=given.references)
    asked = kind.changed(num_images=given.queries, slices_per_patient=4, first=QUERY_PATIENTS)
    references, queries = (image_set(one, jobs=given.jobs) for one in (kind, asked))
    units = {
        **search_costs(queries, references),
        **score_costs(queries, references),
        **task_costs(given.tasks),
        **table_costs(given.table_rows),
    }
    found = {"units": units, "forecast": forecast(units)}
    print(json.dumps(units, indent=2))
    print(as_table(found["forecast"]))
    write_result(given, "forecast", found)


def search_costs(queries, references):
    """Seconds of one thread per pair and per query, and bytes of a part per query."""
    from likeness.search.part_files import save_part
    from likeness.search.parts import search_part

    rows, columns = (0, len(queries)), (0, len(references))
    times = []
    for _ in range(2):  # the second finds the coarse level made and the loops compiled
        began = time.perf_counter()
        part = search_part(queries, references, rows, columns, threads=1)
        times.append(time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.npz"
        save_part(path, part, "key")
        size = path.stat().st_size
    return {
        "search_seconds_per_pair": times[1] / (len(queries) * len(references)),
        "search_first_seconds_per_reference": max(0.0, times[0] - times[1]) / len(references),
        "part_bytes_per_query": size / len(queries),
    }


def score_costs(queries, references):
    """Seconds of one thread: oriented and tile scores per pair, registration per query."""
    from likeness.scores import Scorer, ScorerOptions

    scorer = Scorer(references, options=ScorerOptions(threads=1))
    scorer.score(queries.subset(np.arange(2)))
    found = {}
    for name, families in (("oriented", ("dihedral",)), ("tiles", ("tiles",))):
        began = time.perf_counter()
        scorer.score(queries, families=families)
        found[name] = time.perf_counter() - began
    began = time.perf_counter()
    scorer.score(queries, families=("registered",))
    registered = max(0.0, time.perf_counter() - began - found["oriented"] - found["tiles"])
    pairs = len(queries) * len(references)
    return {
        "oriented_seconds_per_pair": found["oriented"] / pairs,
        "tiles_seconds_per_pair": found["tiles"] / pairs,
        "registered_seconds_per_query": registered / len(queries),
    }


def task_costs(count):
    """Seconds of a scheduler and a worker for a task that has nothing to do."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.submit(int).result()
        began = time.perf_counter()
        client.gather(client.map(int, range(count), pure=False))
        return {"scheduler_seconds_per_task": (time.perf_counter() - began) / count}


def table_costs(count):
    """Bytes of memory that one image's row takes in every process that opens its set."""
    code = f"""
import numpy as np
from pathlib import Path
from likeness.datasets._table import ImageTable, code_patients
def resident():  # not the peak: that of a new process begins with its parent's
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
before = resident()
n = {count}
ids = tuple(f"site-07/patient-{{i // 80:08}}/slice-{{i:09}}" for i in range(n))
patients = tuple(f"patient-{{i // 80:08}}" for i in range(n))
table = ImageTable(ids, patients, patients, np.arange(n, dtype=np.int32), (None,) * n,
                   tuple(f"{{i:064x}}" for i in range(n)))
codes = code_patients(patients, ids)
print((resident() - before) / n)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return {"table_bytes_per_image": float(answer.stdout)}


def forecast(units):
    """Compute what each store takes. Pure.

    Returns
    -------
    dict
        Per store: sizes, core-hours, hours for each number of cores, and the limits that are met.
    """
    from likeness._cluster import count_parts
    from likeness._cluster.cutting import Cut

    found = {}
    for name, images in STORES.items():
        pairs = QUERIES * images
        null = NULL_ROWS["oriented"] * images, NULL_ROWS["local"] * images
        search = (pairs + null[1]) * units["search_seconds_per_pair"]
        search += images * units["search_first_seconds_per_reference"]
        scores = (pairs + null[0]) * units["oriented_seconds_per_pair"]
        scores += (pairs + null[1]) * units["tiles_seconds_per_pair"]
        scores += (QUERIES + NULL_ROWS["local"]) * units["registered_seconds_per_query"]
        parts = count_parts(QUERIES, images, IMAGE_BYTES)
        passes = len(Cut().rows(QUERIES))
        read = images * IMAGE_BYTES * passes
        hours = {
            str(cores): {
                "compute": (search + scores) / cores / 3600,
                "reading": read / STORAGE_BYTES_PER_SECOND[cores] / 3600,
            }
            for cores in CLUSTERS
        }
        found[name] = {
            "images": images,
            "disk_bytes": images * IMAGE_BYTES,
            "search_core_hours": search / 3600,
            "score_core_hours": scores / 3600,
            "search_tasks": parts,
            "read_bytes_at_most": read,
            "scheduler_seconds": parts * units["scheduler_seconds_per_task"],
            "part_bytes": QUERIES * units["part_bytes_per_query"] * parts / passes,
            "table_bytes_per_process": images * units["table_bytes_per_image"],
            "hours": hours,
            "breaks": limits(images, units),
        }
    return found


def limits(images, units):
    """Return what does not hold at this size, in words."""
    found = []
    table = images * units["table_bytes_per_image"]
    if table > 2e9:
        found.append("every worker holds the table of the whole set: more than 2 GB each")
    if table > COORDINATOR_BYTES:
        found.append("the table does not fit the process that plans")
    if images > np.iinfo(np.int32).max:
        found.append("patients and images are numbered in 32 bits")
    if images * IMAGE_BYTES / (2 << 30) > 20_000:
        found.append("parts grow beyond 2 GiB of references, to stay below 20,000 tasks")
    return found


def as_table(stores):
    """Return the forecast as lines of Markdown."""
    lines = [
        "| store | images | on disk | search | scores | tasks | table in memory |"
        + "".join(f" {cores} cores: compute / reading |" for cores in CLUSTERS),
        "|---|---|---|---|---|---|---|" + "---|" * len(CLUSTERS),
    ]
    for name, one in stores.items():
        hours = "".join(
            f" {one['hours'][str(cores)]['compute']:,.1f} h / "
            f"{one['hours'][str(cores)]['reading']:,.1f} h |"
            for cores in CLUSTERS
        )
        lines.append(
            f"| {name} | {one['images']:,} | {one['disk_bytes'] / 1e12:,.2f} TB | "
            f"{one['search_core_hours']:,.1f} core-h | {one['score_core_hours']:,.1f} core-h | "
            f"{one['search_tasks']:,} | {one['table_bytes_per_process'] / 1e9:,.1f} GB |{hours}"
        )
    for name, one in stores.items():
        lines += ["", f"{name}: " + ("; ".join(one["breaks"]) or "nothing breaks") + "."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
