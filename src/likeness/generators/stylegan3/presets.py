"""Named settings: the paper's, and a small one.

Akbar et al. 2025 describe their networks in the text and by their parameter counts, and the two do
not agree. ``paper-text-*`` is what the text says; ``paper-counted-*`` has the printed counts, by
settings found by counting: some have a deeper mapping network, or one channel where the text has
five.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from likeness.generators.json_settings import JsonSettings
from likeness.generators.stylegan3.plan import NetworkSettings


@dataclass(frozen=True)
class TrainingSettings(JsonSettings):
    """How a preset is trained."""

    batch: int
    """Images per step, over all processes."""
    gamma: float
    """Weight of the R1 penalty."""
    images: int
    """Real images shown in all, repetitions included."""
    generator_rate: float = 0.0025
    discriminator_rate: float = 0.002
    """Learning rates of Adam, before lazy regularisation."""
    r1_interval: int = 16
    """Steps between two steps of the penalty."""


@dataclass(frozen=True)
class Preset:
    """A network, and how to train it."""

    name: str
    note: str
    network: NetworkSettings
    training: TrainingSettings


_PAPER = TrainingSettings(batch=16, gamma=10.0, images=25_000_000)
_TEXT_SIZES = {"small": (16_768, 256), "medium": (32_768, 512), "large": (64_786, 1024)}
_COUNTED = {
    # Channels of the image, channel base, channel maximum, depth of the mapping network.
    "cxr-small": (1, 16_768, 512, 2),
    "cxr-medium": (1, 32_768, 512, 2),
    "cxr-large": (1, 128_768, 512, 12),
    "brats-small": (5, 16_768, 256, 2),
    "brats-medium": (1, 32_768, 512, 12),
    "brats-large": (5, 64_786, 1024, 2),
}


def _text(data: str, channels: int) -> list[Preset]:
    return [
        Preset(
            f"paper-text-{data}-{size}",
            f"As the paper's text describes it, {channels} channel{'s' * (channels > 1)}.",
            NetworkSettings(256, channels, base, most),
            _PAPER,
        )
        for size, (base, most) in _TEXT_SIZES.items()
    ]


def _counted() -> list[Preset]:
    return [
        Preset(
            f"paper-counted-{name}",
            "Has the parameter counts that the paper prints.",
            NetworkSettings(256, channels, base, most, mapping_depth=depth),
            _PAPER,
        )
        for name, (channels, base, most, depth) in _COUNTED.items()
    ]


def tiny(channels: int = 1) -> Preset:
    """Return the small preset for images of so many channels: 32 x 32 pixels, for a processor."""
    return Preset(
        "tiny",
        "32 x 32 pixels, six layers: for half an hour on one core of a processor.",
        NetworkSettings(
            32,
            channels,
            channel_base=512,
            channel_max=32,
            layers=6,
            latent_size=64,
            style_size=64,
        ),
        TrainingSettings(batch=8, gamma=0.1, images=25_000),
    )


PRESETS: Final = MappingProxyType(
    {preset.name: preset for preset in (*_text("cxr", 1), *_text("brats", 5), *_counted(), tiny())}
)
"""By name."""
