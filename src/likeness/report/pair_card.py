"""One pair of the evidence section as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.report import charts, evidence, sentences, text, wording
from likeness.report.render import as_html, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

    from likeness._findings import Baseline
    from likeness.report.pair_files import Pair, PairPixels
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
    """What real images of different people reach, for the words and the strip of every pair."""

    baseline: Baseline
    correlations: Floats
    """Highest full-size r of the real images; empty where it is not known."""
    low: float
    """Left end of the strip: no image and no pair lies below."""


def render_pair(
    rank: int,
    pair: Pair,
    pixels: PairPixels | None,
    channel_names: Sequence[str],
    yardstick: Yardstick,
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
        family=sentences.family(pair.family),
        scale=wording.SCALE_WORDS.get(pair.family, "r"),
        registered=pair.family == "registered",
        yardstick=sentences.yardstick(yardstick.baseline, pair),
        as_close=sentences.real_pairs_as_close(pair),
        how_rare=sentences.how_rare(pair),
        strip=_strip(pair, yardstick),
        no_neighbours=pixels is not None and pixels.previous is None and pixels.next is None,
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
        views.append(_view_channel(name, stated, pair, pixels, index))
    return views


def _view_channel(
    name: str, stated: float | None, pair: Pair, pixels: PairPixels, index: int
) -> ChannelView:
    train = pixels.train[index]
    synthetic = _without_gaps(pixels.synthetic[index])
    fit = evidence.fit_intensities(synthetic, train)
    window = evidence.linked_window(synthetic, train)
    difference, beyond = None, ""
    if fit is not None and pixels.residual is not None:
        rest = pixels.residual[index]
        difference = evidence.encode_picture(evidence.difference_picture(rest))
        num_beyond = int(np.count_nonzero(np.abs(rest) > evidence.DIFFERENCE_LIMIT))
        beyond = text.percentage(num_beyond / rest.size) if num_beyond else "none"
    found = None if fit is None else fit.correlation
    # A registered image was moved for the picture: its r is another one than at full size.
    comparable = found is not None and stated is not None and pair.family != "registered"
    differs = comparable and abs((found or 0) - (stated or 0)) > _SAME_CORRELATION
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


def _without_gaps(image: NDArray[Any]) -> NDArray[Any]:
    """Fill what lies outside the frame after registration with the darkest value."""
    if image.dtype.kind != "f" or np.isfinite(image).all():
        return image
    inside = image[np.isfinite(image)]
    return np.where(np.isfinite(image), image, inside.min() if inside.size else 0.0)


def _range(image: NDArray[Any]) -> str:
    return f"{text.amount(float(image.min()))} to {text.amount(float(image.max()))}"


def _strip(pair: Pair, yardstick: Yardstick) -> Markup | None:
    if pair.correlation is None or not yardstick.correlations.size:
        return None
    title = (
        f"r = {text.correlation(pair.correlation)} among "
        f"{text.many(yardstick.correlations.size, 'real image')}"
    )
    strip = charts.position_strip(
        yardstick.correlations, pair.correlation, yardstick.low, title=title
    )
    return as_html(strip)
