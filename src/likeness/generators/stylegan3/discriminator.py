"""The discriminator: images to one number each, high for images that look real.

The residual network of Karras et al. 2020 ("Analyzing and improving the image quality of
StyleGAN"): halved in size step by step, blurred before every halving. At 4 x 4 pixels it also sees
how much images of a group differ, so that a generator that makes one image only is found out.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from likeness.errors import OptionError
from likeness.generators.stylegan3.filtered_activation import lower_rate
from likeness.generators.stylegan3.layers import Convolution, Linear, activate, clamped
from likeness.generators.stylegan3.plan import NetworkSettings, discriminator_channels

BLUR = (0.125, 0.375, 0.375, 0.125)
HALF = math.sqrt(0.5)
TINY = 1e-8


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions and a short cut; halves the size."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.conv_a = Convolution(ins, ins, 3)
        self.conv_b_down = Convolution(ins, outs, 3)
        self.skip_down = Convolution(ins, outs, 1, has_bias=False)
        self.register_buffer("blur", torch.tensor(BLUR), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, outs, H / 2, W / 2) for (n, ins, H, W)."""
        halved = lower_rate(x, self.blur, 2, padding=1)
        skip = clamped(self.skip_down(halved) * HALF, HALF)
        x = clamped(activate(self.conv_a(x, padding=1)))
        x = lower_rate(x, self.blur, 1, padding=2)
        return skip + clamped(activate(self.conv_b_down(x, stride=2), gain=1.0), HALF)


class Discriminator(nn.Module):  # type: ignore[misc]
    """StyleGAN2's discriminator.

    Within an autocast region the finer blocks compute in 16 bits (bfloat16 advised). Not to be
    compiled where its gradient is differentiated again.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        size = settings.resolution
        width = [discriminator_channels(settings, size)]
        self.from_image = Convolution(settings.channels, width[0], 1)
        self.blocks = nn.ModuleList()
        self.in_mixed_precision: list[bool] = []
        while size > 4:
            self.in_mixed_precision.append(size * 8 >= settings.resolution)
            size //= 2
            width.append(discriminator_channels(settings, size))
            self.blocks.append(Block(width[-2], width[-1]))
        self.conv = Convolution(width[-1] + 1, width[-1], 3)
        self.fc = Linear(16 * width[-1], width[-1])
        self.out = Linear(width[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Judge images.

        Parameters
        ----------
        images
            (n, channels, resolution, resolution), -1 to 1. Where n is above
            ``settings.minibatch_group``, it must be a multiple of it.

        Returns
        -------
        Tensor
            (n,) logits.

        Raises
        ------
        OptionError
            If the batch cannot be cut into groups.
        """
        x = clamped(activate(self.from_image(images)))
        for block, in_mixed_precision in zip(self.blocks, self.in_mixed_precision, strict=True):
            if in_mixed_precision:
                x = block(x)
            else:
                with torch.autocast(x.device.type, enabled=False):
                    x = block(x.to(images.dtype))
        with torch.autocast(x.device.type, enabled=False):
            x = with_differences(x.to(images.dtype), self.settings.minibatch_group)
            x = activate(self.conv(x, padding=1))
            return self.out(activate(self.fc(x.flatten(1)))).squeeze(1)


def with_differences(x: torch.Tensor, most: int) -> torch.Tensor:
    """Add a channel that says how much the images of a group differ.

    Image number i belongs to group ``i mod (n / g)``, with g = min(`most`, n) images in each. What
    is added is the standard deviation within a group, averaged over channels and pixels.

    Raises
    ------
    OptionError
        If n is not a multiple of g.
    """
    count, channels, height, width = x.shape
    size = min(most, count)
    if count % size:
        msg = (
            f"A batch of {count} images cannot be cut into groups of {size} for the discriminator. "
            f"Choose a batch that is a multiple of {size}, or another minibatch_group."
        )
        raise OptionError(msg)
    groups = x.reshape(size, count // size, channels, height, width)
    spread = (groups.var(0, correction=0) + TINY).sqrt().mean((1, 2, 3))
    spread = spread.repeat(size)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, spread], 1)
