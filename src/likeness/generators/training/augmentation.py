"""Altering training images by MONAI's transforms, the same for the same seed, step and place.

None is the default: a mirrored chest has its heart on the wrong side, and a model that learned it
draws such people. What is drawn depends on nothing but (seed, step, place in the batch), so a run
that goes on sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from likeness.errors import MissingExtraError, OptionError
from likeness.types import Images

AUGMENTATIONS: Final = {
    "flip": "left and right exchanged, in half of the images; anatomy becomes mirrored",
    "rotation": "turned by up to 5 degrees",
    "elastic": "bent smoothly, by a pixel or two",
    "intensity": "gamma from 0.8 to 1.25, of intensities only",
}
"""Names and what they do, in the order in which they are done."""

_STREAM: Final = 2  # beside those of `data_order`
_ANGLE: Final = 5.0
_GAMMA: Final = 1.25


def check_augmentations(names: Sequence[str]) -> tuple[str, ...]:
    """Return names in the order in which they are done.

    Raises
    ------
    OptionError
        If there is none of a name.
    """
    strange = [name for name in names if name not in AUGMENTATIONS]
    if strange:
        msg = f"There is no augmentation {strange[0]!r}, only {', '.join(AUGMENTATIONS)}."
        raise OptionError(msg)
    return tuple(name for name in AUGMENTATIONS if name in names)


class Augmentation:
    """Alters 8-bit images.

    Parameters
    ----------
    names
        Of `AUGMENTATIONS`.
    annotations
        Channels that hold labels: they move with the others, but their values stay.

    Raises
    ------
    OptionError
        If there is none of a name.
    MissingExtraError
        If MONAI is not installed.
    """

    def __init__(self, names: Sequence[str], annotations: Iterable[int] = ()) -> None:
        self.names = check_augmentations(names)
        self._annotations = sorted(annotations)
        try:
            from monai import transforms
        except ImportError as error:
            msg = "Augmentation needs MONAI: pip install 'likeness[generate]'"
            raise MissingExtraError(msg) from error
        self._monai: Any = transforms

    def alter(self, images: Images, seed: int, step: int, first: int = 0) -> Images:
        """Return altered images (b, C, H, W) uint8; `first` is the place of the first of them."""
        return np.stack(
            [
                self._one(image, np.random.SeedSequence([seed, _STREAM, step, first + place]))
                for place, image in enumerate(images)
            ]
        )

    def _one(self, image: Images, sequence: np.random.SeedSequence) -> Images:
        # Every augmentation has a stream of its own, so that choosing one changes no other.
        streams = dict(zip(AUGMENTATIONS, sequence.spawn(len(AUGMENTATIONS)), strict=True))
        values = image.astype(np.float32)
        for name in self.names:
            draw = np.random.Generator(np.random.Philox(streams[name]))
            values = getattr(self, f"_{name}")(values, draw)
        rounded: Images = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return rounded

    def _flip(self, image: Images, draw: np.random.Generator) -> Images:
        return _plain(self._monai.Flip(spatial_axis=1)(image)) if draw.random() < 0.5 else image

    def _rotation(self, image: Images, draw: np.random.Generator) -> Images:
        angle = float(np.deg2rad(draw.uniform(-_ANGLE, _ANGLE)))
        return self._moved(
            image,
            lambda values, mode: self._monai.Rotate(angle, mode=mode, padding_mode="zeros")(values),
        )

    def _elastic(self, image: Images, draw: np.random.Generator) -> Images:
        seed = int(draw.integers(2**31))

        def bend(values: Images, mode: str) -> Any:  # noqa: ANN401
            side = image.shape[-1] / 4
            transform = self._monai.Rand2DElastic(
                spacing=(side, side), magnitude_range=(0.5, 1.5), prob=1.0, padding_mode="zeros"
            )
            transform.set_random_state(seed)  # the same bending for both kinds of channel
            return transform(values, mode=mode)

        return self._moved(image, bend)

    def _intensity(self, image: Images, draw: np.random.Generator) -> Images:
        gamma = float(_GAMMA ** draw.uniform(-1, 1))
        changed = image.copy()
        grey = [k for k in range(len(image)) if k not in self._annotations]
        if grey:
            changed[grey] = _plain(self._monai.AdjustContrast(gamma)(image[grey]))
        return changed

    def _moved(self, image: Images, move: Any) -> Images:  # noqa: ANN401
        moved = _plain(move(image, "bilinear"))
        if self._annotations:
            moved[self._annotations] = _plain(move(image[self._annotations], "nearest"))
        return moved


def _plain(values: Any) -> Images:  # noqa: ANN401
    """Return MONAI's tensor as an array."""
    return np.array(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
