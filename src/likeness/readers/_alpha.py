"""Transparency: an alpha channel is no tissue and must not enter a correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.readers._base import ReadOptions
    from likeness.readers._sources import Source


def without_alpha(
    source: Source, colours: NDArray[Any], alpha: NDArray[Any], options: ReadOptions
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Drop an opaque alpha channel, or lay the colours on a plain background.

    Each value becomes ``(value * a + background * (top - a)) / top``, rounded half up, in integers,
    where ``top`` is the largest value of the number type.

    Parameters
    ----------
    colours
        (H, W, C), uint8 or uint16, not multiplied by alpha.
    alpha
        (H, W), the same number type; 0 is transparent.

    Returns
    -------
    colours
        (H, W, C).
    notes
        What was done.

    Raises
    ------
    UnreadableImageError
        ``transparent``, where `ReadOptions.alpha` says refuse.
    """
    top = np.iinfo(colours.dtype).max
    transparent = int(np.count_nonzero(alpha != top))
    if not transparent:
        return colours, ("opaque alpha channel dropped",)
    if options.alpha == "refuse":
        source.refuse(
            "transparent",
            f"{transparent:,} of {alpha.size:,} pixels are transparent; remove the alpha channel, "
            "or pass alpha='black' or 'white' to lay the image on that background",
        )
    background = 0 if options.alpha == "black" else top
    weight = alpha[..., np.newaxis].astype(np.uint64)
    mixed = colours * weight + background * (top - weight) + top // 2
    note = f"{transparent:,} transparent pixels laid on {options.alpha}"
    return (mixed // top).astype(colours.dtype), (note,)
