"""What every layer looks like, and how many parameters there are, without building anything.

A layer of the generator is described by its sampling rate and by how much of the spectrum below
half that rate it uses: cutoff and stopband grow geometrically from the coarsest layer to the finest
(Karras et al. 2021, section 3.2 and appendix C). Rates and frequencies are in samples and cycles
per image width; sizes in pixels, with a margin of `MARGIN` around the image in all but the last
layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from likeness.errors import OptionError
from likeness.generators.json_settings import JsonSettings

MARGIN: Final = 10
"""Pixels around the image on every side, so that borders carry no hint of absolute position."""
FIRST_CUTOFF: Final = 2.0
FIRST_STOPBAND: Final = 2**2.1
LAST_STOPBAND: Final = 2**0.3
"""Relative to half the resolution."""
TAPS: Final = 6
"""Of a filter, per factor of the rate."""
KERNEL: Final = 3


@dataclass(frozen=True)
class NetworkSettings(JsonSettings):
    """Everything that decides the shapes of both networks.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    resolution: int
    """Height and width of the images in pixels: a power of two, 16 or more."""
    channels: int
    """Of the images, the annotation among them."""
    channel_base: int = 32_768
    """Channels of a layer are this over twice its cutoff, or over its size ..."""
    channel_max: int = 512
    """... but never more than this."""
    layers: int = 14
    """Of the generator, without the one that makes the image."""
    critical_layers: int = 2
    """The last of them, which use the whole spectrum."""
    mapping_depth: int = 2
    latent_size: int = 512
    """Length of a random vector."""
    style_size: int = 512
    """Length of what the mapping network makes of it."""
    minibatch_group: int = 4
    """Images that the discriminator compares with each other."""

    def __post_init__(self) -> None:
        if self.resolution < 16 or self.resolution & (self.resolution - 1):
            msg = (
                f"resolution {self.resolution} is not a power of two from 16 up. "
                "Choose 32, 64, 128, 256, 512 or 1024."
            )
            raise OptionError(msg)
        if not 0 < self.critical_layers < self.layers:
            msg = (
                f"critical_layers is {self.critical_layers} of layers {self.layers}: "
                "at least one layer must be critical and at least one must not."
            )
            raise OptionError(msg)
        for name in (
            "channels",
            "channel_max",
            "mapping_depth",
            "latent_size",
            "style_size",
            "minibatch_group",
        ):
            if getattr(self, name) < 1:
                msg = f"{name} is {getattr(self, name)}; it must be 1 or more."
                raise OptionError(msg)
        if self.channel_base < self.resolution:
            msg = (
                f"channel_base {self.channel_base} leaves no channel at {self.resolution} pixels. "
                f"Choose {self.resolution} or more."
            )
            raise OptionError(msg)


@dataclass(frozen=True)
class Signal:
    """What flows between two layers of the generator."""

    channels: int
    size: int
    """Height and width in samples, margin included."""
    rate: float
    """Samples per image width."""
    cutoff: float
    """Where the low-pass filter has fallen by half, in cycles per image width."""
    stopband: float
    """From where nothing should be left."""
    half_width: float
    """Of the filter's transition, which is centred on the cutoff."""


@dataclass(frozen=True)
class LayerPlan:
    """One layer of the generator."""

    index: int
    source: Signal
    target: Signal
    kernel: int
    is_to_image: bool
    is_critical: bool
    activation_rate: float
    """Samples per image width while the nonlinearity works: twice the higher of both rates."""
    in_mixed_precision: bool
    """Whether the layer may work with 16-bit numbers: not the coarsest ones."""
    style_size: int

    @property
    def up(self) -> int:
        """Factor from the source's rate to the nonlinearity's."""
        return round(self.activation_rate / self.source.rate)

    @property
    def down(self) -> int:
        """Factor from the nonlinearity's rate to the target's."""
        return round(self.activation_rate / self.target.rate)

    @property
    def up_taps(self) -> int:
        """Length of the filter before the nonlinearity; 1 where there is none."""
        return TAPS * self.up if self.up > 1 and not self.is_to_image else 1

    @property
    def down_taps(self) -> int:
        """Length of the filter after the nonlinearity; 1 where there is none."""
        return TAPS * self.down if self.down > 1 and not self.is_to_image else 1

    @property
    def padding(self) -> tuple[int, int]:
        """Samples to add at the nonlinearity's rate, at the low and the high end; negative: crop.

        The two differ so that filters of even length shift nothing: a sample stands for the middle
        of its interval.
        """
        full = self.source.size + self.kernel - 1
        needed = (self.target.size - 1) * self.down + 1
        total = needed - full * self.up + self.up_taps + self.down_taps - 2
        low = (total + self.up) // 2
        return low, total - low

    @property
    def parameters(self) -> int:
        """Weights and biases of style, convolution and activation."""
        ins, outs = self.source.channels, self.target.channels
        return (self.style_size + 1) * ins + self.kernel**2 * ins * outs + outs


