"""diffusers' ``UNet2DModel`` so configured that it computes what guided-diffusion's network does.

Five things must be so, or the two differ:

- the middle attention has its group normalisation only if ``attn_norm_num_groups`` is given;
- normalisations add 1e-5 to the variance;
- guided-diffusion starts with zeros in the second convolution of each residual block, in the output
  of each attention and in the last convolution;
- the variance of the sampler is the larger fixed one (`schedule`);
- every attention has the same number of heads, where diffusers knows one width of a head.

The queries, keys and values of imported networks are a sixth (`importing`).
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d import UNet2DModel

from likeness.generators.ddpm.settings import UNetSettings


def build_unet(settings: UNetSettings, *, seed: int | None = None) -> UNet2DModel:
    """Build the network, in float32 on the processor, its weights as before the first step.

    Parameters
    ----------
    settings
        Sizes.
    seed
        Of the random weights. None takes torch's generator as it is. torch's generator is left as
        it was where a seed is given.

    Returns
    -------
    UNet2DModel
        ``network(x, t).sample`` is the predicted noise (n, C, H, W), where x is (n, C, H, W), about
        -1 to 1 plus noise, and t (n,) or one number.
    """
    if seed is None:
        return _built(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _built(settings)


def count_parameters(settings: UNetSettings) -> int:
    """Return the number of trained numbers of a network, without allocating them."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in UNet2DModel(**_arguments(settings)).parameters())


def set_heads(network: UNet2DModel, heads: int) -> None:
    """Give every attention the same number of heads, whatever its channels."""
    for module in network.modules():
        if isinstance(module, Attention):
            module.heads = heads
            module.sliceable_head_dim = heads
            module.scale = (module.inner_dim // heads) ** -0.5


def zero_outputs(network: UNet2DModel) -> None:
    """Set to zero what guided-diffusion starts at zero, so that each block starts as identity."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ResnetBlock2D):
                _zero(module.conv2)
            elif isinstance(module, Attention):
                _zero(module.to_out[0])
        _zero(network.conv_out)


def _built(settings: UNetSettings) -> UNet2DModel:
    network = UNet2DModel(**_arguments(settings))
    set_heads(network, settings.heads)
    zero_outputs(network)
    return network


def _zero(layer: Any) -> None:  # noqa: ANN401
    layer.weight.zero_()
    layer.bias.zero_()


def _arguments(settings: UNetSettings) -> dict[str, Any]:
    attends = [level in settings.attention_levels for level in range(len(settings.widths))]
    return {
        "sample_size": settings.resolution,
        "in_channels": settings.channels,
        "out_channels": settings.channels,
        "layers_per_block": settings.blocks,
        "block_out_channels": settings.widths,
        "down_block_types": tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        "up_block_types": tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        "resnet_time_scale_shift": "scale_shift",
        # Any divisor of all widths will do here; `set_heads` has the last word.
        "attention_head_dim": settings.width,
        "attn_norm_num_groups": settings.groups,
        "norm_num_groups": settings.groups,
        "norm_eps": 1e-5,
        "act_fn": "silu",
        "dropout": settings.dropout,
        "num_class_embeds": settings.classes,
    }
