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
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch.nn import functional

from likeness.errors import OptionError
from likeness.generators.json_settings import JsonSettings
from likeness.generators.stylegan3.filtered_activation import lower_rate, raise_rate
from likeness.generators.stylegan3.filters import low_pass

TAPS: Final = 12
"""Of the filters around the resampling, which happens at twice the resolution."""


@dataclass(frozen=True)
class Transforms:
    """What may happen to an image; 0 and False: never."""

    flip: bool = False
    """From left to right, in one of two."""
    quarter_turns: bool = False
    shift: float = 0.0
    """By whole pixels, evenly up to this share of the width."""
    scale: float = 0.0
    """By 2 to the power of a normal number with this standard deviation."""
    rotation: float = 0.0
    """Evenly up to so many degrees to both sides, before and after the stretching."""
    stretch: float = 0.0
    """Of width against height, likewise to `scale`."""
    fine_shift: float = 0.0
    """Standard deviation, as a share of the width."""
    brightness: float = 0.0
    """Standard deviation of what is added; images are -1 to 1."""
    contrast: float = 0.0
    """Likewise to `scale`, a factor."""
    inversion: bool = False
    """Of the mean over the image channels, in one of two."""


MEDICAL: Final = Transforms(
    shift=0.05,
    scale=0.1,
    rotation=10.0,
    stretch=0.05,
    fine_shift=0.02,
    brightness=0.1,
    contrast=0.2,
)
"""Small ones that leave anatomy plausible."""
EVERYTHING: Final = Transforms(
    flip=True,
    quarter_turns=True,
    shift=0.125,
    scale=0.2,
    rotation=180.0,
    stretch=0.2,
    fine_shift=0.125,
    brightness=0.2,
    contrast=0.5,
    inversion=True,
)
"""The published ones."""


@dataclass
class Strength:
    """The probability of transforms, led by how sure the discriminator is of real images.

    All fields are plain numbers, so that a checkpoint can hold them.
    """

    p: float = 0.0
    target: float = 0.6
    """Of the mean sign of real images' logits."""
    images: int = 500_000
    """In which p goes from 0 to 1, if it always rises."""
    cap: float = 0.8
    sign_sum: float = 0.0
    seen: int = 0
    """Real images since p last changed."""

    def __post_init__(self) -> None:
        if not 0 <= self.p <= self.cap <= 1:
            msg = f"p is {self.p} and cap is {self.cap}; expected 0 <= p <= cap <= 1."
            raise OptionError(msg)

    def observe(self, sign_sum: float, images: int) -> None:
        """Note the discriminator's verdict on real images: the sum of its logits' signs."""
        self.sign_sum += sign_sum
        self.seen += images

    def adjust(self) -> float:
        """Change p by one step, up or down, and start to observe anew; to be done every 4 steps."""
        if self.seen:
            surplus = self.sign_sum / self.seen - self.target
            step = self.seen / self.images * ((surplus > 0) - (surplus < 0))
            self.p = min(max(self.p + step, 0.0), self.cap)
        self.sign_sum, self.seen = 0.0, 0
        return self.p


@dataclass(frozen=True)
class Adaptive(JsonSettings):
    """Transforms whose probability follows the discriminator (Karras et al. 2020)."""

    transforms: Literal["medical", "everything"] = "medical"
    """`MEDICAL` or `EVERYTHING`."""
    target: float = 0.6
    images: int = 500_000
    cap: float = 0.8
    """As in `Strength`."""

    def __post_init__(self) -> None:
        if self.transforms not in _NAMED:
            msg = f"There are no transforms {self.transforms!r}, only {', '.join(_NAMED)}."
            raise OptionError(msg)
        if not (-1 < self.target < 1 and self.images >= 1 and 0 < self.cap <= 1):
            msg = (
                "The target is between -1 and 1, images at least 1 and the cap more than 0 and at "
                f"most 1; they are {self.target!r}, {self.images!r} and {self.cap!r}."
            )
            raise OptionError(msg)

    def chosen(self) -> Transforms:
        """Return the transforms."""
        return _NAMED[self.transforms]

    def strength(self) -> Strength:
        """Return the strength with which training begins: none."""
        return Strength(target=self.target, images=self.images, cap=self.cap)


