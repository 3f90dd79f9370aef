"""A small set of people, a slow scorer, and a bank whose truth is chosen."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from likeness._validate.bank import ScoreBank, Scored
from likeness._validate.queries import Queries
from likeness.datasets import ImageSet
from likeness.scores.ranking import FAMILIES, rank_groups

SIDE = 32


def people(count=24, views=3, *, dtype=np.uint8, slices=True):
    """Images of `count` patients, `views` each, in patient order; views resemble each other."""
    pixels, who = [], []
    for patient in range(count):
        rng = np.random.default_rng([7, patient])
        base = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2)
        for _ in range(views):
            field = base + 0.6 * gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2)
            pixels.append(np.clip(128 + 300 * field, 0, 255))
            who.append(f"SECRET-{patient:03d}")
    which = np.tile(np.arange(views), count)
    return ImageSet.from_arrays(
        np.stack(pixels)[:, None].astype(dtype),
        image_ids=[f"{name}-{view}" for name, view in zip(who, which, strict=True)],
        patient_ids=who,
        volumes=who if slices else None,
        slice_indices=which if slices else None,
    )


class SlowScorer:
    """Plain correlation, one pair at a time, for all families alike."""

    def __init__(self, references, groups):
        self.references = references.read(0, len(references)).astype(float)
        self.groups = groups
        self.calls = []

    def score(self, queries, *, excluded=None):
        self.calls.append(len(queries))
        count = int(self.groups.max()) + 1
        table = np.full((len(queries), count), np.nan)
        image = np.zeros((len(queries), count), dtype=int)
        for i, query in enumerate(queries.read(0, len(queries)).astype(float)):
            for j, reference in enumerate(self.references):
                group = self.groups[j]
                if excluded is not None and excluded[i] == group:
                    continue
                r = np.corrcoef(query.ravel(), reference.ravel())[0, 1]
                if not r <= table[i, group]:
                    table[i, group], image[i, group] = r, j
        return {family: rank_groups(table, image, depth=count) for family in FAMILIES}


def made_queries(name, role, level, groups, truth, excluded):
    count = len(groups)
    return Queries(
        name,
        role,
        level,
        np.arange(count),
        np.full(count, -1),
        np.full((count, 5), -1),
        np.asarray(excluded, dtype=np.int32),
        np.asarray(truth, dtype=np.int32),
    )


def scored(queries, z, num_images):
    """A part whose families all have the table z of Fisher's transform."""
    table = rank_groups(np.tanh(z), np.zeros(z.shape, dtype=int), depth=z.shape[1])
    nearest = rank_groups(np.tanh(z), np.zeros(z.shape, dtype=int), depth=num_images)
    return Scored(queries, dict.fromkeys(FAMILIES, table), nearest)


def made_bank(*, groups=300, images=3, copies=60, lift=4.0, kinds=None, seed=0):
    """A bank of random scores: everybody is alike, a copy is `lift` nearer to its own group.

    References are one per group here: image k is of group k.
    """
    rng = np.random.default_rng(seed)
    own = np.repeat(np.arange(groups), images)

    def table(count):
        return rng.exponential(0.1, size=(count, groups))

    z = table(len(own))
    z[np.arange(len(own)), own] = np.nan
    parts = {
        "real": scored(
            made_queries("real", "real", None, own, np.full(len(own), -1), own), z, groups
        )
    }
    for name, level in (kinds or {"identity": "L0", "noise": "L1", "flip_h": "L2"}).items():
        truth = rng.choice(groups, copies, replace=False)
        z = table(copies)
        z[np.arange(copies), truth] += lift
        queries = made_queries(name, "copy", level, truth, truth, np.full(copies, -1))
        parts[name] = scored(queries, z, groups)
    for name in ("shrunk_70", "shrunk_40"):
        base = np.arange(groups)
        z = table(groups) + 2.0
        z[base, base] = np.nan
        queries = made_queries(name, "control", None, base, np.full(groups, -1), base)
        parts[name] = scored(queries, z, groups)
    return ScoreBank(own.astype(np.int32), np.arange(groups, dtype=np.int32), parts, 0, ())
