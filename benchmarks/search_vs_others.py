"""Speed of the search beside what one would use instead, on the same images and cores.

Ours: `likeness.search.search`, identity only, r_cat and r_ch, 20 images and 2 patients per query,
from 8-bit pixels; the preparation of the queries is part of its time. The references are an image
set on disk, and the same in memory. Beside it the same search by brute force, and the rivals of
``benchmarks/rivals.py``: they give r_cat and 20 images only, and what they may do beforehand is not
counted. A rival that cannot hold all references gets the largest part it can; pairs per second are
compared.

The sides take turns, because other work on the machine slows all of them down. Each runs once
untimed right before it is timed ("warm"): a rival's memory drives the files of a set out of the
page cache, and reading them once does not bring all of them back to stay. A case ends without a
result if sides that must agree do not.

Run: python -m benchmarks.search_vs_others [--cases main grey small few noisy-8] [--rounds 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from benchmarks.make_phantoms import build_set, check_room
from benchmarks.phantom_images import BLUR, CHANNELS, QUERY_PATIENTS, Collection, image_set
from benchmarks.recording import (
    add_common_arguments,
    arguments_of,
    cores,
    ending_tidily,
    memory_bytes,
    spread,
    take_turns,
    write_result,
)
from benchmarks.rivals import Faiss, PairByPair, PlainInt8, ScikitLearn
from likeness.datasets import ImageSet

OURS, BRUTE, MEMORY = "likeness", "likeness, brute force", "likeness, set in memory"
LISTS = ("top", "top_mean", "patients", "patients_mean")
BESIDE_ALL = "main", "grey"
"""Cases in which the rivals other than FAISS run too."""
REST_OF_MEMORY = 9 << 30
"""What FAISS's index must leave: the set in the page cache, and the search."""


def cases_of(given):
    """Return name -> (references, queries, noise, blur, channels)."""
    many, few, blur = given.references, given.queries, given.blur
    return {
        "main": (many, few, 0.0, blur, CHANNELS),
        "grey": (many, few, 0.0, blur, CHANNELS[:1]),
        "unblurred": (many, few, 0.0, 0.0, CHANNELS),
        "small": (min(3000, many), few, 0.0, blur, CHANNELS),
        "few": (many, min(100, few), 0.0, blur, CHANNELS),
        "noisy-8": (min(given.noisy, many), few, 8.0, blur, CHANNELS),
        "noisy-16": (min(given.noisy, many), few, 16.0, blur, CHANNELS),
    }


def ours(queries, references, given, choice, method):
    """Return a function that searches in one of the ways that `search` has."""
    from likeness.search import SearchOptions, search

    options = SearchOptions(top_k=20, top_patients=2, transforms=("identity",))
    return lambda: search(
        queries,
        references,
        options=options,
        engine=choice,
        threads=given.threads,
        memory_bytes=given.memory,
        method=method,
    )


def differing_fields(first, second):
    """Return the names of what is not the same, bit for bit, in two results of a search."""
    wrong = [
        f"{part}.{field.name}"
        for part in LISTS
        for field in fields(getattr(first, part))
        if not np.array_equal(
            getattr(getattr(first, part), field.name),
            getattr(getattr(second, part), field.name),
            equal_nan=getattr(getattr(first, part), field.name).dtype.kind == "f",
        )
    ]
    if not np.array_equal(first.identity, second.identity, equal_nan=True):
        wrong.append("identity")
    return wrong


def insist(condition, message):
    """End the run if a side gave a wrong answer: its speed would mean nothing."""
    if not condition:
        sys.exit(f"The sides disagree: {message}.")


def check_faiss(found, result, part, queries, references):
    """Compare FAISS's nearest images, in its part of the references, with ours in all."""
    from likeness.similarity import correlation

    values, places = found
    nearest, highest = result.top.reference_index[:, 0], result.top.correlation[:, 0]
    inside = np.flatnonzero(nearest < part)
    insist((values[:, 0] <= highest + 1e-4).all(), "FAISS reports a higher r than the search")
    missed = [row for row in inside if places[row, 0] != nearest[row]]
    worse = sum(
        correlation(queries.take([row])[0], references.take([int(places[row, 0])])[0])
        > highest[row]
        for row in missed
    )
    insist(not worse, f"FAISS found a closer image for {worse} queries")
    errors = np.abs(values[inside, 0] - highest[inside])
    return {
        "queries_whose_nearest_is_in_the_part": len(inside),
        "same_nearest": len(inside) - len(missed),
        "largest_error_of_r": float(errors.max()) if len(inside) else 0.0,
    }


