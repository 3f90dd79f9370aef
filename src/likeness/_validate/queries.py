"""Which images are scored: real ones, altered copies, innocent ones.

A plan names images by their rows in the set, so that it is made without reading a pixel;
`make_images` then reads and alters. Everything follows from the seed and the name of the kind:
kinds do not change each other's draws.

Copies are drawn over patients: each patient gives one image before any gives a second. A donor is
the image of yet another patient, whose columns are dropped for that query, so that the donor is as
good as novel in every split.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from likeness.alterations import ALTERATIONS, CONTROLS, Alteration, Control, Level
from likeness.alterations.controls import MOST_AVERAGED
from likeness.datasets import ImageSet
from likeness.errors import InputError
from likeness.types import Flags, Images, Integers

if TYPE_CHECKING:
    from likeness._validate.options import ValidationOptions

FEWEST_GROUPS = 15
"""With fewer patients a split leaves three novel ones or less."""
_ENDS = (1.0, 0.0)


@dataclass(frozen=True)
class Queries:
    """Images that are made in the same way."""

    name: str
    role: Literal["real", "copy", "control"]
    level: Level | None
    row: Integers
    """(n,) the image that is copied or changed."""
    second: Integers
    """(n,) the second image; -1 for none."""
    members: Integers
    """(n, 5) images that are averaged; -1 for none."""
    excluded: NDArray[np.int32]
    """(n,) group whose columns are dropped; -1 for none."""
    truth: NDArray[np.int32]
    """(n,) group that is copied; -1 for an innocent image."""

    def __len__(self) -> int:
        return len(self.row)

    def part(self, start: int, stop: int) -> Queries:
        """Return the queries start to stop - 1."""
        cut = slice(start, stop)
        return Queries(
            self.name,
            self.role,
            self.level,
            self.row[cut],
            self.second[cut],
            self.members[cut],
            self.excluded[cut],
            self.truth[cut],
        )


@dataclass(frozen=True)
class QueryPlan:
    """All images that are scored, and the references they are scored against."""

    references: Integers
    """Rows of the images that queries are compared with."""
    parts: tuple[Queries, ...]
    left_out: tuple[str, ...]
    """Kinds that this set does not allow, each with the reason."""

    @property
    def num_queries(self) -> int:
        """Number of images that are scored."""
        return sum(len(part) for part in self.parts)


def reserved_rows(groups: NDArray[np.int32], options: ValidationOptions) -> Integers:
    """Choose images that stay out of the references, to stand for unseen ones of their patients.

    At most a quarter of a patient's images, and never the only one.
    """
    rng = np.random.default_rng([options.seed, zlib.crc32(b"reserved")])
    order = rng.permutation(len(groups))
    sizes = np.bincount(groups)
    allowance = np.where(sizes >= 2, np.maximum(1, sizes // 4), 0)
    turn = _turn_within_group(groups[order])
    able = turn < allowance[groups[order]]
    # Every patient's first image before any patient's second.
    chosen = order[able][np.argsort(turn[able], kind="stable")]
    return np.sort(chosen[: options.per_kind]).astype(np.int64)


def plan_queries(
    images: ImageSet, groups: NDArray[np.int32], options: ValidationOptions
) -> QueryPlan:
    """Draw all queries.

    Parameters
    ----------
    images
        The whole set.
    groups
        (n,) exclusion group of each image, from 0 without gaps.

    Raises
    ------
    InputError
        If there are too few patients to divide.
    """
    count = int(groups.max()) + 1
    if count < FEWEST_GROUPS:
        msg = (
            f"The set has {count} different patients; a validation divides them into train, test "
            f"and novel and needs at least {FEWEST_GROUPS}. Give a larger set, or one whose "
            "patients are known."
        )
        raise InputError(msg)
    reserved = reserved_rows(groups, options)
    is_reference = np.ones(len(groups), dtype=np.bool_)
    is_reference[reserved] = False
    references = np.flatnonzero(is_reference)
    parts = [_real(references, groups)]
    left_out = []
    for kind in ALTERATIONS:
        rng = np.random.default_rng([options.seed, zlib.crc32(kind.name.encode())])
        if not kind.applies_to(images.image_shape, images.dtype):
            left_out.append(f"{kind.name}: does not apply to {images.dtype} {images.image_shape}")
            continue
        part = _copies(kind, images, groups, is_reference, reserved, rng, options.per_kind)
        if part is None:
            left_out.append(f"{kind.name}: the set has no such images")
        else:
            parts.append(part)
    for control in CONTROLS:
        if control.name == "novel":  # those are the real images of novel patients
            continue
        rng = np.random.default_rng([options.seed, zlib.crc32(control.name.encode())])
        parts.append(_innocents(control, groups, references, rng, options.controls))
    return QueryPlan(references, tuple(parts), tuple(left_out))


def make_images(
    queries: Queries, images: ImageSet, sums: MeanImages, options: ValidationOptions, start: int
) -> Images:
    """Read and alter the images of some queries.

    Parameters
    ----------
    queries
        A part of the plan.
    sums
        For images shrunk towards the mean.
    start
        Number of the first of them within its kind, which decides the random numbers.

    Returns
    -------
    array (n, C, H, W)
    """
    pixels = images.take(queries.row)
    if queries.role == "real":
        return pixels
    made = []
    alterations = {kind.name: kind for kind in ALTERATIONS}
    controls = {control.name: control for control in CONTROLS}
    for number, image in enumerate(pixels):
        rng = np.random.default_rng(
            [options.seed, zlib.crc32(queries.name.encode()), 1, start + number]
        )
        if queries.role == "copy":
            second = queries.second[number]
            donor = None if second < 0 else images.take([second])[0]
            place = start + number
            end = _ENDS[place] if place < len(_ENDS) else None
            made.append(alterations[queries.name].apply(image, rng, donor, strength=end))
            continue
        control = controls[queries.name]
        others = None
        if control.needs == "mean":
            others = sums.without(int(queries.excluded[number]))[None]
        elif control.needs == "others":
            members = queries.members[number]
            others = images.take(members[members >= 0])
        made.append(control.apply(image, rng, others))
    return np.stack(made)


class MeanImages:
    """The mean of all images but those of one patient."""

    def __init__(self, images: ImageSet, groups: NDArray[np.int32]) -> None:
        self._images = images
        self._groups = groups
        self._total: NDArray[np.float64] | None = None

    def without(self, group: int) -> NDArray[np.float64]:
        """Return (C, H, W): the mean image of the other patients."""
        if self._total is None:
            self._total = np.zeros(self._images.image_shape)
            for row in range(len(self._images)):  # one at a time: the order of a sum is fixed
                self._total += self._images.read(row, row + 1)[0]
        own = np.flatnonzero(self._groups == group)
        rest = self._total.copy()
        for place in own:
            rest -= self._images.take([place])[0]
        mean: NDArray[np.float64] = rest / (len(self._images) - len(own))
        return mean


def _real(references: Integers, groups: NDArray[np.int32]) -> Queries:
    none = np.full(len(references), -1)
    return Queries(
        "real",
        "real",
        None,
        references,
        none,
        np.full((len(references), MOST_AVERAGED), -1),
        groups[references],
        none.astype(np.int32),
    )


def _copies(
    kind: Alteration,
    images: ImageSet,
    groups: NDArray[np.int32],
    is_reference: Flags,
    reserved: Integers,
    rng: np.random.Generator,
    count: int,
) -> Queries | None:
    """Draw the sources of one kind, and their second images."""
    candidates = np.flatnonzero(is_reference)
    above = np.full(len(groups), -1)
    if kind.needs == "neighbour":
        for row in candidates:
            next_slice = images.neighbours(int(row))[1]
            if next_slice is not None and is_reference[next_slice]:
                above[row] = next_slice
        candidates = np.flatnonzero(above >= 0)
    if kind.needs == "sibling":
        # The query is the reserved image; what is "altered" is another image of that patient.
        rows, seconds = _siblings(reserved, groups, is_reference)
    else:
        if not len(candidates):
            return None
        rows = spread_over_groups(candidates, groups, count, rng)
        seconds = np.full(len(rows), -1)
    if not len(rows):
        return None
    excluded = np.full(len(rows), -1, dtype=np.int32)
    if kind.needs == "neighbour":
        seconds = above[rows]
    if kind.needs == "sibling":
        seconds = seconds.copy()
    if kind.needs == "donor":
        every = np.flatnonzero(is_reference)
        seconds = np.array([_of_another(row, every, groups, rng) for row in rows])
        excluded = groups[seconds]
    return Queries(
        kind.name,
        "copy",
        kind.level,
        rows,
        seconds,
        np.full((len(rows), MOST_AVERAGED), -1),
        excluded,
        groups[rows],
    )


def _siblings(
    reserved: Integers, groups: NDArray[np.int32], is_reference: Flags
) -> tuple[Integers, Integers]:
    first = {int(groups[row]): int(row) for row in np.flatnonzero(is_reference)[::-1]}
    return np.array([first[int(groups[row])] for row in reserved], dtype=np.int64), reserved


def _innocents(
    control: Control,
    groups: NDArray[np.int32],
    references: Integers,
    rng: np.random.Generator,
    count: int,
) -> Queries:
    rows = spread_over_groups(references, groups, count, rng)
    members = np.full((len(rows), MOST_AVERAGED), -1)
    excluded = groups[rows].copy()
    if control.needs == "others":
        excluded[:] = -1
        for number in range(len(rows)):
            size = int(rng.integers(2, MOST_AVERAGED + 1))
            members[number, :size] = spread_over_groups(references, groups, size, rng)
        rows = members[:, 0].copy()
    return Queries(
        control.name,
        "control",
        None,
        rows,
        np.full(len(rows), -1),
        members,
        excluded,
        np.full(len(rows), -1, dtype=np.int32),
    )


def spread_over_groups(
    candidates: Integers, groups: NDArray[np.int32], count: int, rng: np.random.Generator
) -> Integers:
    """Draw up to `count` images, one of every patient before the second of any.

    Parameters
    ----------
    candidates
        Rows to draw from, without repetition.
    groups
        (n,) patient of every row of the set.
    """
    order = candidates[rng.permutation(len(candidates))]
    turn = _turn_within_group(groups[order])
    chosen = order[np.argsort(turn, kind="stable")][:count]
    return chosen.astype(np.int64)


def _turn_within_group(groups: NDArray[np.integer]) -> Integers:
    """Return (n,) how many earlier entries have the same group."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    starts = np.flatnonzero(np.diff(in_order, prepend=in_order[:1] - 1))
    sizes = np.diff(np.append(starts, len(groups)))
    turn = np.empty(len(groups), dtype=np.int64)
    turn[order] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return turn


def _of_another(
    row: int, candidates: Integers, groups: NDArray[np.int32], rng: np.random.Generator
) -> int:
    while True:  # at most a small share of the images is of one patient
        other = int(rng.choice(candidates))
        if groups[other] != groups[row]:
            return other
