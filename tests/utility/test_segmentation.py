"""Segmentation on artificial lesions."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.datasets.image_set import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError, SplitOverlapError
from likeness.utility import UtilityOptions, measure_segmentation
from likeness.utility.sets import fitting_sets, labels_of, split_rows
from likeness.utility.tasks import Segmentation

DICE = "Dice, any label"
QUICK = UtilityOptions(steps=60, seeds=1, annotation="seg", learning_rate=5e-3, bootstrap=200)


@pytest.fixture(scope="module")
def measured(lesion_sets):
    return measure_segmentation(*lesion_sets, options=QUICK)


def test_an_easy_task_is_learned_from_each_source(measured):
    constant = measured.find("constant: mean map", DICE).value
    assert constant < 0.35
    for source in ("real", "synthetic", "both"):
        found = measured.find(source, DICE)
        assert found.value > constant + 0.3
        assert found.low <= found.value <= found.high
        assert len(found.seeds) == 1


def test_the_limit_is_told_where_the_numbers_are(measured):
    assert "nothing about privacy" in measured.notes[0]


def test_noise_teaches_nothing(lesion_sets):
    train, _, test = lesion_sets
    rng = np.random.default_rng(9)
    pixels = rng.integers(0, 256, (72, 2, 16, 16)).astype(np.uint8)
    pixels[:, 1] = np.where(rng.random((72, 16, 16)) < 0.07, 102, 0)
    noise = ImageSet.from_arrays(pixels, channels=train.channels)
    found = measure_segmentation(train, noise, test, options=QUICK)
    best = max(one.value for one in found.baselines if one.measure == DICE)
    assert found.find("synthetic", DICE).value < best + 0.15
    assert found.find("synthetic - real", DICE).high < -0.2


def test_the_same_again(lesion_sets, measured):
    short = UtilityOptions(steps=8, seeds=1, annotation="seg", bootstrap=100)
    one, two = (measure_segmentation(*lesion_sets, options=short) for _ in range(2))
    assert one.networks == two.networks


def test_counts_of_patients_are_those_written_out(lesion_sets):
    task = Segmentation(fitting_sets(*lesion_sets), QUICK)
    test = lesion_sets[2]
    truth = test.read(0, len(test))[:, 1] > 0
    said = np.random.default_rng(3).random(truth.shape) < 0.3
    answers = np.stack([~said, said], axis=1).astype(np.float32)
    counted = task.count(answers[k : k + 5] for k in range(0, len(answers), 5))
    dice = []
    for patient in test.patient_names:
        mine = np.array([name == patient for name in test.patient_ids])
        a, b = said[mine], truth[mine]
        dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    empty = ~truth.any(axis=(1, 2))
    found = task.statistics(counted, np.ones((1, test.num_patients)))
    assert found[DICE][0] == pytest.approx(np.mean(dice))
    assert found["labelled share of empty images"][0] == pytest.approx(said[empty].mean())


def test_the_mean_map_has_the_best_threshold_of_the_training_set(lesion_sets):
    train, synthetic, _ = lesion_sets
    # Tested on the training images, under other names, no threshold may do better in all pixels.
    again = ImageSet.from_arrays(train.read(0, len(train)), channels=train.channels)
    counted = Segmentation(fitting_sets(train, synthetic, again), QUICK).baselines()["mean map"]
    both, said, true = (np.array(counted[key])[:, 0].sum() for key in ("both", "said", "true"))
    masks = train.read(0, len(train))[:, 1] > 0
    share = masks.mean(axis=0)
    every = [
        2 * (masks & (share >= cut)).sum() / ((share >= cut).sum() * len(masks) + masks.sum())
        for cut in np.unique(share[share > 0])
    ]
    assert 2 * both / (said + true) == pytest.approx(max(every))


def test_a_pixel_takes_the_nearest_label_the_lower_of_two():
    pixels = np.array([0, 25, 26, 51, 76, 77, 255], np.uint8)
    assert labels_of(pixels, (0, 51, 102)).tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_several_labels_have_a_line_each(lesion_sets):
    sets = []
    for images in lesion_sets:
        pixels = images.read(0, len(images))
        pixels[::2, 1][pixels[::2, 1] > 0] = 204
        sets.append(
            ImageSet.from_arrays(
                pixels, channels=images.channels, patient_ids=list(images.patient_ids)
            )
        )
    options = UtilityOptions(steps=2, seeds=2, annotation="seg", bootstrap=100, checks=1)
    found = measure_segmentation(*sets, options=options)
    names = {one.measure for one in found.networks}
    assert {"Dice, label 102", "Dice, label 204", DICE} <= names
    real = found.find("real", DICE)
    assert real.value == pytest.approx(np.mean(real.seeds))


def test_any_size_is_taken(make_lesions):
    sets = [make_lesions(4, 4, seed=k, name=name, size=19) for k, name in enumerate("ast")]
    options = UtilityOptions(steps=2, seeds=1, annotation="seg", bootstrap=100, checks=1)
    assert measure_segmentation(*sets, options=options).task == "segmentation"


def test_validation_shares_no_patient(lesion_sets):
    train = lesion_sets[0]
    kept, held = split_rows(train, 0.2)
    assert sorted([*kept, *held]) == list(range(len(train)))
    assert not {train.patient_ids[k] for k in kept} & {train.patient_ids[k] for k in held}
    assert len({train.patient_ids[k] for k in held}) == 2


def test_a_patient_in_training_and_test_is_refused(lesion_sets):
    train, synthetic, _ = lesion_sets
    with pytest.raises(SplitOverlapError, match="12 patients are in the training and in the test"):
        measure_segmentation(train, synthetic, train, options=QUICK)


def test_copied_test_images_are_noted(lesion_sets):
    train, _, test = lesion_sets
    copied = ImageSet.from_arrays(test.read(0, 3), channels=test.channels)
    notes = fitting_sets(train, copied, test).notes
    assert any("3 test images are, pixel for pixel, in the synthetic set" in one for one in notes)


def test_other_channels_and_sizes_are_refused(lesion_sets, make_lesions):
    train, synthetic, test = lesion_sets
    with pytest.raises(ImageMismatchError, match="has the channels flair"):
        fitting_sets(train, synthetic.select_channels(["flair"]), test)
    with pytest.raises(ImageMismatchError, match="19 x 19"):
        fitting_sets(train, make_lesions(2, 2, seed=0, name="x", size=19), test)


def test_an_annotation_must_be_known_and_there(lesion_sets):
    unmarked = [one.rename_channels(["flair", "map"]) for one in lesion_sets]
    with pytest.raises(OptionError, match="marks 0 of its channels"):
        measure_segmentation(*unmarked, options=UtilityOptions())
    train, synthetic, test = lesion_sets
    pixels = test.read(0, len(test))
    pixels[:, 1] = 0
    empty = ImageSet.from_arrays(pixels, channels=test.channels)
    with pytest.raises(InputError, match="No pixel of the test set is annotated"):
        measure_segmentation(train, synthetic, empty, options=QUICK)
    with pytest.raises(ImageMismatchError, match="more than 32 intensities"):
        measure_segmentation(*unmarked, options=UtilityOptions(annotation="flair"))


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"batch": 3}, {"validation_share": 1.0}, {"bootstrap": 5}, {"learning_rate": 0}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(OptionError, match=f"{next(iter(wrong))} is"):
        UtilityOptions(**wrong)