def check_pairs(values, places, queries, references, tolerance, channels=None):
    """Compare a rival's correlations of a few pairs with the definition."""
    from likeness.similarity import correlation

    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(min(50, values.size)):
        row, column = rng.integers(values.shape[0]), rng.integers(values.shape[1])
        first = queries.take([int(row)])[0][:channels]
        second = references.take([int(places[row, column])])[0][:channels]
        largest = max(largest, abs(correlation(first, second) - values[row, column]))
    insist(largest <= tolerance, f"r differs by {largest:.1e} from its definition")
    return largest


def compared(seconds, busy, pairs):
    """Return per side the time, the speed, and how many times faster ours is, round by round."""
    speeds = {name: [pairs[name] / value for value in values] for name, values in seconds.items()}
    return {
        name: {
            "pairs": pairs[name],
            "seconds": spread(seconds[name]),
            "processor_seconds": spread(busy[name]),
            "pairs_per_second": spread(speeds[name]),
            "ours_is_faster": spread(
                [mine / other for mine, other in zip(speeds[OURS], speeds[name], strict=True)]
            ),
        }
        for name in seconds
    }


def beside_faiss(queries, references, given, choice):
    """Time ours, brute force and FAISS in turns."""
    room = (memory_bytes() - REST_OF_MEMORY) // (4 * int(np.prod(references.image_shape)))
    part = int(min(given.faiss, len(references), room))
    print(f"  filling FAISS's index with {part:,} vectors", flush=True)
    sides = {
        OURS: ours(queries, references, given, choice, given.method),
        BRUTE: ours(queries, references, given, choice, "brute force"),
        "faiss.IndexFlatIP": Faiss(queries, references.subset(np.arange(part)), given.threads),
    }
    began = time.perf_counter()
    first = sides[OURS]()
    first_seconds = time.perf_counter() - began
    seconds, busy, found = take_turns(sides, given.rounds, warmed=True)
    pairs = dict.fromkeys(sides, len(queries) * len(references))
    pairs["faiss.IndexFlatIP"] = len(queries) * part
    checks = {
        "faiss": check_faiss(found["faiss.IndexFlatIP"], found[OURS], part, queries, references)
    }
    wrong = differing_fields(found[OURS], found[BRUTE])
    insist(not wrong, f"filter and brute force differ in {', '.join(wrong)}")
    insist(not differing_fields(first, found[OURS]), "two runs of the search differ")
    return {
        "sides": compared(seconds, busy, pairs),
        "checks": checks,
        "first_search_seconds": first_seconds,
        "engine": found[OURS].engine,
        "method": found[OURS].plan.method,
        "compared_pairs": int(found[OURS].num_compared),
        "mean_highest_r": float(np.nanmean(found[OURS].identity)),
    }, found[OURS]


def beside_the_rest(queries, references, given, choice, known, folder):
    """Time ours, plain int8, scikit-learn and the paper's procedure in turns."""
    in_memory = references_in_memory(references)
    part = references.subset(np.arange(min(given.sklearn, len(references))))
    few = queries.subset(np.arange(min(given.sklearn_queries, len(queries))))
    sample = [
        images.subset(np.arange(min(given.sample, len(images)))) for images in (queries, references)
    ]
    plain = PlainInt8(queries, references, given.threads)
    sides = {
        OURS: ours(queries, references, given, choice, given.method),
        MEMORY: ours(queries, in_memory, given, choice, given.method),
        "plain int8": plain,
        "scikit-learn": ScikitLearn(few, part, given.threads),
    }
    by_pairs = {
        f"pair by pair, {channels} channel{'s' if channels > 1 else ''}": channels
        for channels in sorted({1, len(references.channels)})
    }
    for name, channels in by_pairs.items():
        files = folder / "files" / str(channels)
        files.mkdir(parents=True)
        sides[name] = PairByPair(*sample, files, channels)
    seconds, busy, found = take_turns(sides, given.rounds, warmed=True)
    whole = len(queries) * len(references)
    pairs = dict.fromkeys((OURS, MEMORY, "plain int8"), whole)
    pairs["scikit-learn"] = len(few) * len(part)
    pairs.update({name: len(sample[0]) * len(sample[1]) for name in sides if name.startswith("pa")})
    for name in (OURS, MEMORY):
        wrong = differing_fields(known, found[name])
        insist(not wrong, f"{name} differs from the runs before in {', '.join(wrong)}")
    values, places = found["plain int8"]
    top = known.top
    kept = slice(0, min(values.shape[1], top.correlation.shape[1]))
    insist(
        np.allclose(values[:, kept], top.correlation[:, kept], rtol=0, atol=1e-12),
        "plain int8 has other correlations",
    )
    every = np.broadcast_to(np.arange(len(sample[1])), (len(sample[0]), len(sample[1])))
    checks = {
        "plain_int8_same_20": int((places[:, kept] == top.reference_index[:, kept]).all(1).sum()),
        "scikit-learn": check_pairs(*found["scikit-learn"], few, part, 1e-9),
    }
    for name, channels in by_pairs.items():
        checks[name] = check_pairs(found[name], every, *sample, 1e-9, channels)
    return {"sides": compared(seconds, busy, pairs), "checks": checks, "plain_kernel": plain.kernel}


