"""One pair of images as pictures that let a reader judge for themselves.

In:  the pixels of a synthetic and of a training image, any number type, channel by channel.
Out: 8-bit pictures as data URIs: both images through one window, their signed difference, the
     scatter of their intensities.

Correlation does not see brightness and contrast, so neither do the pictures: both images are shown
in standard deviations from their own mean, through one window. The difference was made by the
audit: what is left of the synthetic image after the fit ``s ~ a x + b``, in units of the training
image's range.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.types import Floats

DIFFERENCE_LIMIT: Final = 0.2
"""Ends of the difference scale, in parts of the synthetic image's range; the same for all pairs."""

# Share of pixels that a window may leave beyond each of its ends, unless what lies between is less
# than this part of the whole range, as in a mask with a few bright pixels.
_WINDOW_TAIL = 0.005
_WINDOW_LEAST = 0.1

# Okabe-Ito blue and vermillion, and a neutral light grey for "no difference".
DIFFERENCE_COLOURS: Final = ((0, 114, 178), (242, 242, 242), (213, 94, 0))
# Where the images do not overlap after registration, there is no difference to show.
OUTSIDE_COLOUR: Final = (64, 64, 64)
_HALF = 127

_SCATTER_SIDE = 128
_SCATTER_GROUND = 24
_SCATTER_LINE = (230, 159, 0)

# WebP cannot hold a longer side.
_WEBP_LIMIT = 16383


@dataclass(frozen=True)
class Fit:
    """The least-squares line ``s ~ slope x + offset`` of one channel, and its correlation."""

    slope: float
    offset: float
    correlation: float


@dataclass(frozen=True)
class Picture:
    """An 8-bit picture ready for an ``<img>``."""

    uri: str
    width: int
    height: int


def fit_intensities(synthetic: NDArray[Any], train: NDArray[Any]) -> Fit | None:
    """Fit one channel of a synthetic image (H, W) by the same of a training image (H, W).

    Returns None where either is constant: there is no correlation then.
    """
    s = synthetic.astype(np.float64).ravel()
    x = train.astype(np.float64).ravel()
    if s.min() == s.max() or x.min() == x.max():
        return None
    s_centred, x_centred = s - s.mean(), x - x.mean()
    covariance = float(s_centred @ x_centred)
    variance_x, variance_s = float(x_centred @ x_centred), float(s_centred @ s_centred)
    if variance_x == 0 or variance_s == 0:  # so faint that its square underflows
        return None
    slope = covariance / variance_x
    r = covariance / math.sqrt(variance_x) / math.sqrt(variance_s)
    return Fit(slope, float(s.mean() - slope * x.mean()), min(1.0, max(-1.0, r)))


def linked_window(synthetic: NDArray[Any], train: NDArray[Any]) -> tuple[float, float]:
    """Return the window of both images of a channel, in standard deviations from their means."""
    ends = [_window(_standardise(image)) for image in (synthetic, train)]
    return min(end[0] for end in ends), max(end[1] for end in ends)


