"""PNG: 1 to 16 bits, grey, colour, palette, with or without alpha, interlaced or not.

The chunks are walked, checked and unpacked here (`_png_chunks`); Pillow is given nothing but the
pixels. Gamma and colour profiles are ignored and noted: they say how to show the numbers,
and correlation is about the numbers.
"""

from __future__ import annotations

import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.readers._alpha import without_alpha
from likeness.readers._base import Header, Page, ReadOptions
from likeness.readers._checks import check_page_size, owned
from likeness.readers._exif import orientation_notes, upright, upright_size
from likeness.readers._png_chunks import SIGNATURE, PngParts, inflate, walk
from likeness.readers._png_rows import check_filters, decode_16bit
from likeness.readers._sources import Source, SourceReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.errors import UnreadableImageError

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_PILLOW_MODES: Final = {
    (_GREY, 1): ("1", "1"),
    (_GREY, 2): ("L", "L;2"),
    (_GREY, 4): ("L", "L;4"),
    (_GREY, 8): ("L", "L"),
    (_GREY, 16): ("I;16", "I;16B"),
    (_RGB, 8): ("RGB", "RGB"),
    (_PALETTE, 1): ("P", "P;1"),
    (_PALETTE, 2): ("P", "P;2"),
    (_PALETTE, 4): ("P", "P;4"),
    (_PALETTE, 8): ("P", "P"),
    (_GREY_ALPHA, 8): ("LA", "LA"),
    (_RGB_ALPHA, 8): ("RGBA", "RGBA"),
}
"""Colour type and depth -> Pillow's mode, and its name for how the pixels are stored."""
_MODES: Final = ("1", "L", "I;16", "RGB", "P", "LA", "RGBA")
_FIRST_BYTES: Final = 1 << 20
_DEEP: Final = 16


class PngReader(SourceReader):
    """Reads PNG."""

    name = "png"
    suffixes: tuple[str, ...] = (".png", ".apng")

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the signature is that of PNG."""
        return head[:8] == SIGNATURE

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the chunks before the pixels say."""
        # A very long colour profile may come before the pixels.
        headers = partial(walk, source, only_headers=True)
        parts = source.parse_start(headers, _FIRST_BYTES, options)
        _check(source, parts, options)
        channels = 1 if parts.colour in (_GREY, _GREY_ALPHA) else 3
        height, width = upright_size(parts.height, parts.width, parts.orientation)
        dtype = "uint16" if parts.depth == _DEEP else "uint8"
        return Header(self.name, (channels, height, width), dtype, parts.num_frames, _notes(parts))

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the image, or each frame."""
        content = source.read_all(options)
        parts = walk(source, content)
        _check(source, parts, options)
        if options.strict and parts.remarks:
            code = "trailing_bytes" if "after" in parts.remarks[0] else "truncated"
            source.refuse(code, parts.remarks[0])
        if parts.num_frames > 1:
            yield from _frames(source, content, parts, options)
            return
        pixels, notes = _pixels(source, parts, options)
        pixels = upright(pixels, parts.orientation)
        yield Page(_channels_first(pixels), notes=(*notes, *_notes(parts)))


def _check(source: Source, parts: PngParts, options: ReadOptions) -> None:
    """Refuse by the header alone."""
    values = parts.height * parts.width * parts.samples
    check_page_size(source, options, height=parts.height, width=parts.width, values=values)
    if parts.num_frames > 1 and options.frames == "single":
        source.refuse(
            "multi_frame",
            f"an animation of {parts.num_frames:,} frames; pass frames='all' (likeness prepare "
            "images --frames all) to read each as an image",
        )
    if parts.num_frames > 1 and (parts.depth != 8 or parts.colour == _PALETTE):
        source.refuse(
            "unsupported", "animations are read in 8-bit grey or colour only; save the frames apart"
        )
    if parts.colour == _PALETTE and (not parts.palette or len(parts.palette) % 3):
        source.refuse(
            "bad_header",
            f"the palette (PLTE) has {len(parts.palette)} bytes; expected 3 per colour",
        )


def _notes(parts: PngParts) -> tuple[str, ...]:
    ignored = (f"colour information ignored: {', '.join(parts.ignored)}",) if parts.ignored else ()
    return (*orientation_notes(parts.orientation), *ignored, *parts.remarks)


def _pixels(
    source: Source, parts: PngParts, options: ReadOptions
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (H, W, C) colours without alpha, and what was done to the alpha."""
    raw = _decode(parts, source)
    if parts.colour == _PALETTE:
        return _expand_palette(source, parts, raw, options)
    if parts.colour not in (_GREY, _RGB):
        return without_alpha(source, raw[..., :-1], raw[..., -1], options)
    if parts.transparency is None:
        return raw, ()
    return without_alpha(source, raw, _alpha_by_colour(source, parts, raw), options)


