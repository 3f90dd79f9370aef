"""Correlation of fine structure: without the large shapes that all pictures of a kind share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from likeness.similarity._pairs import float_pair, mean_defined, pearson, varies

if TYPE_CHECKING:
    from likeness.types import Image

_COARSE: Final = 1 / 16
_FINE: Final = 1 / 64
"""Standard deviations as parts of the side: structures between them are kept."""


def high_pass_correlation(query: Image, reference: Image) -> float | None:
    """Average over channels the correlation of differences of two Gaussians.

    Each picture blurred by 1/64 of its side, less itself blurred by 1/16 (4 and 16 pixels of 256):
    what is coarser is alike in strangers, what is finer is noise. It still sees a copy that was
    blended with another picture.

    Parameters
    ----------
    query, reference
        (C, H, W), same shape.

    Returns
    -------
    float or None
        In [-1, 1], the mean over the channels that vary in both images; None where none does.

    Raises
    ------
    ImageMismatchError
        If shapes differ.
    InputError
        If a value is not finite.
    """
    from scipy.ndimage import gaussian_filter

    pair = float_pair(query, reference)
    sides = pair[0].shape[1:]
    fine, coarse = (tuple(part * side for side in sides) for part in (_FINE, _COARSE))
    values: list[float | None] = []
    for x, y in zip(*pair, strict=True):
        if not (
            varies(x) and varies(y)
        ):  # blurring a constant channel leaves rounding, not structure
            values.append(None)
            continue
        kept = [gaussian_filter(z, fine) - gaussian_filter(z, coarse) for z in (x, y)]
        values.append(pearson(*kept))
    return mean_defined(values)
