"""How images of C channels are shown to an extractor that takes another number of them.

As many as it takes: all at once. One or three: each channel apart, repeated for three, and the mean
of the numbers over the channels. A recipe, which can be fitted to any number, is fitted to each
channel apart unless all together are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from likeness.errors import ImageMismatchError, OptionError
from likeness.metrics.features import FeatureExtractor, FeatureRecipe

ChannelMode = Literal["auto", "apart", "together"]
ALL: Final = "all"
MEAN: Final = "mean"


@dataclass(frozen=True)
class View:
    """What an extractor is shown."""

    label: str
    """Name of the channel, or ``all``."""
    channels: tuple[str, ...]
    repeat: int = 1
    """How often the channels are repeated."""


def views_for(
    extractor: FeatureExtractor | FeatureRecipe, channels: Sequence[str], mode: ChannelMode
) -> list[View]:
    """Return the views of images with these channels.

    Raises
    ------
    ImageMismatchError
        If the extractor takes another number of channels.
    OptionError
        If the channels cannot be passed in the way that is asked for.
    """
    together = [View(ALL if len(channels) > 1 else channels[0], tuple(channels))]
    if not isinstance(extractor, FeatureExtractor):
        return together if mode == "together" else [View(name, (name,)) for name in channels]
    takes = extractor.num_channels
    if mode != "apart" and takes == len(channels):
        return together
    if mode == "together":
        msg = (
            f"The extractor {extractor.name!r} takes {takes} channels; the {len(channels)} of "
            f"these images ({', '.join(channels)}) cannot be passed together."
        )
        raise OptionError(msg)
    if takes in (1, 3):
        return [View(name, (name,), takes) for name in channels]
    msg = (
        f"The extractor {extractor.name!r} takes {takes} channels; these images have "
        f"{len(channels)} ({', '.join(channels)})."
    )
    raise ImageMismatchError(msg)


def in_words(views: Sequence[View]) -> str:
    """Return how the channels are passed, for the output."""
    if len(views) == 1 and views[0].repeat == 1:
        number = len(views[0].channels)
        return "the one channel" if number == 1 else f"the {number} channels together"
    repeated = " repeated three times" if views[0].repeat == 3 else ""
    if len(views) == 1:
        return f"the one channel{repeated}"
    return f"each of the {len(views)} channels apart{repeated}, and their mean"
