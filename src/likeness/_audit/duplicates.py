"""Equal and almost equal images that should not be: looked for before anything is decided.

Three kinds matter:
- equal pixels within a set, or across train and test (found by hash, in all images);
- almost equal images of *different* patients (r_ch at 64 x 64 at or above a limit): the same
  person under two names, or a test image that is also a training image;
- patients that are in train and test.

A test image that is a training image makes the baseline too high, and copies pass. So does another
picture of the same person; therefore patients leave the baseline as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from likeness._audit.comparisons import Highest
from likeness._findings import DuplicatePair
from likeness.datasets import ImageSet
from likeness.types import Flags

Role = Literal["train", "test", "synthetic"]


@dataclass(frozen=True)
class Contamination:
    """Which images of a baseline are not what a baseline needs."""

    images: Flags
    """(n,) True for images that leave the baseline."""
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
    groups: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(images.pixel_hashes):
        groups[digest].append(index)
    return [
        _exact_pair(images, role, members[0], images, role, other)
        for members in groups.values()
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


def near_duplicates(
    highest: Highest, queries: ImageSet, role: Role, references: ImageSet, limit: float
) -> list[DuplicatePair]:
    """Return each query whose nearest training image of another patient is at least `limit`.

    A pair of training images found from both sides is listed once.
    """
    pairs = []
    seen = set()
    for row in np.flatnonzero(np.nan_to_num(highest.score, nan=-1.0) >= limit):
        query, match = highest.query_ids[row], references.image_ids[highest.match[row]]
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
                second_patient=references.patient_ids[highest.match[row]],
                correlation=float(highest.score[row]),
                transform=highest.transform_name(row),
            )
        )
    return pairs


def contamination_of_test(
    test: ImageSet, train: ImageSet, highest: Highest, limit: float
) -> Contamination:
    """Find the test images that are, or may be, training images or of training patients.

    A patient with one such image leaves with all images: the others show the same person.
    """
    known = set(train.pixel_hashes)
    images = np.array([digest in known for digest in test.pixel_hashes])
    images |= np.nan_to_num(highest.score, nan=-1.0) >= limit
    # Known patients only: images without one go by their own names, which two sets may share.
    shared = {
        patient for patient in set(test.patient_ids) & set(train.patient_ids) if patient is not None
    }
    images |= np.array([patient in shared for patient in test.patient_ids], dtype=bool)
    linked = {highest.query_patients[row] for row in np.flatnonzero(images)}
    return Contamination(_images_of(linked, highest), tuple(sorted(shared)), images)


def contamination_of_train(highest: Highest, train: ImageSet, limit: float) -> Contamination:
    """Find the training images of patients that share an almost equal image with another patient.

    All images of both leave: if they are one person under two names, other pictures of that person
    are as close as no other people are.
    """
    found = np.nan_to_num(highest.score, nan=-1.0) >= limit
    rows = np.flatnonzero(found)
    linked = {highest.query_patients[row] for row in rows}
    linked |= {train.patient_names[train.patient_codes[highest.match[row]]] for row in rows}
    return Contamination(_images_of(linked, highest), found=found)


def _images_of(patients: set[str], highest: Highest) -> Flags:
    return np.array([patient in patients for patient in highest.query_patients], dtype=bool)


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
