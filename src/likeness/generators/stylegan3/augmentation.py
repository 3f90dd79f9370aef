"""Random transforms before the discriminator, so that it cannot learn a small set by heart.

Real and made images are transformed alike, each transform with a probability that is raised while
the discriminator is too sure of real images (Karras et al. 2020, "Training generative adversarial
networks with limited data"). Here for any number of channels: geometry moves all of them together,
annotations by nearest neighbours so that they stay labels, intensities change in image channels
alone.

Off unless asked for. Flips, quarter turns and inverted greys make anatomy that does not exist
(hearts on the right side), and what the discriminator never sees unflipped, the generator learns to
make; `MEDICAL` has none of them. For the same reason the probability is capped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from likeness.errors import OptionError
from likeness.generators.stylegan3.resampling import at_nearest, moving_matrix, resampled
from likeness.generators.stylegan3.transforms import MEDICAL, Transforms


def augment(
    images: torch.Tensor,
    p: float,
    transforms: Transforms = MEDICAL,
    *,
    annotations: Sequence[int] = (),
    random: torch.Generator | None = None,
    among: tuple[int, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Transform images at random; differentiable twice with respect to them.

    Parameters
    ----------
    images
        (n, C, H, W), H = W, -1 to 1.
    p
        Probability of each transform, 0 to 1.
    transforms
        Which.
    annotations
        Channels that hold labels: moved by nearest neighbours, their values never changed.
    random
        Source of random numbers.
    among
        Where the images are part of a batch: of how many, and (n,) their places in it. They are
        then transformed as within the whole batch.

    Returns
    -------
    Tensor
        (n, C, H, W). Images to which nothing happens come back as they are, bit for bit.

    Raises
    ------
    OptionError
        If p is not a probability, images are not square, or there is no such channel.
    """
    count, channels, height, width = images.shape
    if not 0 <= p <= 1:
        msg = f"p is {p}; it is a probability, so it must be 0 to 1."
        raise OptionError(msg)
    if height != width:
        msg = f"Images are {height} x {width} pixels; only square ones can be turned."
        raise OptionError(msg)
    if any(not 0 <= channel < channels for channel in annotations):
        msg = f"annotations is {list(annotations)}, but the images have {channels} channels."
        raise OptionError(msg)
    draw = _Draw(count, images, random, among)
    flags = [k in set(annotations) for k in range(channels)]
    is_label = torch.tensor(flags, device=images.device)[:, None, None]
    matrix, is_moved = _movement(draw, p, transforms, width)
    if bool(is_moved.any()):
        smooth = images if all(flags) else resampled(images, matrix)
        labels = at_nearest(images, matrix) if any(flags) else images
        moved = torch.where(is_label, labels, smooth)
        images = torch.where(is_moved[:, None, None, None], moved, images)
    if all(flags):
        return images
    changed, is_changed = _with_other_greys(images, draw, p, transforms, ~is_label)
    return torch.where(is_changed & ~is_label, changed, images)


class _Draw:
    """Random numbers, one for each image."""

    def __init__(
        self,
        count: int,
        like: torch.Tensor,
        random: torch.Generator | None,
        among: tuple[int, torch.Tensor] | None = None,
    ) -> None:
        self.count, self.like, self.random = count, like, random
        self._all, self._places = among or (count, torch.arange(count))

    def evenly(self) -> torch.Tensor:
        """Return (n,) from 0 to 1."""
        return self._placed(torch.rand(self._all, generator=self.random, device=self._device))

    def normal(self) -> torch.Tensor:
        """Return (n,) standard normal."""
        return self._placed(torch.randn(self._all, generator=self.random, device=self._device))

    def which(self, p: float) -> torch.Tensor:
        """Return (n,) flags, true with probability `p`."""
        return self.evenly() < p

    @property
    def _device(self) -> torch.device:
        return self.like.device if self.random is None else self.random.device

    def _placed(self, values: torch.Tensor) -> torch.Tensor:
        return values[self._places].to(self.like.device, self.like.dtype)


def _movement(
    draw: _Draw, p: float, transforms: Transforms, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (n, 3, 3) where each place of the result is read, and (n,) which images move at all.

    Places are (column, row, 1), with columns and rows from -1 to 1. Every transform is as likely as
    its inverse, so it does not matter that places, not contents, are moved.
    """
    zero = draw.like.new_zeros(draw.count)
    one = zero + 1
    matrix = moving_matrix(one, zero, zero, one, zero, zero)
    moved = zero.bool()

    def then(happens: torch.Tensor, step: torch.Tensor) -> None:
        nonlocal matrix, moved
        matrix = torch.where(happens[:, None, None], matrix @ step, matrix)
        moved = moved | happens

    def turn(angle: torch.Tensor) -> torch.Tensor:
        return moving_matrix(angle.cos(), -angle.sin(), angle.sin(), angle.cos(), zero, zero)

    if transforms.flip:
        then(draw.which(p / 2), moving_matrix(-one, zero, zero, one, zero, zero))
    if transforms.quarter_turns:
        quarters = (draw.evenly() * 4).floor()
        cosine, sine = (2 - quarters).abs() - 1, 1 - (1 - quarters).abs()
        step = moving_matrix(cosine, -sine, sine, cosine, zero, zero)
        then(draw.which(p) & (quarters > 0), step)
    if transforms.shift:
        right, down = (
            ((2 * draw.evenly() - 1) * transforms.shift * width).round() * 2 / width
            for _ in range(2)
        )
        then(draw.which(p), moving_matrix(one, zero, zero, one, right, down))
    if transforms.scale:
        size = torch.exp2(draw.normal() * transforms.scale)
        then(draw.which(p), moving_matrix(size, zero, zero, size, zero, zero))
    # Before and after the stretching, so that turned at all has probability p.
    once = 1 - math.sqrt(1 - p)
    most = math.radians(transforms.rotation)
    if transforms.rotation:
        then(draw.which(once), turn((2 * draw.evenly() - 1) * most))
    if transforms.stretch:
        size = torch.exp2(draw.normal() * transforms.stretch)
        then(draw.which(p), moving_matrix(size, zero, zero, 1 / size, zero, zero))
    if transforms.rotation:
        then(draw.which(once), turn((2 * draw.evenly() - 1) * most))
    if transforms.fine_shift:
        right, down = (draw.normal() * transforms.fine_shift * 2 for _ in range(2))
        then(draw.which(p), moving_matrix(one, zero, zero, one, right, down))
    return matrix, moved


def _with_other_greys(
    images: torch.Tensor,
    draw: _Draw,
    p: float,
    transforms: Transforms,
    is_image: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all channels with other intensities, and (n, 1, 1, 1) which images have changed."""
    changed = draw.like.new_zeros(draw.count, 1, 1, 1, dtype=torch.bool)
    x = images

    def then(happens: torch.Tensor, other: torch.Tensor) -> None:
        nonlocal x, changed
        happens = happens[:, None, None, None]
        x = torch.where(happens, other, x)
        changed = changed | happens

    if transforms.brightness:
        added = (draw.normal() * transforms.brightness)[:, None, None, None]
        then(draw.which(p), x + added)
    if transforms.contrast:
        factor = torch.exp2(draw.normal() * transforms.contrast)[:, None, None, None]
        then(draw.which(p), x * factor)
    if transforms.inversion:
        mean = (x * is_image).sum(1, keepdim=True) / is_image.sum()
        then(draw.which(p / 2), x - 2 * mean)
    return x, changed
