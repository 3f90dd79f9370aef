"""Read images at other places, differentiably: the nearest pixel, or filtered at twice the rate."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.nn import functional

from likeness.generators.stylegan3.filtered_activation import lower_rate, raise_rate
from likeness.generators.stylegan3.filters import low_pass

TAPS: Final = 12
"""Of the filters around the resampling, which happens at twice the resolution."""


def moving_matrix(*entries: torch.Tensor) -> torch.Tensor:
    """Return (n, 3, 3) for the entries (a, b; c, d) and a shift (e, f)."""
    a, b, c, d, e, f = entries
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    return torch.stack([a, b, e, c, d, f, zero, zero, one], 1).reshape(-1, 3, 3)


def places_to_read(matrix: torch.Tensor, size: int, margin: int = 0) -> torch.Tensor:
    """Return (n, size + 2 margin, size + 2 margin, 2) places to read, for pixels of the result."""
    steps = torch.arange(-margin, size + margin, device=matrix.device, dtype=matrix.dtype)
    steps = (2 * steps + 1) / size - 1
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack([right, down, torch.ones_like(right)], 2)
    return (grid @ matrix[:, None, :2].mT).contiguous()


def at_nearest(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return images (n, C, H, H) whose pixels come from where `matrix` (n, 3, 3) sends them."""
    found: torch.Tensor = Sampled.apply(images, places_to_read(matrix, images.shape[3]), "nearest")
    return found


def resampled(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Do likewise at twice the resolution, between two low-pass filters."""
    size, half = images.shape[3], TAPS // 2
    taps = torch.tensor(low_pass(TAPS, 0.5, 0.25, 2.0).tolist(), dtype=images.dtype)
    taps = taps.to(images.device)
    around = min(half, size - 1)
    x = functional.pad(images, (around,) * 4, mode="reflect")
    x = raise_rate(x, taps, 2, (half - 2 * around, half - 1 - 2 * around))
    x = Sampled.apply(x, places_to_read(matrix, 2 * size, half - 1), "bilinear")
    return lower_rate(x, taps, 2)


def sample(images: torch.Tensor, places: torch.Tensor, mode: str) -> torch.Tensor:
    """Read (n, C, H, W) at places (n, H', W', 2) by PyTorch's own function."""
    return functional.grid_sample(
        images, places, mode=mode, padding_mode="reflection", align_corners=False
    )


class Sampled(torch.autograd.Function):  # type: ignore[misc]
    """`grid_sample`, differentiable with respect to the images as often as one likes.

    PyTorch's own has no second derivative on some devices and versions. It is linear in the images,
    so the gradient of its gradient is itself.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, places: torch.Tensor, mode: str) -> torch.Tensor:  # noqa: ANN401
        """Read (n, C, H, W) at places (n, H', W', 2)."""
        ctx.save_for_backward(places)
        ctx.shape, ctx.mode = images.shape, mode
        return sample(images, places, mode)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # noqa: ANN401
        """Put what was read back to where it came from."""
        (places,) = ctx.saved_tensors
        return _PutBack.apply(gradient, places, ctx.shape, ctx.mode), None, None


class _PutBack(torch.autograd.Function):  # type: ignore[misc]
    """The transpose of `Sampled`."""

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
            sampled = sample(images, places, mode)
            (found,) = torch.autograd.grad(sampled, images, values)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
        """Read it."""
        (places,) = ctx.saved_tensors
        return Sampled.apply(gradient, places, ctx.mode), None, None, None