_NAMED: Final = {"medical": MEDICAL, "everything": EVERYTHING}


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
        smooth = images if all(flags) else _resampled(images, matrix)
        labels = _at_nearest(images, matrix) if any(flags) else images
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
    matrix = _matrix(one, zero, zero, one, zero, zero)
    moved = zero.bool()

    def then(happens: torch.Tensor, step: torch.Tensor) -> None:
        nonlocal matrix, moved
        matrix = torch.where(happens[:, None, None], matrix @ step, matrix)
        moved = moved | happens

    def turn(angle: torch.Tensor) -> torch.Tensor:
        return _matrix(angle.cos(), -angle.sin(), angle.sin(), angle.cos(), zero, zero)

    if transforms.flip:
        then(draw.which(p / 2), _matrix(-one, zero, zero, one, zero, zero))
    if transforms.quarter_turns:
        quarters = (draw.evenly() * 4).floor()
        cosine, sine = (2 - quarters).abs() - 1, 1 - (1 - quarters).abs()
        step = _matrix(cosine, -sine, sine, cosine, zero, zero)
        then(draw.which(p) & (quarters > 0), step)
    if transforms.shift:
        right, down = (
            ((2 * draw.evenly() - 1) * transforms.shift * width).round() * 2 / width
            for _ in range(2)
        )
        then(draw.which(p), _matrix(one, zero, zero, one, right, down))
    if transforms.scale:
        size = torch.exp2(draw.normal() * transforms.scale)
        then(draw.which(p), _matrix(size, zero, zero, size, zero, zero))
    # Before and after the stretching, so that turned at all has probability p.
    once = 1 - math.sqrt(1 - p)
    most = math.radians(transforms.rotation)
    if transforms.rotation:
        then(draw.which(once), turn((2 * draw.evenly() - 1) * most))
    if transforms.stretch:
        size = torch.exp2(draw.normal() * transforms.stretch)
        then(draw.which(p), _matrix(size, zero, zero, 1 / size, zero, zero))
    if transforms.rotation:
        then(draw.which(once), turn((2 * draw.evenly() - 1) * most))
    if transforms.fine_shift:
        right, down = (draw.normal() * transforms.fine_shift * 2 for _ in range(2))
        then(draw.which(p), _matrix(one, zero, zero, one, right, down))
    return matrix, moved


def _matrix(*entries: torch.Tensor) -> torch.Tensor:
    """Return (n, 3, 3) for the entries (a, b; c, d) and a shift (e, f)."""
    a, b, c, d, e, f = entries
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    return torch.stack([a, b, e, c, d, f, zero, zero, one], 1).reshape(-1, 3, 3)


def _places(matrix: torch.Tensor, size: int, margin: int = 0) -> torch.Tensor:
    """Return (n, size + 2 margin, size + 2 margin, 2) places to read, for pixels of the result."""
    steps = torch.arange(-margin, size + margin, device=matrix.device, dtype=matrix.dtype)
    steps = (2 * steps + 1) / size - 1
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack([right, down, torch.ones_like(right)], 2)
    return (grid @ matrix[:, None, :2].mT).contiguous()


def _at_nearest(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = _Sampled.apply(images, _places(matrix, images.shape[3]), "nearest")
    return found


def _resampled(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Resample at twice the resolution, between two low-pass filters."""
    size, half = images.shape[3], TAPS // 2
    taps = torch.tensor(low_pass(TAPS, 0.5, 0.25, 2.0).tolist(), dtype=images.dtype)
    taps = taps.to(images.device)
    around = min(half, size - 1)
    x = functional.pad(images, (around,) * 4, mode="reflect")
    x = raise_rate(x, taps, 2, (half - 2 * around, half - 1 - 2 * around))
    x = _Sampled.apply(x, _places(matrix, 2 * size, half - 1), "bilinear")
    return lower_rate(x, taps, 2)


def _sample(images: torch.Tensor, places: torch.Tensor, mode: str) -> torch.Tensor:
    return functional.grid_sample(
        images, places, mode=mode, padding_mode="reflection", align_corners=False
    )


class _Sampled(torch.autograd.Function):  # type: ignore[misc]
    """`grid_sample`, differentiable with respect to the images as often as one likes.

    PyTorch's own has no second derivative on some devices and versions. It is linear in the images,
    so the gradient of its gradient is itself.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, places: torch.Tensor, mode: str) -> torch.Tensor:  # noqa: ANN401
        """Read (n, C, H, W) at places (n, H', W', 2)."""
        ctx.save_for_backward(places)
        ctx.shape, ctx.mode = images.shape, mode
        return _sample(images, places, mode)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # noqa: ANN401
        """Put what was read back to where it came from."""
        (places,) = ctx.saved_tensors
        return _PutBack.apply(gradient, places, ctx.shape, ctx.mode), None, None


class _PutBack(torch.autograd.Function):  # type: ignore[misc]
    """The transpose of `_Sampled`."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        values: torch.Tensor,
        places: torch.Tensor,
        shape: tuple[int, ...],
        mode: str,
    ) -> torch.Tensor:
        """Add (n, C, H', W') up at places, into images of a shape."""
        ctx.save_for_backward(places)
        ctx.mode = mode
        with torch.enable_grad():
            images = torch.zeros(shape, dtype=values.dtype, device=values.device)
            images.requires_grad_()
            sampled = _sample(images, places, mode)
            (found,) = torch.autograd.grad(sampled, images, values)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
        """Read it."""
        (places,) = ctx.saved_tensors
        return _Sampled.apply(gradient, places, ctx.mode), None, None, None


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
