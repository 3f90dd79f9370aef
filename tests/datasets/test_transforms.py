import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from likeness.datasets.transforms import (
    crop_zero_margin,
    is_really_grey,
    luma,
    pad_to,
    relabel,
    rescale_intensity,
    resize,
    to_uint8,
)
from likeness.errors import OptionError


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 5), st.integers(0, 5))
def test_padding_and_cropping_undo_each_other(rows, columns, more_rows, more_columns):
    image = np.arange(1, 2 * rows * columns + 1, dtype=np.int16).reshape(2, rows, columns)
    padded = pad_to(image, rows + more_rows, columns + more_columns)
    assert padded.sum() == image.sum()
    top, left = more_rows // 2, more_columns // 2
    assert np.array_equal(padded[:, top : top + rows, left : left + columns], image)
    assert np.array_equal(crop_zero_margin(padded, rows, columns), image)


def test_cropping_loses_nothing():
    image = np.zeros((1, 5, 5), np.uint8)
    image[0, 0, 2] = 1
    assert crop_zero_margin(image, 3, 5) is None
    with pytest.raises(OptionError, match="5 x 5"):
        pad_to(image, 4, 5)


def test_eight_bits_are_rounded_and_clipped_and_never_wrap():
    values = np.array([-5, 256, 300, 3000, 254.5, 255.4, 0.5, 1.5])
    assert to_uint8(values).tolist() == [0, 255, 255, 255, 254, 255, 0, 2]
    assert to_uint8(np.array([-32768, 32767], np.int16)).tolist() == [0, 255]
    with pytest.raises(OptionError, match="NaN"):
        to_uint8(np.array([np.nan]))


@given(hnp.arrays(np.int16, 8), st.floats(-1000, 1000), st.floats(0.5, 5000))
def test_rescaling_agrees_with_one_number_at_a_time(values, low, span):
    got = rescale_intensity(values, low, low + span)
    for value, result in zip(values.tolist(), got.tolist(), strict=True):
        exact = (value - low) * 255 / ((low + span) - low)
        assert abs(result - min(max(exact, 0), 255)) <= 0.5 + 1e-9


@pytest.mark.parametrize("bounds", [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_empty_ranges_are_refused(bounds):
    with pytest.raises(OptionError, match="range"):
        rescale_intensity(np.zeros(3), *bounds)


def test_labels_are_replaced_or_refused():
    labels = np.array([[0, 1], [2, 4]], np.float64)
    got = relabel(labels, {1: 51, 2: 102, 4: 204})
    assert got.tolist() == [[0, 51], [102, 204]]
    assert got.dtype == np.uint8
    with pytest.raises(OptionError, match=r"\[3\]"):
        relabel(np.array([3]), {1: 51})
    with pytest.raises(OptionError, match=r"1\.5"):
        relabel(np.array([1.5]), {1: 51})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_halving_with_a_box_filter_is_the_mean_of_four(dtype):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 200, (2, 6, 8)).astype(dtype)
    got = resize(image, 3, 4, "box")
    assert got.dtype == dtype
    mean = image.astype(float).reshape(2, 3, 2, 4, 2).mean(axis=(2, 4))
    # Pillow's 8-bit path rounds twice, after the columns and after the rows.
    bound = {np.uint8: 1.0, np.float32: 1e-4}.get(dtype, 0.5)
    assert np.abs(got - mean).max() <= bound
    assert np.array_equal(resize(image, 6, 8, "lanczos"), image)


def test_resizing_stays_in_range():
    image = np.array([[[0, 65535] * 4] * 8], np.uint16)
    got = resize(image, 11, 13, "lanczos")
    assert got.min() >= 0
    assert got.max() <= 65535
    assert abs(int(got.max()) - 65535) < 3000
    with pytest.raises(OptionError, match="bicubic"):
        resize(image, 4, 4, "sharp")


def test_grey_images_stored_as_rgb():
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    rgb = np.repeat(grey, 3, axis=0)
    assert is_really_grey(rgb)
    assert np.array_equal(luma(rgb), grey)
    near = rgb.copy()
    near[2, 0, 0] = 2
    assert is_really_grey(near)
    near[2, 0, 0] = 3
    assert not is_really_grey(near)
    assert not is_really_grey(rgb[:2])
    deep = np.repeat(grey, 3, axis=0).astype(np.uint16)
    deep[0, 0, 0] += 1
    assert not is_really_grey(deep)
    floats = np.repeat(grey, 3, axis=0).astype(np.float32) / 7
    assert np.array_equal(luma(floats), floats[:1])
