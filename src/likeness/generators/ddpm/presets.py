"""Named diffusion models, each number with its source.

The paper's text and the paper's parameter counts disagree (see the family's description), so there
is one family for each. The text: 4,000 steps, width 64, three residual blocks, learning rate 1e-4,
batches of 12, 7,800,000 images; images of five channels (four modalities and the annotation) or
one. Widths 32 and 96 for small and large are the text's and the published commands' too. The tiny
model is our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from likeness.generators.ddpm.settings import Diffusion, Training, UNetSettings, unet_settings

_WIDTHS: Final = {"small": 32, "medium": 64, "large": 96}
"""Base widths: the paper's text and published commands; they also give its parameter counts."""

_PAPER_DIFFUSION: Final = Diffusion(steps=4000, rescale_times=False)
"""The paper's text; not rescaled is guided-diffusion's default."""

_PAPER_TRAINING: Final = Training(batch=12, images=7_800_000)
"""The paper's text. Its published commands say 16 or 32 images per step."""


@dataclass(frozen=True)
class DdpmPreset:
    """A diffusion model by name."""

    name: str
    unet: UNetSettings
    diffusion: Diffusion
    training: Training
    parameters: int
    """Of the network at these settings."""
    description: str
    """What it is, in a sentence or two, and where its numbers come from."""
    kind: Literal["ddpm"] = "ddpm"

    def resized(
        self,
        *,
        resolution: int | None = None,
        channels: int | None = None,
        classes: int | None = None,
    ) -> UNetSettings:
        """Return the network for other images.

        At another resolution the levels are those of that resolution, so that the number of
        parameters changes too.

        Raises
        ------
        OptionError
            If the resolution is not 32 to 256 or cannot be halved as often as there are levels.
        """
        own = self.unet
        if resolution is not None and resolution != own.resolution:
            own = unet_settings(
                resolution,
                own.channels,
                width=own.width,
                blocks=own.blocks,
                heads=own.heads,
                groups=own.groups,
            )
        channels = own.channels if channels is None else channels
        return replace(own, channels=channels, classes=classes)


def _paper_text(data: str, channels: int, counts: tuple[int, int, int]) -> list[DdpmPreset]:
    return [
        DdpmPreset(
            name=f"paper-text-{data}-{size}",
            unet=unet_settings(256, channels, width=width, blocks=3),
            diffusion=_PAPER_DIFFUSION,
            training=_PAPER_TRAINING,
            parameters=count,
            description=(
                f"The paper's {size} model for {data.upper()} as its text describes it: "
                f"{channels} channel{'s' * (channels > 1)}, three residual blocks. Its parameter "
                "count is not the one that the paper prints."
            ),
        )
        for (size, width), count in zip(_WIDTHS.items(), counts, strict=True)
    ]


def _paper_counted(
    data: str, channels: int, blocks: int, counts: tuple[int, int, int]
) -> list[DdpmPreset]:
    return [
        DdpmPreset(
            name=f"paper-counted-{data}-{size}",
            unet=unet_settings(256, channels, width=width, blocks=blocks),
            diffusion=_PAPER_DIFFUSION,
            training=_PAPER_TRAINING,
            parameters=count,
            description=(
                f"The network that has the {count:,} parameters which the paper prints for its "
                f"{size} {data.upper()} model: {channels} channels, {blocks} residual blocks. To "
                "build and count: the channels do not fit the data."
            ),
        )
        for (size, width), count in zip(_WIDTHS.items(), counts, strict=True)
    ]


_TINY: Final = DdpmPreset(
    name="tiny",
    unet=UNetSettings(
        resolution=32,
        channels=1,
        width=32,
        blocks=1,
        multipliers=(1, 2, 2),
        attention_sides=(8,),
    ),
    diffusion=Diffusion(steps=1000),
    training=Training(batch=32, images=180_000, learning_rate=5e-4, average=0.999),
    parameters=1_191_233,
    description=(
        "32 pixels, for minutes on a processor. Our own choice; guided-diffusion's 1,000 steps, "
        "and a shorter running mean of the weights, as there are fewer training steps."
    ),
)

DDPM_PRESETS: Final[Mapping[str, DdpmPreset]] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            *_paper_text("brats", 5, (10_305_413, 41_125_637, 92_460_677)),
            *_paper_text("cxr", 1, (10_303_105, 41_121_025, 92_453_761)),
            *_paper_counted("brats", 3, 3, (10_304_259, 41_123_331, 92_457_219)),
            *_paper_counted("cxr", 5, 2, (7_780_933, 31_050_885, 69_809_861)),
            _TINY,
        )
    }
)
"""All diffusion models by name."""
