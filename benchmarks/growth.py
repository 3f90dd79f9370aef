"""How the time of a search grows with the number of references, on a set on disk.

Queries of people that are not in the set, identity only, both correlations, 20 images and 2
patients, against the first 3,000 to 91,271 images of one set. The sizes take turns. What is fitted
is ``seconds = a N**b`` by least squares in logarithms; b below 1 means that a larger set costs less
per image. The set must have been searched once (its coarse copies are made then), and where it is
larger than the memory of the machine its pixels come from the disk.

Run: python -m benchmarks.growth --folder FOLDER [--sizes 3000 6000 12000 24000 48000 91271]
"""

from __future__ import annotations

import argparse
import math
import shutil
from pathlib import Path

import numpy as np

from benchmarks.make_phantoms import build_set, check_room
from benchmarks.phantom_images import BLUR, PAPER_IMAGES, QUERY_PATIENTS, Collection, image_set
from benchmarks.recording import (
    add_common_arguments,
    arguments_of,
    cores,
    ending_tidily,
    spread,
    take_turns,
    write_result,
)
from benchmarks.search_vs_others import differing_fields, insist, ours

SIZES = [3000, 6000, 12_000, 24_000, 48_000, PAPER_IMAGES]


def exponent(sizes, seconds):
    """Return b of ``seconds = a sizes**b``, by least squares in logarithms."""
    x = np.log(np.asarray(sizes, float))
    y = np.log(np.asarray(seconds, float))
    x -= x.mean()
    return float(x @ (y - y.mean()) / (x @ x))


def measure(given, queries, whole):
    """Time the searches of all sizes, in turns."""
    from likeness.search import choose_engine

    choice = choose_engine(given.engine, given.threads)
    sizes = sorted({min(size, len(whole)) for size in given.sizes})
    sets = {size: whole.subset(np.arange(size)) for size in sizes}
    sides = {f"{size}": ours(queries, sets[size], given, choice, given.method) for size in sizes}
    for size in sizes:
        if size <= given.brute_up_to:
            brute = ours(queries, sets[size], given, choice, "brute force")
            sides[f"{size}, brute force"] = brute
    first = sides[f"{sizes[-1]}"]()
    seconds, busy, found = take_turns(sides, given.rounds)
    insist(not differing_fields(first, found[f"{sizes[-1]}"]), "two runs of the search differ")
    for name in sides:
        if name.endswith("force"):
            wrong = differing_fields(found[name], found[name.split(",")[0]])
            insist(not wrong, f"filter and brute force differ in {', '.join(wrong)}")
    medians = [spread(seconds[f"{size}"])["median"] for size in sizes]
    steps = [
        math.log(later / sooner) / math.log(large / small)
        for small, large, sooner, later in zip(
            sizes[:-1], sizes[1:], medians[:-1], medians[1:], strict=True
        )
    ]
    return {
        "sizes": sizes,
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "processor_seconds": {name: spread(values) for name, values in busy.items()},
        "compared_pairs": {f"{size}": int(found[f"{size}"].num_compared) for size in sizes},
        "exponent": exponent(sizes, medians),
        "exponent_step_by_step": steps,
        "queries": len(queries),
        "engine": choice.name,
        "blur": given.blur,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of the set; made if absent")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--brute-up-to", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blur", type=float, default=BLUR, help="of all images, pixels")
    parser.add_argument("--memory", type=int, default=2 << 30, help="bytes the search may take")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--method", default="auto", choices=("auto", "filter", "brute force"))
    parser.add_argument("--keep", action="store_true", help="leave the set where it is")
    add_common_arguments(parser)
    given = arguments_of(parser, sizes=[20, 40, 80], queries=8, rounds=1, brute_up_to=40)
    kind = Collection(num_images=max(given.sizes), blur=given.blur)
    asked = kind.changed(num_images=given.queries, slices_per_patient=4, first=QUERY_PATIENTS)
    with ending_tidily():
        try:
            check_room(given.folder, kind.num_images)
            whole = build_set(
                given.folder, "train", kind.recipes(), with_patients=True, jobs=given.jobs
            )
            found = measure(given, image_set(asked, jobs=given.jobs), whole)
        finally:
            if not given.keep:
                for name in ("train", "recipes"):
                    shutil.rmtree(given.folder / name, ignore_errors=True)
                if given.folder.is_dir() and not any(given.folder.iterdir()):
                    given.folder.rmdir()
    for size in found["sizes"]:
        print(f"{size:>8,} references {found['seconds'][f'{size}']['median']:8.2f} s")
    print(f"seconds grow as N to the power of {found['exponent']:.3f}")
    write_result(given, "growth", found)


if __name__ == "__main__":
    main()
