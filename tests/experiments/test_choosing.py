import numpy as np
import pytest

from likeness.datasets import ImageSet
from likeness.errors import InputError
from likeness.experiments.images import whole_patients
from likeness.experiments.sharpness import blur_like, high_energy


def images(patients):
    pixels = np.random.default_rng(0).integers(0, 256, (len(patients), 1, 8, 8), dtype=np.uint8)
    return ImageSet.from_arrays(pixels, patient_ids=patients)


def test_patients_are_taken_whole_but_for_the_last():
    names = [f"P{k // 5}" for k in range(50)]
    rows = whole_patients(images(names), 23, seed=0)
    assert len(set(rows.tolist())) == 23
    assert sorted(rows.tolist()) == rows.tolist()
    per_patient = np.bincount([int(names[row][1:]) for row in rows], minlength=10)
    assert sorted(per_patient[per_patient > 0].tolist()) == [3, 5, 5, 5, 5]
    assert whole_patients(images(names), 23, seed=0).tolist() == rows.tolist()


def test_all_images_or_too_many():
    names = ["a", "a", "b"]
    assert whole_patients(images(names), None, seed=0).tolist() == [0, 1, 2]
    assert whole_patients(images(names), 3, seed=0).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="3, fewer than the 4 wanted"):
        whole_patients(images(names), 4, seed=0)


def test_high_energy_is_that_of_high_frequencies_alone():
    columns = np.arange(16)
    slow = np.tile(127 + 100 * np.cos(2 * np.pi * columns / 16), (1, 1, 16, 1))
    fast = np.tile(127 + 100 * np.cos(np.pi * columns), (1, 1, 16, 1))
    assert high_energy(slow) < 1e-20
    assert high_energy(fast) > 10


def test_held_out_images_are_blurred_until_they_are_as_soft():
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(2)
    sharp = rng.integers(0, 256, (30, 1, 32, 32)).astype(np.uint8)
    others = rng.integers(0, 256, (30, 1, 32, 32)).astype(np.float64)
    soft = gaussian_filter(others, (0, 0, 0.7, 0.7), mode="nearest").round().astype(np.uint8)
    made, sd = blur_like(ImageSet.from_arrays(sharp), ImageSet.from_arrays(soft))
    assert sd == pytest.approx(0.7, abs=0.05)
    assert high_energy(made.read(0, 30)) == pytest.approx(high_energy(soft), rel=0.1)
    same, none = blur_like(ImageSet.from_arrays(soft), ImageSet.from_arrays(sharp))
    assert none == 0.0
    assert (same.read(0, 30) == soft).all()
