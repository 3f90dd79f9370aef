"""What the two networks are trained by, and the constants that go with it.

The non-saturating logistic loss (Goodfellow et al. 2014), a penalty on the discriminator's gradient
at real images (R1; Mescheder et al. 2018) that is computed only now and then (Karras et al. 2020),
and a running mean of the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import torch
from torch.nn import functional

from likeness.errors import OptionError


def generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log(sigmoid(logit)) over made images, a scalar."""
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log(sigmoid(logit)) over real and of its mirror over made images."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def squared_gradients(
    discriminator: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return the squared norm of the logits' gradient at each real image, ready to differentiate.

    Parameters
    ----------
    discriminator
        Not compiled: PyTorch cannot differentiate a compiled gradient.
    images
        (n, C, H, W).
    augment
        What is done to images before the discriminator sees them; the gradient passes through.

    Returns
    -------
    Tensor
        (n,), in the type of the images whatever autocast says.
    """
    images = images.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        logits = discriminator(images if augment is None else augment(images))
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))


def r1_loss(squared: torch.Tensor, gamma: float, *, interval: int = 1) -> torch.Tensor:
    """Return the R1 penalty: gamma / 2 times the mean of `squared_gradients`.

    Times `interval`, where it is a step of its own after every so many steps.
    """
    return squared.mean() * (gamma / 2 * interval)


class AdamSettings(TypedDict):
    """What `torch.optim.Adam` takes."""

    lr: float
    betas: tuple[float, float]
    eps: float


def adam_settings(learning_rate: float, *, interval: int | None = None) -> AdamSettings:
    """Return the optimiser's settings for a network.

    Parameters
    ----------
    learning_rate
        Per step.
    interval
        Where a penalty has a step of its own after every so many: all steps become so much smaller,
        and the memory so much longer, that the effect per image stays.
    """
    share = interval / (interval + 1) if interval else 1.0
    return {"lr": learning_rate * share, "betas": (0.0**share, 0.99**share), "eps": 1e-8}


def default_half_life(batch: int) -> float:
    """Return the half-life of the generator's running mean in images."""
    return 1000 * batch * 10 / 32


def mean_decay(
    batch: int, *, half_life: float, images_seen: int, rampup: float | None = 0.05
) -> float:
    """Return how much of the generator's running mean a step keeps.

    Parameters
    ----------
    batch
        Images per step, over all processes.
    half_life
        In images.
    images_seen
        Since training began.
    rampup
        The half-life is at most this share of the images seen, so that the first, random weights
        are forgotten early.

    Raises
    ------
    OptionError
        If the half-life is not positive.
    """
    if half_life <= 0:
        msg = f"half_life is {half_life} images; it must be more than 0."
        raise OptionError(msg)
    if rampup is not None:
        half_life = min(half_life, rampup * images_seen)
    # No images seen: nothing is kept, without a division by zero.
    return float(0.5 ** (batch / max(half_life, 1e-8)))


def update_mean(mean: torch.nn.Module, current: torch.nn.Module, decay: float) -> None:
    """Move a running mean towards the current network; buffers are copied.

    Both must be the same class with the same settings.
    """
    with torch.no_grad():
        for kept, new in zip(mean.parameters(), current.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        for kept, new in zip(mean.buffers(), current.buffers(), strict=True):
            kept.copy_(new)
