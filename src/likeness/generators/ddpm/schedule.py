"""Noise levels as guided-diffusion computes them, and diffusers' schedulers on these levels.

In T steps an image x_0 becomes noise: with betas b_1..b_T that grow linearly from 0.1 / T to 20 / T
and a_t = (1 - b_1) ... (1 - b_t),

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise

(Ho et al. 2020, equation 4; the betas for T other than 1,000 are guided-diffusion's). Everything is
float64: diffusers' own float32 betas misstate 1 - a_1 by a thousandth at T = 4,000.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from likeness.generators.ddpm.settings import Diffusion, Sampler
from likeness.types import Floats


def betas(diffusion: Diffusion) -> Floats:
    """Return the variance that each step adds: (T,) float64."""
    scale = 1000 / diffusion.steps
    return np.linspace(scale * 1e-4, scale * 0.02, diffusion.steps, dtype=np.float64)


def kept(diffusion: Diffusion) -> Floats:
    """Return a_t, the share of the image's variance left after each step: (T,) float64."""
    found: Floats = np.cumprod(1 - betas(diffusion), dtype=np.float64)
    return found


def sampling_times(sampler: Sampler, diffusion: Diffusion) -> list[int]:
    """Return the times that a sampler visits, noisiest first.

    Ancestral steps are spread from the first time to the last, the fraction carried along in
    floating point as guided-diffusion does it: a time that lies halfway falls on the same side.

    Raises
    ------
    OptionError
        If the sampler's steps do not fit the diffusion's.
    """
    sampler.check(diffusion)
    if sampler.kind == "ddim":
        return list(range(0, diffusion.steps, diffusion.steps // sampler.steps))[::-1]
    strides = [(diffusion.steps - 1) / (sampler.steps - 1)] * (sampler.steps - 1)
    return [round(time) for time in accumulate(strides, initial=0.0)][::-1]


def network_times(times: torch.Tensor, diffusion: Diffusion) -> torch.Tensor:
    """Return what the network is told about the times, (n,) whole numbers from 0 to T - 1."""
    if diffusion.rescale_times:
        return times.float() * (1000.0 / diffusion.steps)
    return times


def scheduler_for(sampler: Sampler, diffusion: Diffusion) -> Any:  # noqa: ANN401
    """Return diffusers' scheduler for a sampler, its timesteps set.

    Steps of ``ddim`` must be taken with ``use_clipped_model_output=True``; `step_back` does.

    Raises
    ------
    OptionError
        If the sampler's steps do not fit the diffusion's.
    """
    times = sampling_times(sampler, diffusion)
    common = {
        "num_train_timesteps": diffusion.steps,
        "beta_schedule": "linear",
        "beta_start": 0.1 / diffusion.steps,
        "beta_end": 20 / diffusion.steps,
        "prediction_type": "epsilon",
        "clip_sample": True,
        "clip_sample_range": 1.0,
    }
    one = torch.ones((), dtype=torch.float64)
    if sampler.kind == "ancestral":
        # The default variance is the smaller one, and "fixed_large_log" gives NaN (diffusers 0.42).
        scheduler = DDPMScheduler(
            variance_type="fixed_large", timestep_spacing="linspace", **common
        )
        scheduler.one = one
        scheduler.set_timesteps(timesteps=times)
    else:
        scheduler = DDIMScheduler(
            timestep_spacing="leading", steps_offset=0, set_alpha_to_one=True, **common
        )
        scheduler.final_alpha_cumprod = one
        scheduler.set_timesteps(sampler.steps)
    scheduler.betas = torch.from_numpy(betas(diffusion))
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = torch.from_numpy(kept(diffusion))
    return scheduler


def step_back(
    scheduler: Any,  # noqa: ANN401
    sampler: Sampler,
    predicted: torch.Tensor,
    time: int,
    images: torch.Tensor,
    generators: list[torch.Generator],
) -> torch.Tensor:
    """Take one step from noise to image.

    Parameters
    ----------
    scheduler, sampler
        From `scheduler_for`, and what it was made for.
    predicted, images
        (n, C, H, W): the network's noise, and the images at `time`.
    time
        One of ``scheduler.timesteps``.
    generators
        One per image, each of which fresh noise is drawn from.
    """
    if sampler.kind == "ancestral":
        found = scheduler.step(predicted, time, images, generator=generators)
    else:
        # guided-diffusion derives the noise anew from the clipped image.
        found = scheduler.step(
            predicted,
            time,
            images,
            eta=sampler.eta,
            use_clipped_model_output=True,
            generator=generators,
        )
    return found.prev_sample
