"""The kinds of alteration and their levels.

Levels and strengths: method of the project, validation protocol. L0 to L2 are what every audit must
find; L3 and L4 are aims; L5 is measured without an aim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from likeness.alterations import geometry, intensity, mixing
from likeness.alterations._jpeg import through_jpeg
from likeness.alterations._numbers import in_range, scale_of, value_range
from likeness.errors import OptionError
from likeness.types import Floats, Image

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Level = Literal["L0", "L1", "L2", "L3", "L4", "L5"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
MANDATORY_LEVELS: Final[tuple[Level, ...]] = ("L0", "L1", "L2")

Second = Literal["none", "donor", "neighbour", "sibling"]
"""A second image: of a new patient, the next slice, or another image of the same patient."""


@dataclass(frozen=True)
class _Given:
    """What a change may use; all images are float64."""

    image: Floats
    other: Floats | None
    low: Floats
    high: Floats
    scale: float
    at: float
    """Where in its range the strength lies, 0 to 1."""
    rng: np.random.Generator

    def between(self, low: float, high: float) -> float:
        """Return the strength."""
        return low + self.at * (high - low)

    def signed(self, low: float, high: float) -> float:
        """Return the strength with a random sign."""
        return self.between(low, high) * (1.0 if self.rng.integers(2) else -1.0)

    @property
    def second(self) -> Floats:
        """The second image, which `Alteration.apply` has checked to be there."""
        if self.other is None:
            raise AssertionError
        return self.other


@dataclass(frozen=True)
class Alteration:
    """One way to alter an image, with a range of strengths."""

    name: str
    level: Level
    change: Callable[[_Given], Floats]
    needs: Second = "none"
    """The second image that `apply` must be given."""
    only_square: bool = False
    bits: Literal["any", "8", "not 8"] = "any"
    """Number types for which the change makes sense: JPEG has 8 bits."""

    def applies_to(self, shape: tuple[int, ...], dtype: DTypeLike) -> bool:
        """Whether images (..., C, H, W) of this type can be altered in this way."""
        is_bytes = np.dtype(dtype) == np.uint8
        fits = self.bits == "any" or (self.bits == "8") == is_bytes
        return fits and (shape[-1] == shape[-2] or not self.only_square)

    def apply(
        self,
        image: Image,
        rng: np.random.Generator,
        donor: Image | None = None,
        *,
        strength: float | None = None,
    ) -> Image:
        """Return an altered copy.

        Parameters
        ----------
        image
            (C, H, W), finite.
        rng
            Decides the strength and whatever else is left open.
        donor
            (C, H, W) the second image, where `needs` names one.
        strength
            Place in the range of strengths, 0 to 1; None draws it. At 1 a change with one-sided
            strength is strongest; gain, gamma, rotation within L2 and zoom have two strong ends.

        Returns
        -------
        array (C, H, W)
            A new array of the same number type.

        Raises
        ------
        OptionError
            If the image cannot be altered in this way, or the second image is missing or differs
            in shape or number type.
        """
        if not self.applies_to(image.shape, image.dtype):
            msg = f"{self.name!r} does not apply to an image {image.shape} of {image.dtype}."
            raise OptionError(msg)
        if (donor is None) != (self.needs == "none"):
            asked = "no second image" if self.needs == "none" else f"a second image ({self.needs})"
            given = "none" if donor is None else "one"
            msg = f"{self.name!r} takes {asked}; {given} was given."
            raise OptionError(msg)
        if donor is not None and (donor.shape, donor.dtype) != (image.shape, image.dtype):
            msg = (
                f"The second image for {self.name!r} is {donor.shape} {donor.dtype}; expected "
                f"{image.shape} {image.dtype} as the first."
            )
            raise OptionError(msg)
        low, high = value_range(image) if donor is None else value_range(image, donor)
        drawn = float(rng.uniform())
        given_values = _Given(
            image=image.astype(np.float64),
            other=None if donor is None else donor.astype(np.float64),
            low=low,
            high=high,
            scale=scale_of(image),
            at=drawn if strength is None else strength,
            rng=rng,
        )
        return in_range(self.change(given_values), low, high, image.dtype)


def kinds_of(
    level: Level,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    *,
    seconds: tuple[Second, ...] = ("none", "donor"),
) -> tuple[Alteration, ...]:
    """Return the alterations of a level that apply to images of this shape and number type.

    Parameters
    ----------
    level
        "L0" to "L5".
    shape
        (..., C, H, W).
    dtype
        Number type of the images.
    seconds
        The second images that can be had.

    Raises
    ------
    OptionError
        If there is no such level.
    """
    if level not in LEVELS:
        msg = f"There is no level {level!r}; the levels are {', '.join(LEVELS)}."
        raise OptionError(msg)
    return tuple(
        kind
        for kind in ALTERATIONS
        if kind.level == level and kind.needs in seconds and kind.applies_to(shape, dtype)
    )


def _jpeg(given: _Given) -> Floats:
    quality = round(given.between(95, 75))
    return through_jpeg(given.image.astype(np.uint8), quality).astype(np.float64)


def _shift(low: float, high: float) -> Callable[[_Given], Floats]:
    """Move by a distance in pixels in any direction."""

    def change(given: _Given) -> Floats:
        distance = given.between(low, high) * given.scale
        angle = given.rng.uniform(0.0, 2 * np.pi)
        return geometry.shift(given.image, distance * np.sin(angle), distance * np.cos(angle))

    return change


def _blend(least: float, most: float) -> Callable[[_Given], Floats]:
    return lambda g: mixing.blend(g.image, g.second, g.between(most, least))


def _blur(low: float, high: float) -> Callable[[_Given], Floats]:
    return lambda g: intensity.blur(g.image, g.between(low, high) * g.scale)


def _bend(amount: float) -> Callable[[_Given], Floats]:
    return lambda g: geometry.bend(g.image, amount * g.scale, g.scale, g.rng)


def _rotated(low: float, high: float) -> Callable[[_Given], Floats]:
    return lambda g: geometry.rotate(g.image, g.signed(low, high))


def _turned(quarters: int) -> Callable[[_Given], Floats]:
    def change(given: _Given) -> Floats:
        turned: Floats = np.rot90(given.image, quarters, axes=(1, 2))
        return turned

    return change


def _region(given: _Given) -> Floats:
    return mixing.region_of(given.image, given.second, *given.rng.uniform(size=2))


def _spot(given: _Given) -> Floats:
    radius = given.between(12.0, 20.0) * given.scale
    return mixing.spot_of(given.image, given.second, radius, *given.rng.uniform(size=2))


ALTERATIONS: Final[tuple[Alteration, ...]] = (
    Alteration("identity", "L0", lambda g: g.image),
    Alteration(
        "requantised", "L0", lambda g: intensity.requantise(g.image, g.low, g.high), bits="not 8"
    ),
    Alteration("jpeg", "L0", _jpeg, bits="8"),
    Alteration("resized", "L0", lambda g: geometry.resize_and_back(g.image, g.between(1, 0.875))),
    Alteration(
        "gain_offset",
        "L0",
        lambda g: intensity.change_gain(g.image, g.low, g.high, g.between(1.5, 0.5), g.rng),
    ),
    Alteration(
        "gamma",
        "L0",
        lambda g: intensity.change_gamma(g.image, g.low, g.high, g.between(0.6, 1.6)),
    ),
    Alteration("noise", "L1", lambda g: intensity.add_noise(g.image, g.between(0.1, 1.0), g.rng)),
    Alteration("blur", "L1", _blur(0.0, 2.0)),
    Alteration("blend", "L1", _blend(0.9, 1.0), needs="donor"),
    Alteration("flip_h", "L2", lambda g: g.image[:, :, ::-1]),
    Alteration("flip_v", "L2", lambda g: g.image[:, ::-1]),
    Alteration("rot90", "L2", _turned(1), only_square=True),
    Alteration("rot180", "L2", _turned(2)),
    Alteration("rot270", "L2", _turned(3), only_square=True),
    Alteration("shift", "L2", _shift(0.0, 8.0)),
    Alteration("rotation", "L2", _rotated(0.0, 3.0)),
    Alteration("rotation_7", "L3", _rotated(3.0, 7.0)),
    Alteration("zoom", "L3", lambda g: geometry.zoom(g.image, g.between(0.95, 1.05))),
    Alteration("shift_16", "L3", _shift(8.0, 16.0)),
    Alteration("elastic_3", "L3", _bend(3.0)),
    Alteration("blur_4", "L3", _blur(2.0, 4.0)),
    Alteration("blend_70", "L3", _blend(0.7, 0.9), needs="donor"),
    Alteration(
        "half",
        "L4",
        lambda g: mixing.half_of(g.image, g.second, int(g.rng.integers(4))),
        needs="donor",
    ),
    Alteration("quarter_region", "L4", _region, needs="donor"),
    Alteration("noise_2", "L5", lambda g: intensity.add_noise(g.image, 2.0, g.rng)),
    Alteration("rotation_12", "L5", _rotated(12.0, 12.0)),
    Alteration("zoom_110", "L5", lambda g: geometry.zoom(g.image, 1.1)),
    Alteration("elastic_6", "L5", _bend(6.0)),
    Alteration("blend_50", "L5", _blend(0.5, 0.5), needs="donor"),
    Alteration("blur_8", "L5", _blur(8.0, 8.0)),
    Alteration("inverted", "L5", lambda g: intensity.invert(g.image, g.low, g.high)),
    Alteration("lesion", "L5", _spot, needs="donor"),
    Alteration(
        "between_slices", "L5", lambda g: mixing.blend(g.image, g.second, 0.5), needs="neighbour"
    ),
    Alteration("other_image", "L5", lambda g: g.second, needs="sibling"),
)
