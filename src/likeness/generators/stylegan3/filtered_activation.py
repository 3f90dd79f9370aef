"""A nonlinearity that makes no aliases: leaky ReLU between two low-pass filters.

A leaky ReLU makes frequencies above those of its input; sampled as they are, they would fold back
and stick to the pixel grid. So the signal is brought to a higher rate first, and filtered on its
way back (Karras et al. 2021, section 3.2).

Two formulations that differ by rounding alone, both made of public functions and differentiable as
often as one likes:

``polyphase``
    a strided transposed convolution per channel, which never multiplies the zeros between samples,
    then a strided convolution per channel, which computes only the samples that are kept;
``banded``
    each axis is multiplied with a constant matrix that does all of it at once: more arithmetic, but
    in the form in which matrix units do it fastest.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch.nn import functional

from likeness.errors import OptionError

Method: TypeAlias = Literal["polyphase", "banded"]

SLOPE = 0.2
GAIN = math.sqrt(2)
CLAMP = 256.0
HALVES = (torch.float16, torch.bfloat16)


def filtered_leaky_relu(
    x: torch.Tensor,
    bias: torch.Tensor,
    up_filter: torch.Tensor,
    down_filter: torch.Tensor,
    *,
    up: int,
    down: int,
    padding: tuple[int, int],
    slope: float = SLOPE,
    gain: float = GAIN,
    method: Method = "polyphase",
) -> torch.Tensor:
    """Add a bias, raise the rate, apply a leaky ReLU, and lower the rate.

    Parameters
    ----------
    x
        (n, C, H, W).
    bias
        (C,).
    up_filter, down_filter
        (taps,) filters of both axes, sum 1.
    up, down
        Factors of the rate.
    padding
        Samples to add at the raised rate, at the low and the high end of both axes; negative: crop.
    slope, gain
        Of the leaky ReLU, and a positive factor. Numbers of 16 bits are then held within +-256.
    method
        Which formulation; see above.

    Returns
    -------
    Tensor
        (n, C, H', W') with H' = ceil((H up + sum(padding) - up_taps - down_taps + 2) / down).

    Raises
    ------
    OptionError
        If there is no such method.
    """
    if method not in get_args(Method):
        msg = f"There is no method {method!r}. Choose one of {', '.join(get_args(Method))}."
        raise OptionError(msg)
    # The gain goes through the leaky ReLU unchanged, and here are the fewest samples.
    x = (x + bias.to(x.dtype)[:, None, None]) * gain
    if method == "banded":
        raised = [_raising_matrix(up_filter, size, up, padding) for size in x.shape[2:]]
        x = _both_axes(x, *raised)
    else:
        x = raise_rate(x, up_filter, up, padding)
    x = functional.leaky_relu(x, slope) if slope != 1 else x
    x = x.clamp(-CLAMP, CLAMP) if x.dtype in HALVES else x
    if method == "banded":
        lowered = [_lowering_matrix(down_filter, size, down) for size in x.shape[2:]]
        return _both_axes(x, *lowered)
    return lower_rate(x, down_filter, down)


def raise_rate(
    x: torch.Tensor, taps: torch.Tensor, factor: int, padding: tuple[int, int]
) -> torch.Tensor:
    """Raise the rate of images (n, C, H, W) on both axes, and filter.

    The same as: put ``factor - 1`` zeros behind every sample, multiply by ``factor`` per axis, pad,
    and keep the part of the convolution with `taps` that needs no samples from outside.
    """
    low, high = padding
    height, width = (size * factor + low + high - len(taps) + 1 for size in x.shape[2:])
    first = len(taps) - 1 - low
    found: torch.Tensor = _Spread.apply(x, taps * factor, factor, first, (height, width))
    return found


def lower_rate(
    x: torch.Tensor, taps: torch.Tensor, factor: int, *, padding: int = 0
) -> torch.Tensor:
    """Pad images (n, C, H, W), filter, and keep every sample number ``k * factor`` of both axes."""
    height, width = ((size + 2 * padding - len(taps)) // factor + 1 for size in x.shape[2:])
    found: torch.Tensor = _Gather.apply(x, taps.flip(0), factor, padding, (height, width))
    return found


class _Spread(torch.autograd.Function):  # type: ignore[misc]
    """``out[j] = sum over i of x[i] taps[j + first - i factor]``, on both axes.

    Written with `_Gather`, each the other's gradient: PyTorch's own gradient of a convolution per
    channel takes several times as long as the convolution.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: torch.Tensor,
        taps: torch.Tensor,
        factor: int,
        first: int,
        size: tuple[int, int],
    ) -> torch.Tensor:
        """Make (n, C, *size) of (n, C, H, W)."""
        ctx.save_for_backward(taps)
        ctx.factor, ctx.first, ctx.size = factor, first, tuple(x.shape[2:])
        # To add, negative: to cut, behind what a transposed convolution makes.
        behind = [
            out + first - (given - 1) * factor - len(taps)
            for out, given in zip(size, x.shape[2:], strict=True)
        ]
        cut = [max(0, min(first, -after)) for after in behind]
        x = functional.conv_transpose2d(
            x, _kernel(taps, x), stride=factor, padding=cut, groups=x.shape[1]
        )
        return _pad(
            x, [(some - first, some + after) for some, after in zip(cut, behind, strict=True)]
        )

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:  # noqa: ANN401
        """Return the gradient of x; taps are constant."""
        (taps,) = ctx.saved_tensors
        found = _Gather.apply(gradient, taps, ctx.factor, ctx.first, ctx.size)
        return found, None, None, None, None


