"""Everything that is compared: equal pixels, almost equal pictures, the nearest at full size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from likeness._neighbours.block_images import write_block_images
from likeness._neighbours.joining import rows_by_key
from likeness._neighbours.near import NearPairs, find_near
from likeness._neighbours.searching import Resources, own_codes, run_search
from likeness.search import SearchResult
from likeness.similarity import possible_transforms
from likeness.types import TRANSFORMS, Integers

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.datasets import ImageSet
    from likeness.types import Flags, Transform


@dataclass(frozen=True)
class Compared:
    """What the comparisons of a set, with itself or with another, found."""

    equal: Integers
    """(e, 2) images with equal pixels: the first of its group, and another. In a set with itself
    both index the set; else the first indexes the set, the second the other."""
    first_equal: Integers
    """(n,) the first image of the set with these pixels; the image itself if it is the first."""
    near: NearPairs
    """Indices into the set and the other, each picture once per patient."""
    full: SearchResult
    """At full size, the own patient left out."""
    transforms: tuple[Transform, ...]


def compare_sets(
    images: ImageSet,
    other: ImageSet,
    *,
    channels: tuple[int, ...],
    limit: float,
    flips: bool,
    work: Path,
    resources: Resources,
) -> Compared:
    """Compare every image with every image of other patients.

    Parameters
    ----------
    images, other
        The same set, or two that can be compared.
    channels
        Indices of the channels that are compared.
    limit
        r_ch at 64 x 64 from which pictures are almost equal.
    flips
        Whether the eight flips and quarter turns are tried.
    work
        For intermediate states.
    """
    same = images is other
    _, height, width = images.image_shape
    transforms = possible_transforms(TRANSFORMS if flips else ("identity",), height, width)
    full = run_search(
        images,
        other,
        transforms=transforms,
        resources=resources,
        checkpoint=work / "search",
        channels=channels,
        own=own_codes(images, other),
    )
    # The same picture twice of one patient has the same neighbours twice: one of them is compared.
    rows = _distinct(images)
    other_rows = rows if same else _distinct(other)
    queries = write_block_images(images.subset(rows), channels, work, progress=resources.progress)
    references = (
        queries
        if same
        else write_block_images(
            other.subset(other_rows), channels, work, progress=resources.progress
        )
    )
    near = find_near(
        queries,
        references,
        limit=limit,
        own=own_codes(queries.images, references.images),
        transforms=transforms,
        resources=resources,
        checkpoint=work / "near",
    )
    return Compared(
        equal=_equal(images, other, ~full.undefined_queries),
        first_equal=_first_equal(images),
        near=_in_sets(near, images, other, rows, other_rows),
        full=full,
        transforms=transforms,
    )


def _distinct(images: ImageSet) -> Integers:
    """Return the first image of each picture and patient."""
    groups = rows_by_key(list(zip(images.pixel_hashes, images.patient_ids, strict=True)))
    return np.array([rows[0] for rows in groups.values()], dtype=np.int64)


def _first_equal(images: ImageSet) -> Integers:
    first: dict[str, int] = {}
    return np.array(
        [first.setdefault(digest, row) for row, digest in enumerate(images.pixel_hashes)],
        dtype=np.int64,
    )


def _equal(images: ImageSet, other: ImageSet, varies: Flags) -> Integers:
    """Return pairs of equal pixels, without images that are constant: those show nobody."""
    pairs: list[tuple[int, int]] = []
    if images is other:
        for rows in rows_by_key(images.pixel_hashes).values():
            pairs.extend((rows[0], row) for row in rows[1:] if varies[row])
    else:
        where: dict[str, int] = {}
        for row, digest in enumerate(other.pixel_hashes):
            where.setdefault(digest, row)
        pairs.extend(
            (row, where[digest])
            for row, digest in enumerate(images.pixel_hashes)
            if varies[row] and digest in where
        )
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _in_sets(
    near: NearPairs, images: ImageSet, other: ImageSet, rows: Integers, other_rows: Integers
) -> NearPairs:
    """Translate indices into those of the sets, and drop equal pixels, which are listed apart."""
    query, reference = rows[near.query], other_rows[near.reference]
    differ = np.array(
        [
            images.pixel_hashes[a] != other.pixel_hashes[b]
            for a, b in zip(query.tolist(), reference.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    return replace(
        near,
        query=query[differ],
        reference=reference[differ],
        transform=near.transform[differ],
        similarity=near.similarity[differ],
        correlation=near.correlation[differ],
        correlation_mean=near.correlation_mean[differ],
        unfinished=rows[near.unfinished],
    )
