"""Patients that share an image count as one person."""

from __future__ import annotations

import numpy as np
from tests.audit.conftest import slices_of

from likeness._audit.people import find_people
from likeness.datasets import ImageSet
from likeness.scores import rank_groups


def ranking_of(values):
    values = np.array(values, dtype=float)
    return rank_groups(values, np.tile(np.arange(values.shape[1]), (len(values), 1)), depth=9)


def four_patients(**equal):
    images = np.concatenate([slices_of(patient, 1) for patient in range(4)])
    for name, other in equal.items():
        images[int(name[1])] = images[other]
    return ImageSet.from_arrays(images, patient_ids=["a", "b", "c", "d"])


def test_equal_pixels_under_two_names_are_one_person():
    train = four_patients(_3=1)
    people = find_people(train, np.arange(4), ranking_of(np.zeros((4, 4))))
    assert people.merged == [["b", "d"]]
    assert people.of_images(train).tolist() == [0, 1, 2, 1]
    assert people.num_groups == 3


def test_practically_equal_images_merge_and_almost_equal_ones_do_not():
    values = np.zeros((4, 4))
    values[0, 2] = 0.9995
    values[1, 3] = 0.9985
    people = find_people(four_patients(), np.arange(4), ranking_of(values))
    assert people.merged == [["a", "c"]]


def test_merging_is_transitive():
    values = np.zeros((4, 4))
    values[0, 1] = values[1, 2] = 1.0
    people = find_people(four_patients(), np.arange(4), ranking_of(values))
    assert people.merged == [["a", "b", "c"]]


def test_without_equal_images_every_patient_is_a_person():
    people = find_people(four_patients(), np.arange(4), ranking_of(np.zeros((4, 4))))
    assert people.merged == []
    assert people.num_groups == 4
