"""The eight flips and quarter turns of a picture.

All of them are one transposition (or none) followed by one mirroring per axis (or none), which is
how they are written down here; a search names the one that brings the query onto the reference.

    identity       a b      flip_h  b a      flip_v  c d      rot180         d c
                   c d              d c              a b                     b a

    rot90          b d      rot270  c a      transpose  a c   antitranspose  d b
    (to the left)  a c              d b                 b d                  c a
"""

from __future__ import annotations

from typing import Final

from likeness.errors import OptionError
from likeness.types import TRANSFORMS, Image, Transform

_STEPS: Final[dict[Transform, tuple[bool, bool, bool]]] = {
    # swap rows and columns; then mirror up-down; then mirror left-right
    "identity": (False, False, False),
    "flip_h": (False, False, True),
    "flip_v": (False, True, False),
    "rot90": (True, True, False),
    "rot180": (False, True, True),
    "rot270": (True, False, True),
    "transpose": (True, False, False),
    "antitranspose": (True, True, True),
}
_NAMES: Final = {steps: name for name, steps in _STEPS.items()}


def apply_transform(image: Image, name: Transform) -> Image:
    """Flip or turn pictures.

    Parameters
    ----------
    image
        (..., H, W), any number type.
    name
        One of `TRANSFORMS`. ``rot90`` turns to the left, as `numpy.rot90` does.

    Returns
    -------
    Image
        A view of `image`: (..., H, W), or (..., W, H) after a quarter turn.

    Raises
    ------
    OptionError
        If there is no such transform.
    """
    swap, mirror_rows, mirror_columns = transform_steps(name)
    if swap:
        image = image.swapaxes(-2, -1)
    if mirror_rows:
        image = image[..., ::-1, :]
    if mirror_columns:
        image = image[..., ::-1]
    return image


def inverse_transform(name: Transform) -> Transform:
    """Return the transform that undoes `name`."""
    swap, mirror_rows, mirror_columns = transform_steps(name)
    if swap:  # the mirrorings meet the other axis once rows and columns are swapped back
        mirror_rows, mirror_columns = mirror_columns, mirror_rows
    return _NAMES[swap, mirror_rows, mirror_columns]


def compose_transforms(first: Transform, second: Transform) -> Transform:
    """Return the transform that does what `first` and then `second` do."""
    swap_a, rows_a, columns_a = transform_steps(first)
    swap_b, rows_b, columns_b = transform_steps(second)
    if swap_b:
        rows_a, columns_a = columns_a, rows_a
    return _NAMES[swap_a != swap_b, rows_a != rows_b, columns_a != columns_b]


def possible_transforms(
    names: tuple[Transform, ...], height: int, width: int
) -> tuple[Transform, ...]:
    """Return those of `names`, in the order of `TRANSFORMS`, that keep the shape of a picture.

    Quarter turns and transpositions change the shape of a picture that is not square.
    """
    square = height == width
    return tuple(t for t in TRANSFORMS if t in names and (square or not _STEPS[t][0]))


def transform_steps(name: Transform) -> tuple[bool, bool, bool]:
    """Return what a transform does: axes exchanged; then mirrored up-down; then left-right.

    Raises
    ------
    OptionError
        If there is no such transform.
    """
    try:
        return _STEPS[name]
    except KeyError:
        msg = f"There is no transform {name!r}; known are {', '.join(TRANSFORMS)}."
        raise OptionError(msg) from None
