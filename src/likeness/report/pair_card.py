"""One pair of the evidence section as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.report import charts, evidence, text, wording
from likeness.report.render import as_html, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

    from likeness.report.audit_files import Pair, PairPixels
    from likeness.types import Floats

# The audit and the report compute r from the same pixels; float64 sums agree far below this.
_SAME_CORRELATION = 5e-5


@dataclass(frozen=True)
class ChannelView:
    """One channel of a pair as pictures and words."""

    name: str
    correlation: float | None
    from_pictures: float | None
    """r computed anew, where it differs from what the audit wrote down."""
    fit: evidence.Fit | None
    beyond: str
    """Share of the difference beyond its scale, in words."""
    synthetic: evidence.Picture
    train: evidence.Picture
    difference: evidence.Picture | None
    scatter: evidence.Picture | None
    previous: evidence.Picture | None
    next: evidence.Picture | None
    train_range: str
    synthetic_range: str


@dataclass(frozen=True)
class Yardstick:
    """Scores of the real images that decided, for the small strip of every pair."""

    scores: Floats
    low: float
    """Left end of the strip: no image and no pair lies below."""


def render_pair(
    rank: int,
    pair: Pair,
    pixels: PairPixels | None,
    channel_names: Sequence[str],
    yardstick: Yardstick | None,
) -> str:
    """Return the card of one pair; without pixels it holds the numbers only."""
    channels = [] if pixels is None else view_channels(pair, pixels, channel_names)
    return render(
        "pair.html.j2",
        rank=rank,
        pair=pair,
        channels=channels,
        few_channels=len(channels) <= 2,
        transform=wording.TRANSFORM_WORDS.get(pair.transform, pair.transform),
        below=max(0, pair.baseline_size - pair.baseline_above),
        strip=_strip(pair, yardstick),
        no_neighbours=pixels is not None and pixels.previous is None and pixels.next is None,
        limit=f"{evidence.DIFFERENCE_LIMIT:g}",
    )


def view_channels(
    pair: Pair, pixels: PairPixels, channel_names: Sequence[str]
) -> list[ChannelView]:
    """Make the pictures of every channel."""
    num_channels = pixels.train.shape[0]
    names = list(pair.channels or channel_names)
    if len(names) != num_channels:
        names = [f"channel {index + 1}" for index in range(num_channels)]
    views = []
    for index, name in enumerate(names):
        known = pair.correlation_per_channel
        stated = known[index] if index < len(known) else None
        views.append(_view_channel(name, stated, pixels, index))
    return views


def _view_channel(name: str, stated: float | None, pixels: PairPixels, index: int) -> ChannelView:
    synthetic, train = pixels.synthetic[index], pixels.train[index]
    fit = evidence.fit_intensities(synthetic, train)
    window = evidence.linked_window(synthetic, train)
    difference, beyond = None, ""
    if fit is not None:
        rest = evidence.residual(synthetic, train, fit)
        difference = evidence.encode_picture(evidence.difference_picture(rest))
        num_beyond = int(np.count_nonzero(np.abs(rest) > evidence.DIFFERENCE_LIMIT))
        beyond = text.percentage(num_beyond / rest.size) if num_beyond else "none"
    found = None if fit is None else fit.correlation
    differs = found is not None and stated is not None and abs(found - stated) > _SAME_CORRELATION
    scatter = evidence.scatter_picture(synthetic, train, fit)

    def adjacent(image: NDArray[Any] | None) -> evidence.Picture | None:
        if image is None:
            return None
        return evidence.encode_picture(evidence.neighbour_picture(image[index], train, window))

    return ChannelView(
        name=name,
        correlation=stated if stated is not None else found,
        from_pictures=found if differs else None,
        fit=fit,
        beyond=beyond,
        synthetic=evidence.encode_picture(evidence.grey_picture(synthetic, window)),
        train=evidence.encode_picture(evidence.grey_picture(train, window)),
        difference=difference,
        scatter=None if fit is None else evidence.encode_picture(scatter),
        previous=adjacent(pixels.previous),
        next=adjacent(pixels.next),
        train_range=_range(train),
        synthetic_range=_range(synthetic),
    )


def _range(image: NDArray[Any]) -> str:
    return f"{text.amount(float(image.min()))} to {text.amount(float(image.max()))}"


def _strip(pair: Pair, yardstick: Yardstick | None) -> Markup | None:
    if yardstick is None or pair.score is None:
        return None
    title = f"Score {text.correlation(pair.score)} among {len(yardstick.scores)} real images"
    return as_html(charts.position_strip(yardstick.scores, pair.score, yardstick.low, title=title))
