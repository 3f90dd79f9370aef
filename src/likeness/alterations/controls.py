"""Negative controls: images that copy nobody, made to look as if they did.

Novel images with noise or blur; images shrunk towards the mean, as a smooth generator makes them,
which resemble everybody; averages of several patients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from likeness.alterations import intensity, mixing
from likeness.alterations._numbers import in_range, scale_of, value_range
from likeness.alterations.planting import PlantedCopies
from likeness.errors import OptionError
from likeness.types import Floats, Image

if TYPE_CHECKING:
    from likeness.types import Images

MOST_AVERAGED: Final = 5


@dataclass(frozen=True)
class Control:
    """One kind of innocent image."""

    name: str
    needs: Literal["nothing", "mean", "others"]
    change: Callable[[Floats, Floats | None, np.random.Generator], Floats]

    def apply(
        self, image: Image, rng: np.random.Generator, others: Images | None = None
    ) -> Image:  # fmt: skip
        """Return an innocent image.

        Parameters
        ----------
        image
            (C, H, W) of a patient who is in no training set.
        rng
            Decides the strength.
        others
            For "mean": (1, C, H, W) float64, the mean image. For "others": (2 to 5, C, H, W),
            images of different training patients; `image` then only gives the number type. For
            "nothing": None.

        Raises
        ------
        OptionError
            If `others` is missing, superfluous or of another shape.
        """
        expected = {"nothing": (0, 0), "mean": (1, 1), "others": (2, MOST_AVERAGED)}[self.needs]
        count = 0 if others is None else len(others)
        if not expected[0] <= count <= expected[1]:
            msg = f"The control {self.name!r} takes {expected[0]} to {expected[1]} other images."
            raise OptionError(msg)
        if others is not None and others.shape[1:] != image.shape:
            msg = f"The other images are {others.shape[1:]}; expected {image.shape}."
            raise OptionError(msg)
        given = [image] if others is None else [image, *others]
        low, high = value_range(*given)
        extra = None if others is None else others.astype(np.float64)
        return in_range(self.change(image.astype(np.float64), extra, rng), low, high, image.dtype)


def negative_controls(
    novel: Images, rng: np.random.Generator, *, training: Images
) -> PlantedCopies:  # fmt: skip
    """Make one innocent image of every novel one, the kinds taking turns.

    Parameters
    ----------
    novel
        (n, C, H, W) images of patients who are in no training set.
    rng
        Decides strengths and who is averaged.
    training
        (k, C, H, W), k at least 5: one image per training patient, for the mean and the averages.

    Returns
    -------
    PlantedCopies
        n images with the names of their kinds.

    Raises
    ------
    OptionError
        If there are fewer than 5 training images.
    """
    if len(training) < MOST_AVERAGED:
        msg = f"{len(training)} training images; the averages need at least {MOST_AVERAGED}."
        raise OptionError(msg)
    mean = training.mean(axis=0, dtype=np.float64, keepdims=True)
    made, names = [], []
    for number, image in enumerate(novel):
        control = CONTROLS[number % len(CONTROLS)]
        others = None
        if control.needs == "mean":
            others = mean
        elif control.needs == "others":
            count = int(rng.integers(2, MOST_AVERAGED + 1))
            others = training[rng.choice(len(training), count, replace=False)]
        made.append(control.apply(image, rng, others))
        names.append(control.name)
    return PlantedCopies(np.stack(made) if made else novel.copy(), tuple(names))


def _same(image: Floats, _others: Floats | None, _rng: np.random.Generator) -> Floats:
    return image


def _noisy(image: Floats, _others: Floats | None, rng: np.random.Generator) -> Floats:
    return intensity.add_noise(image, rng.uniform(0.1, 1.0), rng)


def _blurred(image: Floats, _others: Floats | None, rng: np.random.Generator) -> Floats:
    return intensity.blur(image, rng.uniform(0.0, 4.0) * scale_of(image))


def _shrunk(share: float) -> Callable[[Floats, Floats | None, np.random.Generator], Floats]:
    def change(image: Floats, others: Floats | None, _rng: np.random.Generator) -> Floats:
        return image if others is None else mixing.blend(image, others[0], share)

    return change


def _averaged(image: Floats, others: Floats | None, _rng: np.random.Generator) -> Floats:
    return image if others is None else others.mean(axis=0)


CONTROLS: Final[tuple[Control, ...]] = (
    Control("novel", "nothing", _same),
    Control("novel_noise", "nothing", _noisy),
    Control("novel_blur", "nothing", _blurred),
    Control("shrunk_70", "mean", _shrunk(0.7)),
    Control("shrunk_40", "mean", _shrunk(0.4)),
    Control("average", "others", _averaged),
)
