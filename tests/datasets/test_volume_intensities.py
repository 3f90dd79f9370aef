"""Counting and looking up against the same formulas applied to every voxel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from likeness.datasets.transforms import relabel, rescale_intensity
from likeness.datasets.volume_intensities import (
    as_they_are,
    labels_of,
    occurrences,
    relabelled,
    scaled_to_quantile,
)
from likeness.errors import OptionError

SMALL = (np.int8, np.uint8, np.int16, np.uint16)
shapes = arrays.array_shapes(min_dims=3, max_dims=3, max_side=9)
volumes = st.sampled_from(SMALL).flatmap(lambda dtype: arrays.arrays(dtype, shapes))


def layouts(voxels):
    """The same numbers as readers leave them: in C or Fortran order, with axes turned about."""
    fortran = np.asfortranarray(voxels)
    return voxels, fortran, np.ascontiguousarray(voxels[::-1])[::-1], fortran[::-1, ::-1].copy("K")


@given(volumes)
def test_occurrences_are_what_unique_counts(voxels):
    for each in (voxels, np.asfortranarray(voxels)[::-1, :, ::-1]):
        found = occurrences(each)
        values, counts = np.unique(voxels, return_counts=True)
        assert found.values.dtype == voxels.dtype
        assert np.array_equal(found.values, values)
        assert np.array_equal(found.counts, counts)


def test_more_voxels_than_are_counted_at_once():
    voxels = np.random.default_rng(0).integers(-300, 4000, (70, 60, 50)).astype(np.int16)
    voxels[:, :, 10:] = 0
    found = occurrences(voxels)
    values, counts = np.unique(voxels, return_counts=True)
    assert np.array_equal(found.values, values)
    assert np.array_equal(found.counts, counts)


@given(volumes, st.one_of(st.sampled_from([0.5, 0.999, 1.0]), st.floats(1e-6, 1.0)))
def test_quantiles_are_numpys_bit_for_bit(voxels, share):
    assert occurrences(voxels).quantile(share) == np.quantile(voxels.astype(np.float64), share)


@given(volumes, st.sampled_from([0.6, 0.9, 0.999, 1.0]))
def test_scaling_is_that_of_every_voxel(voxels, share):
    top = float(np.quantile(voxels.astype(np.float64), share))
    for each in (voxels, voxels.astype(np.int32), voxels.astype(np.float32)):
        for laid_out in layouts(each):
            make, remark = scaled_to_quantile(laid_out, share)
            if top <= 0:
                assert remark == "no intensity above zero"
                assert not make(laid_out).any()
                continue
            assert remark == ("negative intensities became 0" if voxels.min() < 0 else "")
            expected = rescale_intensity(laid_out, 0.0, top)
            assert np.array_equal(make(laid_out), expected)
            turned = laid_out[:, :, 0].T[::-1, ::-1]
            assert np.array_equal(make(turned), expected[:, :, 0].T[::-1, ::-1])


@pytest.mark.parametrize("dtype", [*SMALL, np.int32, np.float32, np.float64])
def test_labels_of_any_type_are_replaced(dtype):
    voxels = np.random.default_rng(1).choice([0, 1, 2, 4], (5, 6, 7)).astype(dtype)
    found = labels_of(voxels)
    assert found.tolist() == [0, 1, 2, 4]
    mapping = {1: 51, 2: 102, 4: 204}
    assert np.array_equal(relabelled(voxels, found, mapping)(voxels), relabel(voxels, mapping))
    with pytest.raises(OptionError, match="4"):
        relabelled(voxels, found, {1: 51, 2: 102})


def test_a_label_below_zero_or_between_two_is_refused():
    for voxels in (np.full((2, 2, 2), -1, np.int16), np.full((2, 2, 2), 0.5)):
        with pytest.raises(OptionError, match="labels"):
            relabelled(voxels, labels_of(voxels), {1: 51})


def test_intensities_are_kept_only_if_they_are_bytes():
    fine = np.array([[[0, 255, 7]]], np.int16)
    assert as_they_are(fine)(fine).tolist() == [[[0, 255, 7]]]
    assert as_they_are(fine.astype(np.float32))(fine.astype(np.float32)).tolist() == fine.tolist()
    assert as_they_are(np.array([[[0, 256]]], np.int16)) == (0.0, 256.0)
    assert as_they_are(np.array([[[-1, 3]]], np.int8)) == (-1.0, 3.0)
    assert as_they_are(np.array([[[0.5, 3.0]]])) == (0.5, 3.0)
