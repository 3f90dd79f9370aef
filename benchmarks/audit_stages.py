"""Time of a whole audit, stage by stage: 1,000 synthetic, 3,000 training, 1,000 test images.

Artificial heads of 3 x 256 x 256, three slices each, made beforehand. A tenth of the synthetic
images are altered copies. The stages are those that an audit shows as its progress; their shares
say where the time goes, and add up to the whole.

Run: python benchmarks/audit_stages.py [--synthetic 1000] [--train 3000] [--test 1000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

SLICES = 3
CHANNELS = ("t1", "t2", "flair")
SEED = 3
GROUPS = {
    "full size": ("pairs",),
    "null: training images among other people": ("train -> train",),
    "synthetic images": ("synthetic ->",),
    "test images": ("test ->",),
    "self-check: planted copies": ("planted",),
    "evidence": ("evidence", "second look"),
}


class Stopwatch:
    """Progress that adds up how long each task takes."""

    def __init__(self):
        self.seconds = defaultdict(float)

    @contextmanager
    def task(self, name, total, *, unit="images"):
        del total
        started = time.monotonic()
        yield self
        kind = "pairs" if unit == "pairs" and "->" in name else name
        self.seconds[kind] += time.monotonic() - started

    def advance(self, amount=1.0):
        """Count nothing."""

    def note(self, text):
        """Show nothing."""

    def say(self, text):
        """Show nothing."""


def head(patient):
    """Three neighbouring slices of one artificial head."""
    from likeness.datasets.phantoms import brain_slices

    lowest = np.random.default_rng([SEED, patient]).uniform(55.0, 95.0)
    positions = [lowest + 2.0 * k for k in range(SLICES)]
    return brain_slices(SEED, patient, positions, sequences=CHANNELS, image_size=256)


def make_sets(train, test, synthetic, jobs):
    """Return the three sets in memory."""
    from likeness import ImageSet
    from likeness.alterations import MANDATORY_LEVELS, plant_level

    counts = [-(-number // SLICES) for number in (train, test, synthetic)]
    with ProcessPoolExecutor(jobs) as pool:
        made = np.concatenate(list(pool.map(head, range(sum(counts)), chunksize=8)))
    names = [f"P{number:05d}" for number in np.repeat(np.arange(sum(counts)), SLICES)]
    edges = np.cumsum([0, *counts]) * SLICES

    def part(number, size):
        rows = slice(edges[number], edges[number] + size)
        ids = [f"image-{row}" for row in range(*rows.indices(len(made)))]
        return ImageSet.from_arrays(
            made[rows], image_ids=ids, patient_ids=names[rows], channels=CHANNELS
        )

    train_set, test_set, innocent = part(0, train), part(1, test), part(2, synthetic)
    rng = np.random.default_rng(SEED)
    copies = []
    for level in MANDATORY_LEVELS:
        rows = rng.choice(train, synthetic // 30, replace=False)
        donors = test_set.take(rng.choice(test, len(rows)))
        copies.append(plant_level(train_set.take(rows), level, rng, donors).images)
    planted = np.concatenate(copies)
    pixels = np.concatenate([planted, innocent.take(np.arange(synthetic - len(planted)))])
    return train_set, ImageSet.from_arrays(pixels, channels=CHANNELS), test_set, len(planted)


def main():
    """One audit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synthetic", type=int, default=1000)
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    from likeness import AuditOptions, audit

    sets = make_sets(given.train, given.test, given.synthetic, given.jobs)
    train, synthetic, test, planted = sets
    watch = Stopwatch()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        findings = audit(
            train,
            synthetic,
            test,
            out=Path(folder) / "audit",
            options=AuditOptions(threads=given.threads),
            progress=watch,
        )
    whole = time.monotonic() - started
    print(f"{findings.verdict.code}: {findings.counts.flagged} listed, {planted} planted")
    for level in findings.self_check.levels:
        print(f"self-check {level.level}: {level.caught} of {level.planted}")
    rest = whole
    named = partial(belongs, groups=GROUPS)
    for group in GROUPS:
        seconds = sum(value for name, value in watch.seconds.items() if named(name) == group)
        rest -= seconds
        print(f"{group:<42} {seconds:7.0f} s  {seconds / whole:6.1%}")
    print(
        f"{'everything else (statistics, tables, report)':<42} {rest:7.0f} s  {rest / whole:6.1%}"
    )
    print(f"{'whole audit':<42} {whole:7.0f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB, of which {sum_bytes(*sets[:3]) / 2**20:.0f} MiB the images")


def belongs(name, groups):
    """Return the group whose beginning a task's name has."""
    return next((group for group, heads in groups.items() if name.startswith(heads)), None)


def sum_bytes(*sets):
    """Bytes of the pixels of the sets."""
    return sum(len(images) * int(np.prod(images.image_shape)) for images in sets)


if __name__ == "__main__":
    main()
