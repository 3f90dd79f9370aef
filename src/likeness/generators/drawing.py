"""What drawing images of any model needs: a seed for each image, 8 bits, batches of any size.

torch's generator on the processor uses 32 bits of its seed. Seeds are therefore made so that all
images of one sample have different ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.errors import InputError

SEEDS: Final = 2**32
"""Images that a seed has."""


def image_seed(seed: int, index: int) -> int:
    """Return the seed of one image, 0 to 2^32 - 1; different for all images of a sample."""
    first = int(np.random.SeedSequence(seed).generate_state(1, np.uint32)[0])
    return (first + index) % SEEDS


def to_8_bit(images: torch.Tensor) -> NDArray[np.uint8]:
    """Turn images from -1 to 1 into 8 bits, rounded, so that ``level / 127.5 - 1`` comes back.

    guided-diffusion truncates, which takes 1 from 63 of the 256 grey levels.

    Raises
    ------
    InputError
        If a value is not a number.
    """
    if not bool(torch.isfinite(images).all()):
        msg = (
            "The network gives values that are not numbers, so there is no image. The checkpoint "
            "is of a training that failed, or of another network: take an earlier one."
        )
        raise InputError(msg)
    levels = images.float().cpu() * 127.5 + 127.5
    found: NDArray[np.uint8] = levels.round().clamp(0, 255).to(torch.uint8).numpy()
    return found


def rebatched(groups: Iterator[NDArray[np.uint8]], batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Cut groups of images into batches of another size, in order; the last may be smaller."""
    waiting: list[NDArray[np.uint8]] = []
    for group in groups:
        waiting.append(group)
        while sum(map(len, waiting)) >= batch_size:
            joined = np.concatenate(waiting)
            yield joined[:batch_size]
            waiting = [joined[batch_size:]]
    rest = [group for group in waiting if len(group)]
    if rest:
        yield np.concatenate(rest)
