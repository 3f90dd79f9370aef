"""Speed of the search beside `faiss.IndexFlatIP`, on the same images and cores.

FAISS gets vectors that are already standardised and stored in its index, as float32, so that inner
products are r_cat; only its `search` is timed. Likeness starts from 8-bit pixels: preparing the
images is part of its time, and it computes both correlations at full size and at 64 x 64 block
means, where FAISS computes one. Flips and turns are off in both. The two take turns, because other
work on the machine slows both down; the median of the ratios counts.

Run: python benchmarks/search_vs_faiss.py [--queries 1000] [--references 6000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from likeness.datasets import ImageSet
from likeness.datasets.phantoms import brain_slices
from likeness.search import SearchOptions, choose_engine, search
from likeness.similarity import correlation

SLICES_PER_PATIENT = 75
SEED = 1
POSITIONS = np.linspace(30, 125, SLICES_PER_PATIENT)
"""Heights of the slices: those with enough of the head in them."""


def phantoms(count, first_patient):
    """Make slices of artificial patients: 4 x 256 x 256, 8-bit."""
    images = np.empty((count, 4, 256, 256), np.uint8)
    names = []
    for start in range(0, count, SLICES_PER_PATIENT):
        stop = min(start + SLICES_PER_PATIENT, count)
        patient = first_patient + start // SLICES_PER_PATIENT
        images[start:stop] = brain_slices(SEED, patient, POSITIONS[: stop - start])
        names += [f"patient-{patient}"] * (stop - start)
    return images, names


def standardised(images):
    """Centre each image and divide it by its norm, in float64; store as float32."""
    vectors = np.empty((len(images), images[0].size), np.float32)
    for vector, image in zip(vectors, images, strict=True):
        values = image.reshape(-1).astype(np.float64)
        values -= values.mean()
        norm = np.sqrt(values @ values)
        vector[:] = values / norm if norm else 0.0
    return vectors


def processor():
    """Name the processor, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--references", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--engine", default="auto")
    arguments = parser.parse_args()
    try:
        import faiss
    except ImportError:
        sys.exit("FAISS is not installed. Run: pip install 'likeness[bench]'")

    choice = choose_engine(arguments.engine, arguments.threads)
    threads = choice.threads
    query_images, query_names = phantoms(arguments.queries, 100_000)
    reference_images, reference_names = phantoms(arguments.references, 0)
    queries = ImageSet.from_arrays(query_images, patient_ids=query_names)
    references = ImageSet.from_arrays(reference_images, patient_ids=reference_names)
    pairs = arguments.queries * arguments.references

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(query_images[0].size)
    for start in range(0, len(reference_images), 100):
        index.add(standardised(reference_images[start : start + 100]))
    vectors = standardised(query_images)

    options = SearchOptions(transforms=("identity",))
    ours, theirs = [], []
    result = similar = places = None
    for _ in range(arguments.rounds):
        began = time.perf_counter()
        similar, places = index.search(vectors, options.top_k)
        theirs.append(time.perf_counter() - began)
        began = time.perf_counter()
        result = search(queries, references, options=options, engine=choice, threads=threads)
        ours.append(time.perf_counter() - began)

    nearest = result.top.reference_index[:, 0]
    agree = float(np.mean(places[:, 0] == nearest))
    apart = float(np.nanmax(np.abs(similar[:, 0] - result.top.correlation[:, 0])))
    worse = sum(
        correlation(query_images[i], reference_images[places[i, 0]])
        > correlation(query_images[i], reference_images[nearest[i]])
        for i in np.flatnonzero(places[:, 0] != nearest)
    )
    ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
    print(f"{processor()}, {threads} threads, {platform.system()} {platform.machine()}")
    print(
        f"{arguments.queries} queries x {arguments.references} references of 4 x 256 x 256, 8-bit"
    )
    print(f"engine {choice.name} ({choice.gops:.0f} GOPS per thread), {arguments.rounds} rounds")
    print(f"same nearest image for {agree:.1%} of the queries, r differs by at most {apart:.1e}")
    print(f"where they differ, FAISS found the higher exact r in {worse} cases")
    for name, times in (("likeness", ours), ("faiss.IndexFlatIP", theirs)):
        middle = statistics.median(times)
        spread = f"{min(times):.2f} to {max(times):.2f}"
        print(f"{name:18} {middle:7.2f} s ({spread})  {pairs / middle:10,.0f} pairs/s")
    print(
        f"pairs per second, likeness / FAISS: {statistics.median(ratios):.2f} "
        f"(median of {len(ratios)} rounds; {min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
