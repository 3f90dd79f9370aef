"""Two images of two sets, laid on each other, for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likeness.report import wording
from likeness.report.pairs_page import PairPictures
from likeness.similarity import apply_transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.datasets import ImageSet
    from likeness.types import Transform


def show_pair(
    first: ImageSet,
    row: int,
    second: ImageSet,
    other: int,
    *,
    transform: Transform,
    channels: tuple[int, ...],
    title: str,
    tag: str,
    names: tuple[str, str],
    facts: Sequence[tuple[str, str]] = (),
) -> PairPictures:
    """Read two images and turn the first as `transform` says.

    Parameters
    ----------
    row, other
        Indices into `first` and `second`.
    names
        What the two pictures are called.
    """
    a = first.take([row])[0][list(channels)]
    b = second.take([other])[0][list(channels)]
    known = [
        (names[0], _who(first, row)),
        (names[1], _who(second, other)),
        ("Laid on it", wording.TRANSFORM_WORDS[transform]),
    ]
    return PairPictures(
        title=title,
        tag=tag,
        facts=[*known, *facts],
        first_name=names[0],
        second_name=names[1],
        first=np.ascontiguousarray(apply_transform(a, transform)),
        second=b,
        channels=[first.channels[index] for index in channels],
    )


def _who(images: ImageSet, row: int) -> str:
    patient = images.patient_ids[row]
    name = images.image_ids[row]
    return name if patient is None else f"{name}, patient {patient}"
