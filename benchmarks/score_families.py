"""Time per pair of the score families, all pairs in full beside the way that skips.

    python -m benchmarks.score_families --patients 250 --slices 48 --queries 512

Both give the same bits, which is checked. Novel queries: patients that are not among the
references. Processor seconds, so that other work on the machine disturbs little; the indexes are
timed apart, for an audit makes them once.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.phantom_images import SEED
from benchmarks.recording import add_common_arguments, arguments_of, write_result
from likeness.datasets.phantoms import brain_slices
from likeness.scores import orientations, tiles
from likeness.scores._orientation_bounds import OrientationIndex
from likeness.scores.decision_scale import DecisionImages, stretched
from likeness.scores.registration import RegistrationOptions
from likeness.scores.registration.features import FeatureMaker
from likeness.scores.registration.proposals import Proposer
from likeness.scores.registration.shortlist import FeatureIndex
from likeness.scores.tile_index import TileIndex
from likeness.search._threads import single_blas_thread
from likeness.similarity.blocks import BlockGrid
from likeness.types import TRANSFORMS

SIDE = 256


def drawn(patients, slices):
    """Return the block means of slices of artificial heads, and the patient of each."""
    blocks = BlockGrid(SIDE, SIDE, 64)
    values, varies = [], []
    for patient in patients:
        for image in brain_slices(SEED, patient, np.linspace(25, 130, slices)):
            found = stretched(blocks, image, 0.0)
            values.append(found[0])
            varies.append(found[1])
    images = DecisionImages(np.stack(values), np.stack(varies))
    return images, np.repeat(np.arange(len(patients)), slices).astype(np.int32)


def timed(function):
    """Return processor seconds and the result."""
    begin = time.process_time()
    result = function()
    return time.process_time() - begin, result


def equal(first, second):
    """Whether two rankings hold the same bits."""
    fields = ("similarity", "group", "image", "placement")
    return all(getattr(first, f).tobytes() == getattr(second, f).tobytes() for f in fields)


def compare(queries, references, groups, given):
    """Return microseconds per pair and family, in full and skipping, and seconds per index."""
    settings = {"groups": groups, "threads": 1}
    pairs = len(queries) * len(references)
    found = {}

    def note(name, index_seconds, full, skipping, same):
        found[name] = {
            "index_ms_per_image": index_seconds / len(references) * 1e3,
            "full_us_per_pair": full / pairs * 1e6,
            "skipping_us_per_pair": skipping / pairs * 1e6,
            "ratio": full / skipping,
            "same_bits": same,
        }

    def both(name, module, rank, make, depth):
        pays, module.index_pays = module.index_pays, lambda *_: False
        full, every = timed(lambda: rank(queries, references, depth=depth, **settings))
        module.index_pays = pays
        cost, index = timed(lambda: make(references))
        skipping, some = timed(
            lambda: rank(queries, references, depth=depth, index=index, **settings)
        )
        rankings = zip(some, every, strict=True) if isinstance(some, tuple) else [(some, every)]
        note(name, cost, full, skipping, all(equal(a, b) for a, b in rankings))

    both("oriented", orientations, orientations.rank_orientations, OrientationIndex.of, given.depth)
    both("tiles", tiles, tiles.rank_tiles, lambda r: TileIndex.of(r, tiles.TileOptions()), 10)
    options = RegistrationOptions()
    maker = FeatureMaker(references.shape, options)
    cost, index = timed(lambda: FeatureIndex.of(references, options))
    whole = FeatureIndex(index.rows, index.coefficients, None, None, None)

    def candidates(features):
        poses = options.poses(SIDE, SIDE)
        proposer = Proposer(
            features, references.varies, groups, poses, options, 512, TRANSFORMS
        )  # fmt: skip
        with single_blas_thread():
            return [
                proposer.candidates(maker.posed(values, varies), varies, -1, [])
                for values, varies in zip(queries.values, queries.varies, strict=True)
            ]

    full, every = timed(lambda: candidates(whole))
    skipping, some = timed(lambda: candidates(index))
    same = all(
        np.array_equal(a.image, b.image) and np.array_equal(a.start, b.start)
        for a, b in zip(some, every, strict=True)
    )
    note("registered, candidates", cost, full, skipping, same)
    return found


def main():
    """Draw, compare, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=250, help="of the references")
    parser.add_argument("--slices", type=int, default=48, help="per patient")
    parser.add_argument("--queries", type=int, default=512)
    parser.add_argument("--depth", type=int, default=16, help="groups kept, oriented families")
    add_common_arguments(parser)
    given = arguments_of(parser, patients=28, slices=40, queries=8)
    references, groups = drawn(range(given.patients), given.slices)
    novel = range(given.patients, given.patients + -(-given.queries // given.slices))
    queries, _ = drawn(novel, given.slices)
    queries = DecisionImages(
        queries.values[: given.queries], queries.varies[: given.queries]
    )  # fmt: skip
    few = DecisionImages(queries.values[:20], queries.varies[:20])
    compare(few, references, groups, given)  # compiles what is compiled
    found = compare(queries, references, groups, given)
    for name, row in found.items():
        print(
            f"{name:24s} {row['full_us_per_pair']:8.2f} us/pair in full "
            f"{row['skipping_us_per_pair']:8.2f} skipping {row['ratio']:6.1f} x   index "
            f"{row['index_ms_per_image']:.2f} ms/image   same bits: {row['same_bits']}"
        )
    write_result(given, "score_families", {"families": found})


if __name__ == "__main__":
    main()