class _Gather(torch.autograd.Function):  # type: ignore[misc]
    """``out[i] = sum over j of x[j] taps[j + first - i factor]``, on both axes."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: torch.Tensor,
        taps: torch.Tensor,
        factor: int,
        first: int,
        size: tuple[int, int],
    ) -> torch.Tensor:
        """Make (n, C, *size) of (n, C, H, W)."""
        ctx.save_for_backward(taps)
        ctx.factor, ctx.first, ctx.size = factor, first, tuple(x.shape[2:])
        behind = [
            (out - 1) * factor + len(taps) - first - given
            for out, given in zip(size, x.shape[2:], strict=True)
        ]
        # Padding of the convolution's own makes it several times slower on a processor.
        x = _pad(x, [(first, after) for after in behind])
        return functional.conv2d(x, _kernel(taps, x), stride=factor, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:  # noqa: ANN401
        """Return the gradient of x; taps are constant."""
        (taps,) = ctx.saved_tensors
        found = _Spread.apply(gradient, taps, ctx.factor, ctx.first, ctx.size)
        return found, None, None, None, None


def _kernel(taps: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.outer(taps, taps).to(x.dtype).expand(x.shape[1], 1, -1, -1)


def _pad(x: torch.Tensor, ends: list[tuple[int, int]]) -> torch.Tensor:
    """Pad rows and columns at their low and high ends; negative: cut."""
    (top, bottom), (left, right) = ends
    edges = (left, right, top, bottom)
    return functional.pad(x, edges) if any(edges) else x


def _both_axes(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Multiply every image with a matrix from the left, and with another's transpose."""
    return rows.to(x.dtype) @ (x @ columns.to(x.dtype).T)


def _raising_matrix(
    taps: torch.Tensor, size: int, factor: int, padding: tuple[int, int]
) -> torch.Tensor:
    """Return (samples out, size): entry (j, i) is the tap with which sample i enters sample j."""
    count, (low, high) = len(taps), padding
    out = torch.arange(size * factor + low + high - count + 1, device=taps.device)
    of = torch.arange(size, device=taps.device)
    tap = out[:, None] + (count - 1 - low) - of[None] * factor
    return _banded(taps * factor, tap)


def _lowering_matrix(taps: torch.Tensor, size: int, factor: int) -> torch.Tensor:
    """Return (samples out, size), likewise."""
    count = len(taps)
    out = torch.arange((size - count) // factor + 1, device=taps.device)
    of = torch.arange(size, device=taps.device)
    return _banded(taps, out[:, None] * factor + count - 1 - of[None])


def _banded(taps: torch.Tensor, tap: torch.Tensor) -> torch.Tensor:
    inside = (tap >= 0) & (tap < len(taps))
    return torch.where(inside, taps[tap.clamp(0, len(taps) - 1)], torch.zeros_like(taps[:1]))
