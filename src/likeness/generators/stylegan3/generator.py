"""The generator: random vectors to styles, styles to images.

A mapping network turns a random vector into a style. The style moves a fixed set of waves (the
input), and scales the channels of every layer that follows. Each layer is a convolution and a
filtered leaky ReLU; the plan says at which rate (`plan`). No layer sees absolute positions other
than through the waves, so an image moves with them; `equivariance` measures that.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from likeness.generators.stylegan3.filtered_activation import Method, filtered_leaky_relu
from likeness.generators.stylegan3.filters import layer_filters
from likeness.generators.stylegan3.layers import Linear, activate
from likeness.generators.stylegan3.plan import LayerPlan, NetworkSettings, Signal, plan_generator

IMAGE_GAIN: Final = 0.25
MAPPING_RATE: Final = 0.01
"""Factor of the mapping network's learning rate."""
STYLE_MEMORY: Final = 0.998
"""Of the mean style, per update."""
MAGNITUDE_HALF_LIFE: Final = 20_000
"""Of a layer's magnitude, in images."""
TINY: Final = 1e-8


class Mapping(nn.Module):  # type: ignore[misc]
    """The mapping network, from random vectors to styles."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        ins, outs = settings.latent_size, settings.style_size
        self.layers = nn.ModuleList(
            Linear(outs if k else ins, outs, rate=MAPPING_RATE)
            for k in range(settings.mapping_depth)
        )
        self.register_buffer("mean_style", torch.zeros(outs))

    def forward(
        self, z: torch.Tensor, *, truncation: float = 1.0, statistics_images: int = 0
    ) -> torch.Tensor:
        """Return styles (n, style_size) for random vectors (n, latent_size)."""
        with _in_full_precision(z):
            x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + TINY)
            for layer in self.layers:
                x = activate(layer(x))
        if statistics_images:
            with torch.no_grad():
                self.mean_style.lerp_(x.mean(0).to(self.mean_style.dtype), 1 - STYLE_MEMORY)
        return x if truncation == 1 else self.mean_style.lerp(x, truncation)


class FourierInput(nn.Module):  # type: ignore[misc]
    """A fixed set of waves within the first cutoff, moved and turned by the style, and mixed."""

    def __init__(self, signal: Signal, style_size: int) -> None:
        super().__init__()
        self.signal = signal
        count = signal.channels
        angle = 2 * math.pi * torch.rand(count)
        radius = signal.cutoff * torch.rand(count).sqrt()  # uniform on the disc
        waves = torch.stack([angle.cos(), angle.sin()], 1) * radius[:, None]
        self.register_buffer("frequencies", waves)
        self.register_buffer("phases", torch.rand(count) - 0.5)
        self.mix = nn.Parameter(torch.randn(count, count))
        self.movement = Linear(style_size, 4)
        with torch.no_grad():
            self.movement.weight.zero_()
            self.movement.bias.copy_(torch.eye(4)[0])

    def forward(self, style: torch.Tensor, transform: torch.Tensor | None = None) -> torch.Tensor:
        """Return (n, C, H, W) for styles (n, style_size).

        `transform` (2, 3) or (n, 2, 3) says where the waves are read: place p of the image reads
        them at ``transform[:, :2] p + transform[:, 2]``, with p = (column, row) in image widths
        from the centre.
        """
        t = self.movement(style)
        t = t / torch.linalg.vector_norm(t[:, :2], dim=1, keepdim=True)
        cosine, sine, offset = t[:, 0, None], t[:, 1, None], t[:, 2:]
        f_x, f_y = self.frequencies.unbind(1)
        # Row vectors f times the rotation ((cosine, -sine), (sine, cosine)).
        turned = torch.stack([f_x * cosine + f_y * sine, f_y * cosine - f_x * sine], 2)
        if transform is None:
            frequencies, shift = turned, -offset
        else:
            transform = transform.expand(len(style), 2, 3)
            frequencies, shift = turned @ transform[..., :2], transform[..., 2] - offset
        phases = self.phases + (turned * shift[:, None]).sum(2)

        signal = self.signal
        radius = torch.linalg.vector_norm(frequencies, dim=2)
        fading = 1 - (radius - signal.cutoff) / (signal.rate / 2 - signal.cutoff)
        steps = torch.arange(signal.size, device=style.device, dtype=style.dtype)
        places = (steps + 0.5 - signal.size / 2) / signal.rate
        across = frequencies[..., 0, None] * places
        down = frequencies[..., 1, None] * places + phases[..., None]
        waves = torch.sin(2 * math.pi * (across[:, :, None, :] + down[..., None]))
        waves = waves * fading.clamp(0, 1)[..., None, None]
        mix = self.mix / math.sqrt(signal.channels)
        return functional.conv2d(waves, mix[..., None, None])


class SynthesisLayer(nn.Module):  # type: ignore[misc]
    """A convolution whose input channels the style scales, and a filtered leaky ReLU.

    The weights are the same for all images of a batch: the style scales the input, and the norm
    that it gives the weights is divided out of the output.
    """

    def __init__(self, plan: LayerPlan, *, method: Method = "polyphase") -> None:
        super().__init__()
        self.plan = plan
        self.method: Method = method
        ins, outs = plan.source.channels, plan.target.channels
        self.style = Linear(plan.style_size, ins, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outs, ins, plan.kernel, plan.kernel))
        self.bias = nn.Parameter(torch.zeros(outs))
        self.register_buffer("magnitude", torch.ones(()))
        for name, taps in zip(("up_filter", "down_filter"), layer_filters(plan), strict=True):
            # Not stored: the plan determines them.
            values = torch.tensor(taps.tolist(), dtype=torch.get_default_dtype())
            self.register_buffer(name, values, persistent=False)

    def forward(
        self, x: torch.Tensor, style: torch.Tensor, *, statistics_images: int = 0
    ) -> torch.Tensor:
        """Return (n, C', H', W') for (n, C, H, W) and styles (n, style_size)."""
        with _in_full_precision(style):
            if statistics_images:
                self._remember(x, statistics_images)
            scale = self.style(style)
            gain = self.magnitude.rsqrt()
            if self.plan.is_to_image:
                scale = scale * (gain / math.sqrt(self.weight[0].numel()))
            else:
                squares = self.weight.square().sum((2, 3))
                norms = torch.rsqrt(scale.square() @ squares.T + TINY)
        x = x * scale.to(x.dtype)[..., None, None]
        x = functional.conv2d(x, self.weight.to(x.dtype), padding=self.plan.kernel - 1)
        if not self.plan.is_to_image:
            x = x * (norms * gain).to(x.dtype)[..., None, None]
        linear = {"slope": 1.0, "gain": 1.0} if self.plan.is_to_image else {}
        return filtered_leaky_relu(
            x,
            self.bias,
            self.up_filter,
            self.down_filter,
            up=self.plan.up,
            down=self.plan.down,
            padding=self.plan.padding,
            method=self.method,
            **linear,
        )

    def _remember(self, x: torch.Tensor, images: int) -> None:
        with torch.no_grad():
            power = x.detach().to(self.magnitude.dtype).square().mean()
            self.magnitude.lerp_(power, 1 - 0.5 ** (images / MAGNITUDE_HALF_LIFE))


class Generator(nn.Module):  # type: ignore[misc]
    """StyleGAN3-t's generator.

    Parameters
    ----------
    settings
        Shapes. All numbers are drawn from torch's own random numbers.
    method
        The formulation of the filtered activation.

    Notes
    -----
    Within an autocast region the finer layers compute in 16 bits (bfloat16 advised), while mapping,
    input, styles and the coarsest layers stay in the type of the parameters.
    """

    def __init__(self, settings: NetworkSettings, *, method: Method = "polyphase") -> None:
        super().__init__()
        self.settings = settings
        plans = plan_generator(settings)
        self.mapping = Mapping(settings)
        self.input = FourierInput(plans[0].source, settings.style_size)
        self.layers = nn.ModuleList(SynthesisLayer(plan, method=method) for plan in plans)

    def forward(
        self,
        z: torch.Tensor,
        *,
        truncation: float = 1.0,
        transform: torch.Tensor | None = None,
        statistics_images: int = 0,
    ) -> torch.Tensor:
        """Make images.

        Parameters
        ----------
        z
            (n, latent_size) random vectors, standard normal.
        truncation
            1: styles as they are; 0: the mean style only.
        transform
            Where the input's waves are read; see `FourierInput`.
        statistics_images
            Where not 0: update the mean style and the layers' magnitudes, which stand for so many
            images (of all processes). To be done in the discriminator's step only.

        Returns
        -------
        Tensor
            (n, channels, resolution, resolution), about -1 to 1, not clipped.
        """
        styles = self.mapping(z, truncation=truncation, statistics_images=statistics_images)
        return self.synthesise(styles, transform=transform, statistics_images=statistics_images)

    def synthesise(
        self,
        styles: torch.Tensor,
        *,
        transform: torch.Tensor | None = None,
        statistics_images: int = 0,
    ) -> torch.Tensor:
        """Make images of styles: (n, style_size), the same for all layers.

        Or (n, layers + 2, style_size), one for the input and one for each layer.
        """
        if styles.ndim == 2:
            styles = styles[:, None].expand(-1, len(self.layers) + 1, -1)
        with _in_full_precision(styles):
            x = self.input(styles[:, 0], transform)
        for number, layer in enumerate(self.layers, start=1):
            style = styles[:, number]
            if layer.plan.in_mixed_precision and not layer.plan.is_to_image:
                x = layer(x, style, statistics_images=statistics_images)
            else:  # the image itself has more than the 256 levels of bfloat16
                with _in_full_precision(x):
                    x = layer(x.to(styles.dtype), style, statistics_images=statistics_images)
        return x * IMAGE_GAIN


def _in_full_precision(like: torch.Tensor) -> torch.autocast:
    return torch.autocast(like.device.type, enabled=False)
