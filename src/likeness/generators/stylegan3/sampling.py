"""Images of a generator: 8 bits, a random vector of its own for each image of a seed.

Image i of a seed starts from the same vector, drawn on the processor, whatever the batches, the
device and the number of images asked for; the generator draws nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from likeness._progress import SilentTask, Task
from likeness.errors import OptionError
from likeness.generators.drawing import SEEDS, image_seed, rebatched, to_8_bit
from likeness.generators.stylegan3.generator import Generator

TOGETHER: Final = 16
"""Images that are computed together: fixed, since libraries round differently for other numbers."""


def sample_images(
    generator: Generator,
    *,
    seed: int,
    count: int,
    first: int = 0,
    batch_size: int = 16,
    truncation: float = 1.0,
    labels: Sequence[int] | None = None,
    task: Task | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Draw images ``first`` to ``first + count - 1`` of a seed, batch by batch.

    Image i is computed in the group of `TOGETHER` images that it always belongs to, so that on one
    machine its bytes do not depend on `batch_size`, `first` or `count`.

    Parameters
    ----------
    generator
        On the device to compute on.
    seed
        Not negative.
    count, first
        Which images of the seed; a sample that was interrupted goes on at `first`.
    batch_size
        Images per yielded array; nothing else depends on it.
    truncation
        1: styles as they are, as the paper samples; 0: the mean style, one image only. What is
        between makes images more typical and less diverse, and hides copies from an audit.
    labels
        None: this generator knows no classes.
    task
        Told of `count` units in all, as groups of images are made.

    Yields
    ------
    ndarray
        (b, C, H, W) uint8, in order; b is `batch_size`, at the end perhaps less.

    Raises
    ------
    OptionError
        If a number is out of range, or labels are given.
    InputError
        If the network gives values that are not numbers.
    """
    if seed < 0 or first < 0 or count < 1 or batch_size < 1 or first + count > SEEDS:
        msg = (
            "The seed and the first image are not negative, the number of images and the batch "
            f"size at least 1, and a seed has {SEEDS:,} images; they are {seed}, {first}, "
            f"{count} and {batch_size}."
        )
        raise OptionError(msg)
    if not 0 <= truncation <= 1:
        msg = f"The truncation is 0 to 1, not {truncation!r}: 1 leaves all styles as they are."
        raise OptionError(msg)
    if labels is not None:
        msg = "Classes were given, but StyleGAN3's generator is not class-conditional here."
        raise OptionError(msg)
    return rebatched(_groups(generator, seed, first, count, truncation, task), batch_size)


def draw_latents(generator: Generator, seed: int, first: int, count: int) -> torch.Tensor:
    """Return the random vectors (count, latent_size) of images of a seed, on its device."""
    size = generator.settings.latent_size
    sources = (
        torch.Generator().manual_seed(image_seed(seed, index))
        for index in range(first, first + count)
    )
    vectors = torch.cat([torch.randn(1, size, generator=one) for one in sources])
    return vectors.to(next(generator.parameters()).device)


def _groups(
    generator: Generator,
    seed: int,
    first: int,
    count: int,
    truncation: float,
    task: Task | None,
) -> Iterator[NDArray[np.uint8]]:
    task = task or SilentTask()
    end = first + count
    for start in range(first - first % TOGETHER, end, TOGETHER):
        begin, stop = max(start, first), min(start + TOGETHER, end)
        with torch.inference_mode():
            vectors = draw_latents(generator, seed, start, TOGETHER)
            images = generator(vectors, truncation=truncation)
        yield to_8_bit(images[begin - start : stop - start])
        task.advance(stop - begin)
