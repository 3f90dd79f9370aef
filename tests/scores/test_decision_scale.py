"""Images as whole numbers at the scale of decisions."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.datasets import ImageSet
from likeness.errors import InputError
from likeness.scores import decision_images
from likeness.similarity import block_correlation_mean


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 128, 128), (1, 100, 72), (3, 40, 40)], ids=str)
def test_correlations_are_those_of_block_means(dtype, shape):
    rng = np.random.default_rng(4)
    images = rng.normal(100, 30, (2, *shape)).clip(0, 255).astype(dtype)
    found = decision_images(ImageSet.from_arrays(images), tuple(range(shape[0])))
    first, second = found.values.astype(float).reshape(2, shape[0], -1)
    mean = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)])
    assert mean == pytest.approx(block_correlation_mean(images[0], images[1]), abs=2e-5)


def test_gain_and_offset_of_a_channel_do_not_matter():
    rng = np.random.default_rng(5)
    image = rng.integers(0, 100, (1, 2, 64, 64)).astype(np.uint8)
    brighter = image.copy()
    brighter[0, 1] = 2 * brighter[0, 1] + 30
    one, other = (decision_images(ImageSet.from_arrays(i), (0, 1)) for i in (image, brighter))
    np.testing.assert_array_equal(one.values, other.values)


def test_a_constant_channel_is_marked_and_only_chosen_channels_are_there():
    images = np.zeros((3, 3, 64, 64), dtype=np.float32)
    images[:, 1] = np.linspace(0, 1, 64)
    images[1, 2] = 7.5
    images[2, 2] = np.linspace(0, 1, 64)[:, None]
    found = decision_images(ImageSet.from_arrays(images), (2, 1))
    assert found.shape == (2, 64, 64)
    assert found.varies.tolist() == [[False, True], [False, True], [True, True]]
    assert found.values[2, 0].min() == 0
    assert found.values[2, 0].max() == 65535


def test_what_is_not_finite_is_refused():
    images = np.zeros((1, 1, 64, 64), dtype=np.float32)
    images[0, 0, 3, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        decision_images(ImageSet.from_arrays(images), (0,))
