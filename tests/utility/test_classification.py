"""Classification on two artificial classes."""

from __future__ import annotations

import pytest

from likeness.errors import InputError
from likeness.utility import UtilityOptions, measure_classification

QUICK = UtilityOptions(steps=40, seeds=1, learning_rate=5e-3, bootstrap=200)


def test_an_easy_task_is_learned(class_sets):
    found = measure_classification(*class_sets, options=QUICK)
    for source in ("real", "synthetic", "both"):
        assert found.find(source, "AUC").value > 0.95
        assert found.find(source, "balanced accuracy").value > 0.85
    assert found.find("constant: commonest class", "AUC").value == 0.5
    assert found.find("constant: commonest class", "balanced accuracy").value == 0.5


def test_permuted_classes_of_the_test_cannot_be_told(class_sets, make_classes):
    # Not those of the training: a network of such an easy task leans to one side by chance, and
    # its AUC is anything from 0 to 1, 0.5 only in the mean over permutations.
    train, synthetic, _ = class_sets
    permuted = make_classes(60, 3, seed=7, name="p", permuted=True)
    found = measure_classification(train, synthetic, permuted, options=QUICK)
    for source in ("real", "synthetic", "both"):
        # 180 images: the standard deviation of an AUC without information is 0.043.
        assert abs(found.find(source, "AUC").value - 0.5) < 0.13


def test_synthetic_images_without_classes_say_how_to_get_them(class_sets, make_classes):
    train, _, test = class_sets
    unnamed = make_classes(3, 2, seed=1, name="u", named=False)
    with pytest.raises(InputError, match="likeness train ddpm sets/train --classes"):
        measure_classification(train, unnamed, test, options=QUICK)
    with pytest.raises(InputError, match="folders such as NORMAL"):
        measure_classification(unnamed, train, test, options=QUICK)


def test_a_missing_class_is_told(class_sets):
    train, synthetic, test = class_sets
    normal = synthetic.subset([k for k, one in enumerate(synthetic.classes) if one == "NORMAL"])
    with pytest.raises(InputError, match="synthetic set has the classes NORMAL; the training"):
        measure_classification(train, normal, test, options=QUICK)
