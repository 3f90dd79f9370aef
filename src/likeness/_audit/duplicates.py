"""Equal and almost equal images that should not be: looked for before anything is decided.

Three kinds matter:
- equal pixels within a set, or across train and test (found by hash, in all images);
- almost equal images of *different* patients (r_ch at 64 x 64 at or above a limit): the same
  person under two names, or a test image that is also a training image;
- patients that are in train and test.

A test image that is a training image is no innocent, and hides the trace of training in the set as
a whole. So does another picture of the same person; therefore patients leave as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from likeness._findings import DuplicatePair
from likeness._neighbours.joining import rows_by_key
from likeness.datasets import ImageSet
from likeness.scores import PatientRanking
from likeness.types import TRANSFORMS, Flags, Floats, Integers

Role = Literal["train", "test", "synthetic"]


@dataclass(frozen=True)
class Contamination:
    """Which test images are not of people whom training has not seen."""

    images: Flags
    """(n,) True for images that are not used as held-out ones."""
    shared_patients: tuple[str, ...] = ()
    """Patients in train and test."""
    found: Flags | None = None
    """(n,) True for images that are themselves equal, almost equal or of a shared patient; the
    others leave because they show the same person. None where all are."""

    @property
    def num_found(self) -> int:
        """Number of images that are themselves contaminated."""
        return int((self.images if self.found is None else self.found).sum())

    @property
    def share(self) -> float:
        """Share of the images that are themselves contaminated; 0 for an empty set."""
        return self.num_found / len(self.images) if len(self.images) else 0.0


def exact_within(images: ImageSet, role: Role) -> list[DuplicatePair]:
    """Return pairs of images of one set with equal pixels; a group of n gives n - 1 pairs."""
    return [
        _exact_pair(images, role, members[0], images, role, other)
        for members in rows_by_key(images.pixel_hashes).values()
        for other in members[1:]
    ]


def exact_across(
    first: ImageSet, first_role: Role, second: ImageSet, second_role: Role
) -> list[DuplicatePair]:
    """Return, for each image of `first`, its first equal in `second`."""
    where: dict[str, int] = {}
    for index, digest in enumerate(second.pixel_hashes):
        where.setdefault(digest, index)
    return [
        _exact_pair(first, first_role, index, second, second_role, where[digest])
        for index, digest in enumerate(first.pixel_hashes)
        if digest in where
    ]


def equal_pixels(images: ImageSet, others: ImageSet) -> Flags:
    """Return (n,) which images have an equal among the others."""
    known = set(others.pixel_hashes)
    return np.array([digest in known for digest in images.pixel_hashes], dtype=np.bool_)


def near_duplicates(
    queries: ImageSet,
    role: Role,
    references: ImageSet,
    ranking: PatientRanking,
    limit: float,
) -> list[DuplicatePair]:
    """Return each query whose nearest training image of another patient is at least `limit`.

    A pair of training images found from both sides is listed once.

    Parameters
    ----------
    ranking
        The other patients of each query, dihedral family.
    """
    pairs = []
    seen = set()
    for row in np.flatnonzero(_nearest(ranking) >= limit):
        index = int(ranking.image[row, 0])
        query, match = queries.image_ids[row], references.image_ids[index]
        key = frozenset({query, match}) if role == "train" else (query, match)
        if key in seen:
            continue
        seen.add(key)
        pairs.append(
            DuplicatePair(
                kind="near",
                first_set=role,
                first_id=query,
                second_set="train",
                second_id=match,
                first_patient=queries.patient_ids[row],
                second_patient=references.patient_ids[index],
                correlation=float(ranking.similarity[row, 0]),
                transform=TRANSFORMS[int(ranking.placement[row, 0, 0])],
            )
        )
    return pairs


def contamination_of_test(
    test: ImageSet,
    train: ImageSet,
    rows: Integers,
    ranking: PatientRanking,
    limit: float,
    *,
    train_varies: Flags | None = None,
) -> Contamination:
    """Find the test images that are, or may be, training images or of training patients.

    A patient with one such image leaves with all images: the others show the same person.

    Parameters
    ----------
    rows, ranking
        Test images that were compared, and the training patients of each, dihedral family.
    train_varies
        (m,) training images that are not constant: empty slices are equal and show nobody. None
        if none is constant.
    """
    known = {
        digest
        for row, digest in enumerate(train.pixel_hashes)
        if train_varies is None or train_varies[row]
    }
    images = np.array([digest in known for digest in test.pixel_hashes])
    images[rows] |= _nearest(ranking) >= limit
    # Known patients only: images without one go by their own names, which two sets may share.
    shared = {
        patient for patient in set(test.patient_ids) & set(train.patient_ids) if patient is not None
    }
    images |= np.array([patient in shared for patient in test.patient_ids], dtype=bool)
    linked = np.isin(test.patient_codes, np.unique(test.patient_codes[images]))
    return Contamination(linked, tuple(sorted(shared)), images)


def _nearest(ranking: PatientRanking) -> Floats:
    if not ranking.depth:
        return np.full(len(ranking), -1.0)
    return np.nan_to_num(ranking.similarity[:, 0], nan=-1.0)


def _exact_pair(
    first: ImageSet, first_role: Role, i: int, second: ImageSet, second_role: Role, j: int
) -> DuplicatePair:
    return DuplicatePair(
        kind="exact",
        first_set=first_role,
        first_id=first.image_ids[i],
        second_set=second_role,
        second_id=second.image_ids[j],
        first_patient=first.patient_ids[i],
        second_patient=second.patient_ids[j],
        correlation=1.0,
    )