def plan_generator(settings: NetworkSettings) -> tuple[LayerPlan, ...]:
    """Return the plan of the ``settings.layers`` layers and of the one that makes the image.

    The first layer's source is what the input block delivers.
    """
    signals = [_signal(settings, index) for index in range(settings.layers + 1)]
    plans = []
    for index, target in enumerate(signals):
        source = signals[max(index - 1, 0)]
        last = index == settings.layers
        highest = max(source.rate, target.rate)
        plans.append(
            LayerPlan(
                index=index,
                source=source,
                target=target,
                kernel=1 if last else KERNEL,
                is_to_image=last,
                is_critical=index >= settings.layers - settings.critical_layers,
                activation_rate=highest if last else 2 * highest,
                in_mixed_precision=target.rate * 16 > settings.resolution,
                style_size=settings.style_size,
            )
        )
    return tuple(plans)


def _signal(settings: NetworkSettings, index: int) -> Signal:
    """Describe what layer `index` delivers."""
    half = settings.resolution / 2
    step = min(index / (settings.layers - settings.critical_layers), 1.0)
    cutoff = FIRST_CUTOFF * (half / FIRST_CUTOFF) ** step
    stopband = FIRST_STOPBAND * (half * LAST_STOPBAND / FIRST_STOPBAND) ** step
    rate = 2.0 ** math.ceil(math.log2(min(2 * stopband, settings.resolution)))
    is_cropped = index >= settings.layers - 1
    wanted = min(settings.channel_base / 2 / cutoff, settings.channel_max)
    return Signal(
        channels=settings.channels if index == settings.layers else round(wanted),
        size=settings.resolution if is_cropped else round(rate) + 2 * MARGIN,
        rate=rate,
        cutoff=cutoff,
        stopband=stopband,
        half_width=max(stopband, rate / 2) - cutoff,
    )


def count_generator(settings: NetworkSettings) -> int:
    """Return how many trainable numbers the generator has."""
    plans = plan_generator(settings)
    sizes = [settings.latent_size] + [settings.style_size] * settings.mapping_depth
    mapping = sum((a + 1) * b for a, b in pairwise(sizes))
    first = plans[0].source.channels
    fourier = first**2 + 4 * (settings.style_size + 1)
    return mapping + fourier + sum(plan.parameters for plan in plans)


@dataclass(frozen=True)
class DiscriminatorLayer:
    """One layer of the discriminator that has weights."""

    name: str
    """Resolution of what it reads, a dot, and what it is."""
    in_features: int
    """Channels; of the two last layers, numbers."""
    out_features: int
    kernel: int
    """1 for the last two, which see no neighbourhood."""
    in_size: int
    """Height and width in pixels; 1 for the last two."""
    out_size: int
    activation_gain: float
    """Factor after the nonlinearity, or after a layer without one."""
    has_bias: bool = True

    @property
    def weight_gain(self) -> float:
        """Return the factor of the weights, which are drawn with unit variance."""
        return 1 / math.sqrt(self.in_features * self.kernel**2)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        weights = self.kernel**2 * self.in_features * self.out_features
        return weights + self.has_bias * self.out_features


def discriminator_channels(settings: NetworkSettings, size: int) -> int:
    """Return the channels at a resolution."""
    return min(settings.channel_base // size, settings.channel_max)


def plan_discriminator(settings: NetworkSettings) -> tuple[DiscriminatorLayer, ...]:
    """Return the layers from the image to the verdict, as far as they have weights."""
    root = math.sqrt(2)
    size = settings.resolution
    wide = discriminator_channels(settings, size)
    layers = [
        DiscriminatorLayer(f"{size}.from_image", settings.channels, wide, 1, size, size, root)
    ]
    while size > 4:
        half = size // 2
        t, o = discriminator_channels(settings, size), discriminator_channels(settings, half)
        layers += [
            DiscriminatorLayer(f"{size}.conv_a", t, t, 3, size, size, root),
            DiscriminatorLayer(f"{size}.conv_b_down", t, o, 3, size, half, 1.0),
            DiscriminatorLayer(f"{size}.skip_down", t, o, 1, size, half, 1 / root, has_bias=False),
        ]
        size = half
    c = discriminator_channels(settings, 4)
    return (
        *layers,
        DiscriminatorLayer("4.conv", c + 1, c, 3, 4, 4, root),
        DiscriminatorLayer("4.fc", 16 * c, c, 1, 1, 1, root),
        DiscriminatorLayer("4.out", c, 1, 1, 1, 1, 1.0),
    )


def count_discriminator(settings: NetworkSettings) -> int:
    """Return how many trainable numbers the discriminator has."""
    return sum(layer.parameters for layer in plan_discriminator(settings))
