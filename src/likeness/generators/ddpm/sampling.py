"""Images from noise: 8 bits, a seed for each image.

Image i of a seed has a generator of its own, on the processor, which its first noise and the noise
of each of its steps are drawn from, in that order. So image i starts from the same noise and meets
the same noise whatever the batches, the device and the number of images asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from likeness._progress import SilentTask, Task
from likeness.errors import OptionError
from likeness.generators.ddpm.schedule import network_times, scheduler_for, step_back
from likeness.generators.ddpm.settings import Diffusion, Sampler, UNetSettings
from likeness.generators.drawing import SEEDS, image_seed, rebatched, to_8_bit

__all__ = ["draw", "image_seed", "sample_images", "to_8_bit"]


def sample_images(
    network: Any,  # noqa: ANN401
    unet: UNetSettings,
    diffusion: Diffusion,
    sampler: Sampler,
    *,
    seed: int,
    count: int,
    first: int = 0,
    batch_size: int = 16,
    labels: Sequence[int] | None = None,
    task: Task | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Draw images ``first`` to ``first + count - 1`` of a seed, batch by batch.

    Image i is computed in the group of ``sampler.together`` images that it always belongs to, so
    that on one machine its bytes do not depend on `batch_size`, `first` or `count`.

    Parameters
    ----------
    network
        Of `network.build_unet`, on the device to compute on. It is put into evaluation mode.
    unet, diffusion, sampler
        What the network is, what it was trained with, how to draw.
    seed
        Not negative.
    count, first
        Which images of the seed; a sample that was interrupted goes on at `first`.
    batch_size
        Images per yielded array; nothing else depends on it.
    labels
        The class of each of the `count` images, of a class-conditional network.
    task
        Told of `count` units in all, as groups of images make their steps.

    Yields
    ------
    ndarray
        (b, C, H, W) uint8, in order; b is `batch_size`, at the end perhaps less.

    Raises
    ------
    OptionError
        If a number is out of range, or labels are lacking or uncalled for.
    InputError
        If the network gives values that are not numbers.
    """
    _check(unet, seed, count, first, batch_size, labels)
    scheduler_for(sampler, diffusion)  # here rather than at the first batch: it may refuse
    groups = _groups(network, unet, diffusion, sampler, seed, first, count, labels, task)
    return rebatched(groups, batch_size)


def _groups(
    network: Any,  # noqa: ANN401
    unet: UNetSettings,
    diffusion: Diffusion,
    sampler: Sampler,
    seed: int,
    first: int,
    count: int,
    labels: Sequence[int] | None,
    task: Task | None,
) -> Iterator[NDArray[np.uint8]]:
    task = task or SilentTask()
    size, end = sampler.together, first + count
    for start in range(first - first % size, end, size):
        begin, stop = max(start, first), min(start + size, end)
        classes = None
        if labels is not None:  # images that are thrown away are of class 0
            classes = [0] * size
            classes[begin - start : stop - start] = labels[begin - first : stop - first]
        generators = [
            torch.Generator().manual_seed(image_seed(seed, index))
            for index in range(start, start + size)
        ]
        share = (stop - begin) / sampler.steps
        images = draw(network, unet, diffusion, sampler, generators, classes, task, share)
        yield to_8_bit(images[begin - start : stop - start])


def draw(
    network: Any,  # noqa: ANN401
    unet: UNetSettings,
    diffusion: Diffusion,
    sampler: Sampler,
    generators: list[torch.Generator],
    classes: Sequence[int] | None = None,
    task: Task | None = None,
    share: float = 1.0,
) -> torch.Tensor:
    """Draw one image per generator: (n, C, H, W) float32, about -1 to 1, on the network's device.

    The network is in evaluation mode during the call; `task` is told `share` at each step.
    """
    device = next(network.parameters()).device
    shape = (1, unet.channels, unet.resolution, unet.resolution)
    scheduler = scheduler_for(sampler, diffusion)
    labels = None if classes is None else torch.tensor(classes, device=device)
    trains = network.training
    network.eval()
    try:
        with torch.inference_mode():
            images = torch.cat([torch.randn(shape, generator=one) for one in generators])
            images = images.to(device)
            for time in scheduler.timesteps.tolist():
                times = torch.full((len(images),), time, device=device)
                told = network_times(times, diffusion)
                predicted = network(images, told, class_labels=labels).sample.float()
                images = step_back(scheduler, sampler, predicted, time, images, generators)
                if task is not None:
                    task.advance(share)
    finally:
        network.train(trains)
    return images


def _check(
    unet: UNetSettings,
    seed: int,
    count: int,
    first: int,
    batch_size: int,
    labels: Sequence[int] | None,
) -> None:
    if seed < 0 or first < 0 or count < 1 or batch_size < 1 or first + count > SEEDS:
        msg = (
            "The seed and the first image are not negative, the number of images and the batch "
            f"size at least 1, and a seed has {SEEDS:,} images; they are {seed}, {first}, "
            f"{count} and {batch_size}."
        )
        raise OptionError(msg)
    if (labels is None) != (unet.classes is None):
        msg = (
            f"The network knows {unet.classes} classes, so a class per image is needed."
            if labels is None
            else "Classes were given, but the network is not class-conditional."
        )
        raise OptionError(msg)
    if labels is not None and unet.classes is not None:
        strange = sorted({label for label in labels if not 0 <= label < unet.classes})
        if strange or len(labels) != count:
            msg = (
                f"{count} classes from 0 to {unet.classes - 1} are needed, one per image; there "
                f"are {len(labels)}, and these are none: {strange[:5]}."
            )
            raise OptionError(msg)
