"""Other measures than correlation: what they cost, and which altered copies they find.

Cost: seconds per pair of each measure on artificial brains of 4 x 256 x 256, the sides taking
turns. Correlation is there three times: by scipy pair by pair, as in the paper, by the definition
of this project, and by its search. The autoencoder is there with and without computing features of
the images, which is shared among all their pairs; its weights hardly matter for that, so it is
trained for one step.

Found: copies of artificial chests and brains, altered in all ways of levels L0 to L5, among images
of new patients. Each measure gets the threshold that 1 % of one half of the new patients exceed;
the other half says what that threshold lets through. There is no registration and no flipping: a
measure is judged by itself.

Run: python -m benchmarks.measures [--only cost found] [--rounds 5]
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.recording import (
    add_common_arguments,
    arguments_of,
    ending_tidily,
    spread,
    take_turns,
    write_result,
)

SEED = 1
NEW, DONORS = 1_000_000, 2_000_000
"""Numbers of the first new patient and of the first donor."""
ALLOWED = 0.01
HEIGHTS = (55.0, 100.0)
AUTOENCODER = "autoencoder"


def chests(first, count, side):
    """Return one radiograph each of some artificial patients."""
    from likeness.datasets.phantoms import chest_image

    return np.stack(
        [chest_image(SEED, first + number, size=(side, side))[None] for number in range(count)]
    )


def brains(first, count, side, sequences=("t1", "flair")):
    """Return one slice each of some artificial patients."""
    from likeness.datasets.phantoms import brain_slices

    heights = np.random.default_rng([SEED, first]).uniform(*HEIGHTS, count)
    slices = [
        brain_slices(SEED, first + number, [height], sequences=sequences, image_size=side)[0]
        for number, height in enumerate(heights)
    ]
    return np.stack(slices)


KINDS = {"chests": chests, "brains": brains}


def wilson(found, count, z=1.959963984540054):
    """Return share and 95 % limits; Wilson 1927."""
    share = found / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count)
    half *= math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return {"share": share, "low": max(middle - half, 0.0), "high": min(middle + half, 1.0)}


def threshold_of(highest, allowed=ALLOWED):
    """Return the least value of these that no more than the allowed share of them exceed."""
    ordered = np.sort(highest)[::-1]
    return float(ordered[math.floor(allowed * len(ordered))])


def found_in(draw, given):
    """Return what each measure finds among images of one kind."""
    from likeness.alterations import LEVELS, plant_level
    from likeness.datasets import ImageSet
    from likeness.metrics.autoencoder import Autoencoding, open_autoencoder, train_autoencoder
    from likeness.metrics.pairwise import PIXEL_MEASURES, measure_pairs, most_similar

    training = draw(0, given.references, given.side)
    innocents = draw(NEW, 2 * given.innocents, given.side)
    donors = draw(DONORS, given.copies, given.side)
    rng = np.random.default_rng(SEED)
    sources, planted = {}, {}
    for level in LEVELS:
        sources[level] = rng.permutation(given.references)[: given.copies]
        planted[level] = plant_level(training[sources[level]], level, rng, donors)
    references = ImageSet.from_arrays(training)
    queries = ImageSet.from_arrays(
        np.concatenate([innocents, *(planted[level].images for level in LEVELS)])
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = Autoencoding(features=256, steps=given.steps, width=given.width, seed=SEED)
        record = train_autoencoder(references, Path(folder) / "made", settings)
        extractor = open_autoencoder(Path(folder) / "made")
    rows = []
    for measure in (*PIXEL_MEASURES, extractor):
        name = measure if isinstance(measure, str) else AUTOENCODER
        began = time.process_time()
        best = most_similar(measure_pairs(queries, references, measure))
        print(f"  {name}: {time.process_time() - began:.1f} processor seconds", flush=True)
        limit = threshold_of(best.value[: given.innocents])
        others = best.value[given.innocents : 2 * given.innocents]
        row = {"measure": name, "threshold": limit, "levels": {}, "by_kind": {}}
        row["let_through"] = wilson(int((others > limit).sum()), given.innocents)
        for number, level in enumerate(LEVELS):
            start = 2 * given.innocents + number * given.copies
            part = slice(start, start + given.copies)
            hit = best.value[part] > limit
            right = best.reference[part] == sources[level]
            row["levels"][level] = {
                "copies": given.copies,
                "found": wilson(int(hit.sum()), given.copies),
                "right_reference": wilson(int(right.sum()), given.copies),
            }
            for kind in dict.fromkeys(planted[level].kinds):
                of_kind = np.array(planted[level].kinds) == kind
                row["by_kind"][kind] = [int(hit[of_kind].sum()), int(of_kind.sum())]
        rows.append(row)
    errors = {key: record[key] for key in ("error", "error_of_mean_image")}
    return {"shape": list(training.shape[1:]), "measures": rows, "autoencoder": errors}


def find(given):
    """Record which copies are found."""
    content = {"allowed": ALLOWED, "kinds": {}}
    for kind, draw in KINDS.items():
        print(kind, flush=True)
        content["kinds"][kind] = found_in(draw, given)
    write_result(given, "measures-found", content)


def cost(given):
    """Record seconds per pair."""
    import torch
    from scipy.stats import pearsonr

    from likeness.datasets import ImageSet
    from likeness.metrics.autoencoder import Autoencoding, open_autoencoder, train_autoencoder
    from likeness.metrics.pairwise import measure_pairs
    from likeness.search import SearchOptions, search

    torch.set_num_threads(1)
    drawn = brains(0, given.many_queries + given.many_references, given.timed_side,
                   ("t1", "t2", "flair", "t1ce"))  # fmt: skip
    many = [
        ImageSet.from_arrays(drawn[: given.many_queries]),
        ImageSet.from_arrays(drawn[given.many_queries :]),
    ]
    few = [images.subset(range(given.few)) for images in many]
    with tempfile.TemporaryDirectory() as folder:
        train_autoencoder(many[1], Path(folder) / "made", Autoencoding(steps=1))
        extractor = open_autoencoder(Path(folder) / "made")
    rng = np.random.default_rng(SEED)  # which numbers they are costs nothing
    vectors = [rng.normal(size=(len(images), extractor.num_features)) for images in many]

    def by_scipy():
        first, second = (images.read(0, len(images)) for images in few)
        return [pearsonr(a.ravel(), b.ravel()).statistic for a in first for b in second]

    def of_vectors():
        return [pearsonr(a, b).statistic for a in vectors[0] for b in vectors[1]]

    options = SearchOptions(top_k=20, top_patients=2, transforms=("identity",))
    sides = {
        "correlation, scipy": by_scipy,
        "correlation, definition": lambda: measure_pairs(*few, "correlation"),
        "correlation, search": lambda: search(*many, options=options, threads=1),
        "structural similarity": lambda: measure_pairs(*few, "ssim"),
        "mutual information": lambda: measure_pairs(*few, "mutual-information"),
        "autoencoder, features and their correlation": lambda: measure_pairs(*many, extractor),
        "autoencoder, correlation of features alone": of_vectors,
    }
    all_pairs = given.many_queries * given.many_references
    large = ("search", "autoencoder")
    pairs = {
        name: all_pairs if any(word in name for word in large) else given.few**2 for name in sides
    }
    sides["correlation, search"]()  # kernels are compiled
    seconds, busy, _ = take_turns(sides, given.rounds)
    per_pair = {name: [one / pairs[name] for one in values] for name, values in seconds.items()}
    rows = {}
    for name in sides:
        rows[name] = {"pairs": pairs[name], "seconds_per_pair": spread(per_pair[name])}
        rows[name]["processor_seconds_per_pair"] = spread([one / pairs[name] for one in busy[name]])
        for key, base in (("scipy", "correlation, scipy"), ("search", "correlation, search")):
            ratios = [a / b for a, b in zip(per_pair[name], per_pair[base], strict=True)]
            rows[name][f"times_{key}"] = spread(ratios)
    content = {"shape": list(drawn.shape[1:]), "sides": rows}
    write_result(given, "measures-cost", content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser)
    parser.add_argument("--only", nargs="+", choices=("cost", "found"), default=["cost", "found"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64, help="pixels of the images of copies")
    parser.add_argument("--references", type=int, default=100)
    parser.add_argument("--innocents", type=int, default=150, help="in each half")
    parser.add_argument("--copies", type=int, default=40, help="of each level")
    parser.add_argument("--steps", type=int, default=800, help="of the autoencoder")
    parser.add_argument("--width", type=int, default=8, help="of the autoencoder")
    parser.add_argument("--timed-side", type=int, default=256)
    parser.add_argument("--few", type=int, default=12, help="images of a side of dear measures")
    parser.add_argument("--many-queries", type=int, default=40)
    parser.add_argument("--many-references", type=int, default=200)
    given = arguments_of(
        parser, rounds=1, side=32, references=12, innocents=6, copies=12, steps=3, timed_side=64,
        few=3, many_queries=4, many_references=6,
    )  # fmt: skip
    with ending_tidily():
        if "found" in given.only:
            find(given)
        if "cost" in given.only:
            cost(given)


if __name__ == "__main__":
    main()