def references_in_memory(references):
    """Return the same set with its pixels in memory."""
    from likeness import ImageSet

    pixels = np.empty((len(references), *references.image_shape), references.dtype)
    for start in range(0, len(references), 256):
        stop = min(start + 256, len(references))
        pixels[start:stop] = references.read(start, stop)
    return ImageSet.from_arrays(
        pixels,
        image_ids=references.image_ids,
        patient_ids=references.patient_ids,
        channels=references.channels,
    )


def run_case(name, given, choice, folder):
    """Make the images of a case, time all sides, write the result."""
    count, num_queries, noise, blur, channels = cases_of(given)[name]
    kind = Collection(num_images=count, blur=blur, noise=noise, sequences=channels)
    print(f"{name}: {num_queries:,} queries x {count:,} references, noise {noise:g}", flush=True)
    check_room(folder, count)
    asked = kind.changed(num_images=num_queries, slices_per_patient=4, first=QUERY_PATIENTS)
    queries = image_set(asked, jobs=given.jobs)
    if given.set is not None and not noise and (blur, channels) == (given.blur, CHANNELS):
        whole = ImageSet.open(given.set)
        insist(
            len(whole) >= count, f"{given.set} holds {len(whole):,} images; {count:,} are needed"
        )
        references = whole.subset(np.arange(count))
    else:
        references = build_set(
            folder, f"references-{count}-{noise:g}", kind.recipes(), with_patients=True,
            jobs=given.jobs,
        )  # fmt: skip
    content, known = beside_faiss(queries, references, given, choice)
    content.update(
        case=name,
        queries=num_queries,
        references=count,
        patients=references.num_patients,
        noise=noise,
        blur=blur,
        warmed=True,
        shape=list(references.image_shape),
        threads=given.threads,
    )
    if name in BESIDE_ALL:
        content["others"] = beside_the_rest(queries, references, given, choice, known, folder)
    for part in (content, content.get("others", {"sides": {}})):
        for side, row in part["sides"].items():
            print(
                f"  {side:26} {row['pairs_per_second']['median']:14,.0f} pairs/s; ours is "
                f"{row['ours_is_faster']['median']:,.2f} x as fast "
                f"({row['ours_is_faster']['least']:,.2f} to "
                f"{row['ours_is_faster']['greatest']:,.2f})"
            )
    write_result(given, f"search-{name}", content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cases", nargs="+", default=["main", "grey", "small", "few"], help="or noisy-8 …"
    )
    parser.add_argument("--references", type=int, default=23_478)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--noisy", type=int, default=12_000, help="references of the noisy cases")
    parser.add_argument("--faiss", type=int, default=10_000, help="most vectors in its index")
    parser.add_argument("--sklearn", type=int, default=1000, help="its references")
    parser.add_argument("--sklearn-queries", type=int, default=50)
    parser.add_argument("--sample", type=int, default=20, help="images per side, pair by pair")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blur", type=float, default=BLUR, help="of all images, pixels")
    parser.add_argument("--memory", type=int, default=2 << 30, help="bytes the search may take")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--method", default="auto", choices=("auto", "filter", "brute force"))
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument(
        "--set", type=Path, help="training set of make_phantoms, whose first images are taken"
    )
    add_common_arguments(parser)
    given = arguments_of(
        parser, references=60, queries=8, noisy=40, faiss=40, sklearn=20, sklearn_queries=4,
        sample=3, rounds=2,
    )  # fmt: skip
    unknown = set(given.cases) - set(cases_of(given))
    if unknown:
        parser.error(f"--cases takes {', '.join(cases_of(given))}; got {', '.join(unknown)}")
    from likeness.search import choose_engine

    choice = choose_engine(given.engine, given.threads)
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.cases:
        with (
            ending_tidily(),
            tempfile.TemporaryDirectory(dir=given.folder, prefix="likeness-benchmark-") as made,
        ):
            run_case(name, given, choice, Path(made))


if __name__ == "__main__":
    main()
