"""Principal components against a singular value decomposition."""

import numpy as np
import pytest

from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.metrics.features import FeatureExtractor, FeatureRecipe
from likeness.metrics.principal_components import PrincipalComponents


def some_images(count, side=6, seed=0):
    rng = np.random.default_rng(seed)
    smooth = rng.integers(0, 60, (count, 1, side, side)).cumsum(axis=3) // 2
    return smooth.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("count", [20, 80])
def test_they_agree_with_a_singular_value_decomposition(count):
    """By way of the images where these are fewer than the pixels, and by way of the pixels."""
    images = some_images(count)
    fitted = PrincipalComponents(components=5).fit(ImageSet.from_arrays(images))
    pixels = images.reshape(count, -1).astype(float)
    centred = pixels - pixels.mean(axis=0)
    _, values, components = np.linalg.svd(centred, full_matrices=False)
    variances = values**2 / (count - 1)
    expected = centred @ components[:5].T / np.sqrt(variances[:5].mean())
    found = fitted.features(images)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-9)
    assert found.var(axis=0, ddof=1).mean() == pytest.approx(1)
    share = fitted.record["variance_explained"]
    assert share == pytest.approx(variances[:5].sum() / variances.sum())
    assert isinstance(fitted, FeatureExtractor)
    assert isinstance(PrincipalComponents(), FeatureRecipe)


def test_there_are_no_more_than_the_images_have():
    assert PrincipalComponents(64).fit(ImageSet.from_arrays(some_images(10))).num_features == 9


def test_fitting_on_some_of_them():
    images = some_images(50)
    fitted = PrincipalComponents(3, fit_images=11).fit(ImageSet.from_arrays(images))
    same = PrincipalComponents(3).fit(
        ImageSet.from_arrays(images[np.linspace(0, 49, 11).round().astype(int)])
    )
    assert fitted.record["fitted_on_images"] == 11
    assert fitted.features(images) == pytest.approx(same.features(images))
    assert fitted.key != same.key


def test_the_key_is_of_the_images_and_the_number():
    images = ImageSet.from_arrays(some_images(20))
    key = PrincipalComponents(3).fit(images).key
    assert key == PrincipalComponents(3).fit(images).key
    assert key != PrincipalComponents(4).fit(images).key
    assert key != PrincipalComponents(3).fit(ImageSet.from_arrays(some_images(20, seed=1))).key


def test_what_cannot_be_fitted_or_projected():
    with pytest.raises(InputError, match="all equal"):
        PrincipalComponents().fit(ImageSet.from_arrays(np.zeros((5, 1, 4, 4), np.uint8)))
    with pytest.raises(InputError, match="at least two real images"):
        PrincipalComponents().fit(ImageSet.from_arrays(some_images(1)))
    with pytest.raises(ImageMismatchError, match="8-bit images; these are uint16"):
        PrincipalComponents().fit(ImageSet.from_arrays(np.zeros((5, 1, 4, 4), np.uint16)))
    with pytest.raises(OptionError, match="at least 1 component"):
        PrincipalComponents(0)
    fitted = PrincipalComponents().fit(ImageSet.from_arrays(some_images(20)))
    with pytest.raises(ImageMismatchError, match=r"are of images \(1, 6, 6\)"):
        fitted.features(np.zeros((2, 1, 8, 8), np.uint8))
