"""Which axis of an array is which: a small, written rule, and a refusal where it does not decide.

An axis of length 8 or less can be channels; an axis longer than 8 can be rows or columns.

===========  ==================================================  ======
axes         condition                                           read as
===========  ==================================================  ======
2            both longer than 8                                  hw
3            all longer than 8                                   nhw
3            only the last is 8 or less                          hwc
4            the last is 8 or less, the second and third longer  nhwc
4            the second is 8 or less, the last two longer        nchw
===========  ==================================================  ======

Everything else is ambiguous: (5, 64, 64) may be five grey images or one image of five channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.readers._base import ArrayLayout, ReadOptions
    from likeness.readers._sources import Source

_MAX_CHANNELS: Final = 8
_NAMES: Final = {2: ("hw",), 3: ("hwc", "chw", "nhw"), 4: ("nhwc", "nchw")}


@dataclass(frozen=True)
class Arrangement:
    """How an array holds images."""

    layout: str
    """One letter per axis: n images, c channels, h rows, w columns."""
    num_images: int
    batched: bool
    """There is an axis of images, be it of length 1."""
    shape: tuple[int, int, int]
    """(C, H, W) of one image."""

    def page(self, image: NDArray[Any]) -> NDArray[Any]:
        """Turn one image as stored, without its axis n, into (C, H, W); a view."""
        axes = self.layout.removeprefix("n")
        if "c" not in axes:
            return image[None]
        return image.transpose([axes.index(letter) for letter in "chw"])


def arrange(source: Source, shape: tuple[int, ...], options: ReadOptions) -> Arrangement:
    """Find out how an array holds images.

    Raises
    ------
    UnreadableImageError
        ``bad_size`` if it cannot hold any, ``ask_array_layout`` if it can in several ways or not
        in the way that the options say.
    """
    words = " x ".join(map(str, shape)) or "no axes"
    allowed = _NAMES.get(len(shape))
    if allowed is None:
        source.refuse("bad_size", f"the array is {words}; images need 2, 3 or 4 axes")
    if 0 in shape:
        source.refuse("bad_size", f"the array is {words}: it holds no pixels")
    layout: ArrayLayout | None = options.array_layout
    if layout == "auto":
        layout = _guess(shape)
    if layout is None or layout not in allowed:
        source.refuse(
            "ask_array_layout",
            f"the array is {words}; say what the axes are with array_layout="
            f"{' or '.join(map(repr, allowed))} (likeness prepare images --array-layout)",
        )
    size = dict(zip(layout, shape, strict=True))
    return Arrangement(
        layout, size.get("n", 1), "n" in size, (size.get("c", 1), size["h"], size["w"])
    )


def _guess(shape: tuple[int, ...]) -> ArrayLayout | None:
    small = tuple(length <= _MAX_CHANNELS for length in shape)
    rules: dict[tuple[bool, ...], ArrayLayout] = {
        (False, False): "hw",
        (False, False, False): "nhw",
        (False, False, True): "hwc",
        (False, False, False, True): "nhwc",
        (True, False, False, True): "nhwc",  # the first axis counts images: any length will do
        (False, True, False, False): "nchw",
        (True, True, False, False): "nchw",
    }
    return rules.get(small)
