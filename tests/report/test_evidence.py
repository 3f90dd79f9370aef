import numpy as np
import pytest
from tests.report.pages import decode

from likeness.report import evidence


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    train = rng.integers(0, 256, (20, 30)).astype(np.uint8)
    synthetic = np.clip(0.5 * train + rng.normal(40, 12, train.shape), 0, 255).astype(np.uint8)
    return synthetic, train


def test_the_fit_is_the_least_squares_line(pair):
    synthetic, train = pair
    fit = evidence.fit_intensities(synthetic, train)
    slope, offset = np.polyfit(train.ravel().astype(float), synthetic.ravel().astype(float), 1)
    assert fit.slope == pytest.approx(slope, rel=1e-9)
    assert fit.offset == pytest.approx(offset, rel=1e-9)
    assert fit.correlation == pytest.approx(np.corrcoef(synthetic.ravel(), train.ravel())[0, 1])


@pytest.mark.parametrize("constant", ["synthetic", "train"])
def test_a_constant_image_has_no_fit(pair, constant):
    images = dict(zip(("synthetic", "train"), pair, strict=True))
    images[constant] = np.full((20, 30), 7, np.uint8)
    assert evidence.fit_intensities(**images) is None


def test_faint_images_do_not_divide_by_zero():
    faint = np.array([[0.0, 1e-200], [0.0, 0.0]])
    assert evidence.fit_intensities(faint, np.eye(2)) is None


def test_difference_is_grey_at_zero_vermillion_above_blue_below():
    limit = evidence.DIFFERENCE_LIMIT
    rest = np.array([[-9.0, -limit, -limit / 2, 0.0, limit / 2, limit, 9.0]])
    picture = decode(evidence.encode_picture(evidence.difference_picture(rest)).uri)[0]
    below, zero, above = (np.array(colour) for colour in evidence.DIFFERENCE_COLOURS)
    assert picture[3].tolist() == zero.tolist()
    assert len(set(zero.tolist())) == 1  # neutral
    assert picture[[0, 1]].tolist() == [below.tolist()] * 2
    assert picture[[5, 6]].tolist() == [above.tolist()] * 2
    assert np.abs(picture[2].astype(int) - (below + zero) / 2).max() <= 1
    assert np.abs(picture[4].astype(int) - (above + zero) / 2).max() <= 1


def test_a_brighter_spot_of_the_synthetic_image_is_vermillion_in_place():
    rng = np.random.default_rng(5)
    train = rng.uniform(0, 1, (16, 16))
    synthetic = 3 * train + 2
    synthetic[4, 11] += 9
    slope, offset = np.polyfit(train.ravel(), synthetic.ravel(), 1)
    picture = evidence.difference_picture(synthetic - slope * train - offset).astype(int)
    redness = picture[..., 0] - picture[..., 2]
    assert np.unravel_index(redness.argmax(), redness.shape) == (4, 11)
    assert picture[4, 11].tolist() == list(evidence.DIFFERENCE_COLOURS[2])


def test_outside_the_overlap_is_dark_grey_and_not_zero():
    picture = evidence.difference_picture(np.array([[np.nan, 0.0]]))
    assert tuple(picture[0, 0]) == evidence.OUTSIDE_COLOUR
    assert tuple(picture[0, 1]) == evidence.DIFFERENCE_COLOURS[1]


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (1, 1)])
def test_pictures_are_lossless(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    picture = evidence.encode_picture(pixels)
    expected = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)
    assert np.array_equal(decode(picture.uri), expected)
    assert (picture.height, picture.width) == shape[:2]


def test_a_picture_too_long_for_webp_becomes_png():
    pixels = np.arange(17_000, dtype=np.uint32).astype(np.uint8)[None]
    picture = evidence.encode_picture(pixels)
    assert picture.uri.startswith("data:image/png")
    assert np.array_equal(decode(picture.uri)[..., 0], pixels)


def test_brightness_and_contrast_do_not_change_the_picture(pair):
    _, train = pair
    brighter = 3.5 * train.astype(float) - 100
    window = evidence.linked_window(brighter, train)
    first, second = evidence.grey_picture(brighter, window), evidence.grey_picture(train, window)
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 1
    assert first.min() == 0
    assert first.max() == 255


def test_a_mask_of_few_pixels_keeps_its_contrast():
    mask = np.zeros((64, 64), np.uint8)
    mask[3, 5] = 204
    other = np.zeros((64, 64), np.uint8)
    other[3, 5:7] = 51
    picture = evidence.grey_picture(other, evidence.linked_window(other, mask))
    assert picture[0, 0] == 0
    assert picture[3, 6] > 150


def test_constant_images_are_black_and_harmless():
    flat = np.full((4, 4), 9.0)
    window = evidence.linked_window(flat, flat)
    assert evidence.grey_picture(flat, window).max() == 0
    assert evidence.neighbour_picture(flat, flat, window).max() == 0
    assert evidence.neighbour_picture(np.eye(4), flat, window).tolist() == (
        (255 * np.eye(4)).astype(int).tolist()
    )
    assert evidence.scatter_picture(flat, flat, None).shape == (128, 128, 3)


def test_an_adjacent_slice_shares_the_window_of_the_training_image(pair):
    _, train = pair
    window = evidence.linked_window(train, train)
    assert np.array_equal(
        evidence.neighbour_picture(train, train, window), evidence.grey_picture(train, window)
    )
    darker = evidence.neighbour_picture(train // 2, train, window)
    assert darker.mean() < evidence.grey_picture(train, window).mean() - 30


def test_the_scatter_has_training_to_the_right_and_synthetic_upwards():
    train = np.array([[0.0, 10.0, 10.0, 0.0]])
    synthetic = np.array([[0.0, 5.0, 0.0, 0.0]])
    picture = evidence.scatter_picture(synthetic, train, None)[..., 0].astype(int)
    ground = picture[60, 60]
    assert picture[127, 0] > picture[0, 127] > ground  # two pixels and one
    assert picture[127, 127] > ground
    assert picture[0, 0] == ground


def test_the_line_of_the_scatter_is_the_fit():
    train = np.linspace(0, 8, 81).reshape(9, 9)
    synthetic = 2 * train + 1
    fit = evidence.fit_intensities(synthetic, train)
    picture = evidence.scatter_picture(synthetic, train, fit)
    line = np.argwhere((picture == (230, 159, 0)).all(axis=2))
    assert {row + column for row, column in line.tolist()} <= {126, 127, 128}
    assert len({column for _, column in line.tolist()}) == 128
