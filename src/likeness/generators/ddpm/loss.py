"""One training loss: how well the network tells the noise that was added.

Pure functions of what they are given; times and noise are drawn by the caller, from generators that
the caller can save. All noise levels are uniform in time and weigh the same (Ho et al. 2020,
equation 14; guided-diffusion's defaults).
"""

from __future__ import annotations

from typing import Any

import torch

from likeness.generators.ddpm.schedule import kept, network_times
from likeness.generators.ddpm.settings import Diffusion


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Turn 8-bit images into float32 from -1 to 1."""
    return images.to(torch.float32) / 127.5 - 1


def draw_times(count: int, diffusion: Diffusion, generator: torch.Generator) -> torch.Tensor:
    """Draw times (count,), whole numbers from 0 to T - 1, all alike likely."""
    return torch.randint(0, diffusion.steps, (count,), generator=generator)


class NoiseLevels:
    """The factors of image and noise at each time, on one device."""

    def __init__(self, diffusion: Diffusion, device: torch.device | str = "cpu") -> None:
        share = torch.from_numpy(kept(diffusion))
        # The roots are taken in float64 and rounded once.
        self.of_image = share.sqrt().float().to(device)
        self.of_noise = (1 - share).sqrt().float().to(device)

    def noisy(self, images: torch.Tensor, times: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return images (n, C, H, W) as they are at times (n,), with noise of their shape."""
        shape = (-1, *[1] * (images.ndim - 1))
        a, b = self.of_image[times].reshape(shape), self.of_noise[times].reshape(shape)
        return a * images + b * noise


def noise_loss(
    network: Any,  # noqa: ANN401
    levels: NoiseLevels,
    diffusion: Diffusion,
    images: torch.Tensor,
    times: torch.Tensor,
    noise: torch.Tensor,
    labels: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean squared error of the predicted noise of each image: (n,) float32.

    Parameters
    ----------
    network
        Of `network.build_unet`, perhaps wrapped; ``network(x, t, class_labels=...).sample``.
    levels, diffusion
        The noise, on the images' device.
    images
        (n, C, H, W) float32 from -1 to 1, of `scaled`.
    times
        (n,) whole numbers from 0 to T - 1.
    noise
        Standard normal, of the shape of `images`.
    labels
        (n,) classes of a class-conditional network.
    """
    noisy = levels.noisy(images, times, noise)
    predicted = network(noisy, network_times(times, diffusion), class_labels=labels).sample
    return (predicted.float() - noise).square().flatten(1).mean(1)
