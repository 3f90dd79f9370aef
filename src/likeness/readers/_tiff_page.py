"""One page of a TIFF: what its tags mean, and its pixels.

Source: Adobe, TIFF Revision 6.0 (1992), part 1 and section 18; tag numbers in brackets there.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.readers._alpha import without_alpha
from likeness.readers._checks import check_dtype, check_page_size, owned, page_dtype
from likeness.readers._exif import orientation_notes, upright, upright_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likeness.readers._base import ReadOptions
    from likeness.readers._sources import Source

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOUR_SAMPLES: Final = {
    _WHITE_IS_ZERO: 1,
    _BLACK_IS_ZERO: 1,
    _RGB: 3,
    _PALETTE: 1,
    _YCBCR: 3,
}
_ASSOCIATED, _UNASSOCIATED = 1, 2
_HORIZONTAL_PREDICTOR: Final = 2
_OWN_COMPRESSIONS: Final = (1, 8, 32946, 32773, 34925)
"""None, Deflate (new and old number), PackBits, LZMA: tifffile decodes these itself."""
_PILLOW_COMPRESSIONS: Final = (1, 5, 7, 8, 32946, 32773)
"""Also LZW and JPEG, which libtiff inside Pillow decodes."""
_PILLOW_MODES: Final = ("L", "RGB", "I;16", "I;16B", "F")
_ORIENTATION_TAG: Final = 274


@dataclass(frozen=True)
class TiffPage:
    """What the tags of a page mean, checked."""

    height: int
    """As stored, before turning upright."""
    width: int
    samples: int
    """Stored per pixel, alpha included."""
    dtype: np.dtype[Any]
    """As decoded."""
    bits: int
    photometric: int
    alpha: int
    """0 where there is no alpha channel, else the kind of alpha (tag ExtraSamples)."""
    orientation: int
    by_pillow: bool

    @property
    def channels(self) -> int:
        """Channels of the image without alpha."""
        return 3 if self.photometric == _PALETTE else self.samples - bool(self.alpha)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) upright."""
        return (self.channels, *upright_size(self.height, self.width, self.orientation))


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, instead of letting it reach the terminal."""
    said: list[str] = []
    thread = threading.get_ident()
    logger = logging.getLogger("tifffile")

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                said.append(" ".join(record.getMessage().split())[:200])

    ear = Ear(logging.WARNING)
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)


def interpret(source: Source, page: Any, options: ReadOptions) -> TiffPage:  # noqa: ANN401
    """Check the tags of a tifffile page.

    Raises
    ------
    UnreadableImageError
        ``unsupported``, ``cmyk``, ``dtype``, ``truncated``, ``sparse``, ``bad_header``,
        ``too_many_pixels`` or ``too_large``.
    """
    height, width, samples = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
    check_page_size(source, options, height=height, width=width, values=height * width * samples)
    if page.dtype is None:
        source.refuse(
            "dtype",
            f"{page.bitspersample} bits in sample format {page.sampleformat} are no number type; "
            "expected whole numbers or floats of at most 64 bits",
        )
    dtype = np.dtype(page.dtype)
    check_dtype(source, dtype)
    photometric = int(page.photometric)
    if photometric == _INK:
        source.refuse("cmyk", "ink colours (CMYK) have no medical meaning; save it as grey")
    if photometric not in _COLOUR_SAMPLES or page.imagedepth != 1:
        source.refuse(
            "unsupported",
            f"photometric interpretation {photometric}, depth {page.imagedepth}; expected grey, "
            "RGB or palette, and depth 1",
        )
    alpha = _alpha(page, photometric)
    if photometric == _PALETTE and (samples != 1 or page.colormap is None or dtype.kind != "u"):
        source.refuse("bad_header", "a palette image must have one sample and a colour map")
    if photometric == _WHITE_IS_ZERO and dtype.kind not in "bu":
        source.refuse("unsupported", f"white is zero with number type {dtype}")
    by_pillow = _needs_pillow(source, page, photometric, dtype)
    _check_segments(source, page, dtype)
    tag = page.tags.get(_ORIENTATION_TAG)
    orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
    if by_pillow and orientation != 1:
        source.refuse("unsupported", "a turned page with LZW or JPEG; save it as PNG")
    return TiffPage(
        height=height,
        width=width,
        samples=samples,
        dtype=page_dtype(dtype),
        bits=int(page.bitspersample),
        photometric=photometric,
        alpha=alpha,
        orientation=orientation,
        by_pillow=by_pillow,
    )


def _alpha(page: Any, photometric: int) -> int:  # noqa: ANN401
    """Return the kind of alpha, if exactly one more sample than colours is there and says so."""
    extras = [int(extra) for extra in page.extrasamples]
    if len(extras) == 1 and int(page.samplesperpixel) == _COLOUR_SAMPLES[photometric] + 1:
        return extras[0] if extras[0] in (_ASSOCIATED, _UNASSOCIATED) else 0
    return 0


def _needs_pillow(source: Source, page: Any, photometric: int, dtype: np.dtype[Any]) -> bool:  # noqa: ANN401
    """Say which decoder takes the page; refuse what neither reads for certain."""
    compression, predictor = int(page.compression), int(page.predictor)
    simple = photometric != _YCBCR and predictor <= _HORIZONTAL_PREDICTOR
    if compression in _OWN_COMPRESSIONS and simple:
        return False
    samples = int(page.samplesperpixel)
    kinds = {(1, "u1"), (1, "u2"), (1, "f4"), (3, "u1")}
    readable = (
        compression in _PILLOW_COMPRESSIONS
        and photometric in (_BLACK_IS_ZERO, _RGB, _YCBCR)
        and (photometric != _YCBCR or compression == 7)
        and (samples, dtype.str[1:]) in kinds
        and int(page.bitspersample) == 8 * dtype.itemsize
        and int(page.planarconfig) == 1
    )
    if not readable:
        source.refuse(
            "unsupported",
            f"compression {compression} with predictor {predictor}, {samples} samples of {dtype}: "
            "no decoder here; save it uncompressed or with Deflate",
        )
    return True


def _check_segments(source: Source, page: Any, dtype: np.dtype[Any]) -> None:  # noqa: ANN401
    """See that every strip or tile is there and inside the file.

    tifffile fills absent ones with zeros.
    """
    offsets, counts = page.dataoffsets, page.databytecounts
    height, width = int(page.imagelength), int(page.imagewidth)
    if page.is_tiled:
        rows, columns = int(page.tilelength), int(page.tilewidth)
    else:
        rows, columns = min(int(page.rowsperstrip), height), width
    if rows < 1 or columns < 1:
        source.refuse("bad_header", f"a strip or tile of {rows} rows, {columns} columns")
    planes = int(page.samplesperpixel) if int(page.planarconfig) != 1 else 1
    expected = -(-height // rows) * -(-width // columns) * planes
    if len(offsets) != expected or len(counts) != expected:
        # One strip may be declared as several rows of strips that lie together.
        source.refuse(
            "sparse",
            f"{len(offsets)} strips or tiles with {len(counts)} lengths are declared; the image "
            f"needs {expected}",
        )
    if 0 in offsets or 0 in counts:
        source.refuse("sparse", "some strips or tiles are declared but absent")
    end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
    if end > source.size:
        source.refuse(
            "truncated",
            f"the file ends early: {source.size:,} of {end:,} bytes are there; copy it again",
        )
    if int(page.compression) == 1 and int(page.bitspersample) == 8 * dtype.itemsize:
        needed = height * width * int(page.samplesperpixel) * dtype.itemsize
        if sum(counts) < needed:
            source.refuse(
                "bad_header", f"the strips hold {sum(counts):,} bytes; the image needs {needed:,}"
            )


def pixels_of(
    source: Source,
    content: bytes,
    page: Any,  # noqa: ANN401
    index: int,
    parts: TiffPage,
    options: ReadOptions,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Decode a page to a fresh (C, H, W), upright and without alpha."""
    size = (parts.height, parts.width)
    if parts.by_pillow:
        from likeness.readers._pillow import decode

        raw = decode(content, "TIFF", size=size, modes=_PILLOW_MODES, frame=index)
        stored = owned(raw).reshape(*size, -1)
    else:
        stored = page.asarray(maxworkers=1)
        if "S" in page.axes and page.axes.index("S") == 0:
            stored = np.moveaxis(stored, 0, -1)
        stored = stored.reshape(*size, parts.samples)
    colours, notes = _colours(source, page, stored, parts, options)
    turned = upright(colours, parts.orientation).transpose(2, 0, 1)
    return owned(turned), (*notes, *orientation_notes(parts.orientation))


