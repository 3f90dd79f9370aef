"""What a training refuses: images of another shape, numbers out of range, a loss that diverged."""

from __future__ import annotations

import math

from likeness.datasets import ImageSet
from likeness.errors import ImageMismatchError, InputError, OptionError
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.training.run_folder import RunFolder


def check_images_and_seed(images: ImageSet, network: NetworkSettings, seed: int) -> None:
    """Refuse images that are not those of the networks, and a negative seed.

    Raises
    ------
    ImageMismatchError, OptionError
        In this order.
    """
    wanted = (network.channels, network.resolution, network.resolution)
    if images.image_shape != wanted or images.dtype.name != "uint8":
        msg = (
            f"The images are {images.image_shape} {images.dtype}, the networks take {wanted} "
            "uint8: prepare the images for them, or choose other networks."
        )
        raise ImageMismatchError(msg)
    if seed < 0:
        msg = f"The seed must not be negative; it is {seed}."
        raise OptionError(msg)


def check_numbers(**numbers: int) -> None:
    """Refuse numbers below 1.

    Raises
    ------
    OptionError
        With the name of the first one.
    """
    for name, value in numbers.items():
        if value < 1:
            msg = f"{name} must be at least 1, not {value!r}."
            raise OptionError(msg)


def check_groups(batch: int, micro_batch: int, group: int) -> None:
    """Refuse batches that tear groups which the discriminator compares with each other.

    Raises
    ------
    OptionError
        If one is no multiple of the images of a group.
    """
    for name, value in (("batch", batch), ("micro_batch", micro_batch)):
        if value % group:
            msg = (
                f"{name} is {value}, but the discriminator compares groups of {group} images: "
                f"choose a multiple of {group}."
            )
            raise OptionError(msg)


def check_finite(folder: RunFolder, step: int, what: str, loss: float, norm: float) -> None:
    """Stop a run that diverged, and say where its last good checkpoint lies.

    Raises
    ------
    InputError
        If the loss or the norm of its gradient is not finite.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    good = folder.steps()
    where = (
        f"The last good checkpoint is {str(folder.checkpoint(good[-1]))!r}."
        if good
        else "No checkpoint was written before."
    )
    msg = (
        f"At step {step} the loss of the {what} is {loss} and the norm of its gradient {norm}. "
        f"{where} Train in another folder with smaller learning rates or a larger gamma."
    )
    raise InputError(msg)