def _window(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = np.quantile(values, [_WINDOW_TAIL, 1 - _WINDOW_TAIL]).tolist()
    if inner_high - inner_low < _WINDOW_LEAST * (high - low):
        return low, high
    return inner_low, inner_high


def grey_picture(image: NDArray[Any], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Show one channel (H, W) through a window in standard deviations from its own mean.

    A constant channel has nothing to show and is black.
    """
    if image.min() == image.max():
        return np.zeros(image.shape, np.uint8)
    return _to_grey(_standardise(image), window)


def neighbour_picture(
    neighbour: NDArray[Any], train: NDArray[Any], window: tuple[float, float]
) -> NDArray[np.uint8]:
    """Show an adjacent slice (H, W) through the very window of the training image `train`."""
    x = train.astype(np.float64)
    if x.min() == x.max():  # no window to share
        return grey_picture(neighbour, _window(_standardise(neighbour)))
    return _to_grey((neighbour.astype(np.float64) - x.mean()) / float(x.std()), window)


def _standardise(image: NDArray[Any]) -> Floats:
    values = image.astype(np.float64)
    centred: Floats = values - values.mean()
    spread = float(centred.std())
    return centred / spread if spread > 0 else np.zeros_like(values)


def _to_grey(values: Floats, window: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = window
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    scaled = np.clip((values - low) / (high - low), 0, 1) * 255
    return np.rint(scaled).astype(np.uint8)


def difference_picture(rest: NDArray[Any]) -> NDArray[np.uint8]:
    """Colour a residual (H, W): (H, W, 3), blue below zero, light grey at zero, vermillion above.

    The scale ends at plus and minus `DIFFERENCE_LIMIT`; what lies beyond gets the end colour. NaN,
    outside the overlap, is dark grey.
    """
    values = rest.astype(np.float64)
    inside = np.isfinite(values)
    scaled = np.clip(np.where(inside, values, 0.0) / DIFFERENCE_LIMIT, -1, 1)
    steps = np.rint(scaled * _HALF).astype(np.int64) + _HALF
    coloured: NDArray[np.uint8] = np.take(_difference_table(), steps, axis=0)
    coloured[~inside] = OUTSIDE_COLOUR
    return coloured


def _difference_table() -> NDArray[np.uint8]:
    """255 colours; the middle one is the neutral grey exactly."""
    below, zero, above = (np.array(colour, np.float64) for colour in DIFFERENCE_COLOURS)
    weight = np.linspace(0, 1, _HALF + 1)[:, None]
    lower = below + (zero - below) * weight
    upper = zero + (above - zero) * weight[1:]
    table: NDArray[np.uint8] = np.rint(np.concatenate([lower, upper])).astype(np.uint8)
    return table


def scatter_picture(
    synthetic: NDArray[Any], train: NDArray[Any], fit: Fit | None
) -> NDArray[np.uint8]:
    """Draw intensity against intensity, (128, 128, 3): training to the right, synthetic upwards.

    Each axis runs from the lowest to the highest intensity of its image. Grey is the logarithm of
    the number of pixels in a cell; the line is the fit.
    """
    x, x_low, x_high = _to_cells(train)
    y, y_low, y_high = _to_cells(synthetic)
    cells = np.bincount(y * _SCATTER_SIDE + x, minlength=_SCATTER_SIDE**2)
    density = np.log1p(cells.reshape(_SCATTER_SIDE, _SCATTER_SIDE))
    shade = density / density.max()
    # A single pixel must stay visible beside a background of thousands.
    grey = np.where(shade > 0, 90 + 165 * shade, _SCATTER_GROUND)
    picture = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    if fit is not None:
        columns = np.linspace(0, 1, 8 * _SCATTER_SIDE)
        values = fit.slope * (x_low + columns * (x_high - x_low)) + fit.offset
        rows = (values - y_low) / (y_high - y_low)
        inside = (rows >= 0) & (rows <= 1)
        last = _SCATTER_SIDE - 1
        picture[
            np.rint(rows[inside] * last).astype(int), np.rint(columns[inside] * last).astype(int)
        ] = _SCATTER_LINE
    return np.ascontiguousarray(picture[::-1])


def _to_cells(image: NDArray[Any]) -> tuple[NDArray[np.int64], float, float]:
    values = image.astype(np.float64).ravel()
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros(len(values), np.int64), low, high
    scaled = (values - low) / (high - low) * (_SCATTER_SIDE - 1)
    return np.rint(scaled).astype(np.int64), low, high


def encode_picture(pixels: NDArray[np.uint8]) -> Picture:
    """Encode (H, W) grey or (H, W, 3) colour without loss, as a data URI."""
    from PIL import Image

    height, width = pixels.shape[:2]
    buffer = io.BytesIO()
    if max(height, width) <= _WEBP_LIMIT:
        kind = "webp"
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        Image.fromarray(rgb).save(buffer, "WEBP", lossless=True, exact=True, method=2)
    else:
        kind = "png"
        Image.fromarray(pixels).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{text}", width, height)