def _colours(
    source: Source,
    page: Any,  # noqa: ANN401
    stored: NDArray[Any],
    parts: TiffPage,
    options: ReadOptions,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (H, W, C) in which more means brighter."""
    if parts.photometric == _PALETTE:
        return _expand_palette(source, page, stored)
    if stored.dtype.kind == "b":
        stored = owned(stored)
    elif parts.bits < 8:
        stored = stored * np.uint8(255 // ((1 << parts.bits) - 1))
    if parts.photometric == _WHITE_IS_ZERO:
        top = 255 if parts.bits < 8 else (1 << parts.bits) - 1
        stored = np.asarray(top - stored, stored.dtype)
        return stored, ("white is zero in the file: inverted",)
    if not parts.alpha:
        return stored, ()
    colours, alpha = stored[..., :-1], stored[..., -1]
    if stored.dtype.kind != "u":
        source.refuse("unsupported", f"an alpha channel of number type {stored.dtype}")
    if parts.alpha == _ASSOCIATED and not (alpha == np.iinfo(alpha.dtype).max).all():
        if options.alpha != "black":
            source.refuse(
                "transparent", "the colours are multiplied by alpha: only alpha='black' reads them"
            )
        return colours, ("colours multiplied by alpha, so laid on black",)
    return without_alpha(source, colours, alpha, options)


def _expand_palette(
    source: Source,
    page: Any,  # noqa: ANN401
    stored: NDArray[Any],
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Look the colours up; the map has 16 bits, of which most writers use the upper 8."""
    colours = np.asarray(page.colormap, np.uint16).T
    if int(stored.max()) >= len(colours):
        source.refuse("bad_header", f"colour {stored.max()} of {len(colours)} in the map")
    if not (colours % 257).any() or not (colours % 256).any():
        colours = (colours >> 8).astype(np.uint8)
    return colours[stored[..., 0]], ()