def _decode(parts: PngParts, source: Source) -> NDArray[Any]:
    """Return (H, W, samples) as stored; grey of fewer than 8 bits spread to 0..255."""
    raw = inflate(source, parts)
    if parts.depth == _DEEP and parts.colour != _GREY:
        return decode_16bit(source, parts, raw)
    check_filters(source, parts, raw)
    from likeness.readers._pillow import unpack  # Pillow takes 20 ms to import

    mode, stored_as = _PILLOW_MODES[parts.colour, parts.depth]
    # Stored, not packed: they were unpacked once already. An image of nothing but the pixels leaves
    # Pillow no text, profile or animation to parse.
    data = zlib.compress(raw, 0)
    size = (parts.height, parts.width)
    pixels = unpack(data, mode, stored_as, size=size, interlaced=parts.interlaced)
    if pixels.dtype.kind == "b":
        pixels = owned(pixels)
    return pixels.reshape(parts.height, parts.width, -1)


def _expand_palette(
    source: Source, parts: PngParts, indices: NDArray[Any], options: ReadOptions
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Look the colours up."""
    colours = np.frombuffer(parts.palette, np.uint8).reshape(-1, 3)
    if (highest := int(indices.max())) >= len(colours):
        source.refuse(
            "damaged", f"a pixel has colour {highest}; the palette has {len(colours)} colours"
        )
    pixels = colours[indices[..., 0]]
    if parts.transparency is None:
        return pixels, ()
    alpha = np.full(len(colours), 255, np.uint8)
    given = np.frombuffer(parts.transparency, np.uint8)[: len(colours)]
    alpha[: len(given)] = given
    return without_alpha(source, pixels, alpha[indices[..., 0]], options)


def _alpha_by_colour(source: Source, parts: PngParts, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the alpha that a single transparent colour (tRNS) stands for."""
    if parts.transparency is None or len(parts.transparency) != 2 * parts.samples:
        source.refuse("bad_header", "the chunk tRNS does not fit the colour type")
    colour = np.array(struct.unpack(f">{parts.samples}H", parts.transparency))
    if parts.depth < _DEEP:
        colour &= (1 << parts.depth) - 1
        colour *= 255 // ((1 << min(parts.depth, 8)) - 1)
    same = (pixels == colour).all(axis=-1)
    top = np.iinfo(pixels.dtype).max
    return np.where(same, 0, top).astype(pixels.dtype)


def _frames(
    source: Source, content: bytes, parts: PngParts, options: ReadOptions
) -> Iterator[Page]:
    """Yield every frame of an animation, as it is shown."""
    from likeness.readers._pillow import decode

    size = (parts.height, parts.width)
    for frame in (parts, *parts.frames):
        values = frame.height * frame.width * frame.samples
        check_page_size(source, options, height=frame.height, width=frame.width, values=values)
        inflate(source, frame)
    for index in range(parts.num_frames):
        raw = decode(content, "PNG", size=size, modes=_MODES, frame=index)
        raw = raw.reshape(*size, -1)
        notes: tuple[str, ...] = ()
        if raw.shape[2] in (2, 4):
            raw, notes = without_alpha(source, raw[..., :-1], raw[..., -1], options)
        raw = upright(raw, parts.orientation)
        yield Page(_channels_first(raw), member=str(index), notes=(*notes, *_notes(parts)))


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W, C) as a fresh (C, H, W)."""
    return owned(pixels.transpose(2, 0, 1))
