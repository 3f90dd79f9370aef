"""Windows bitmaps without compression: 1 to 32 bits per pixel.

Source: Microsoft Win32 documentation, BITMAPFILEHEADER, BITMAPCOREHEADER and BITMAPINFOHEADER.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from likeness.readers._alpha import without_alpha
from likeness.readers._base import Header, Page, ReadOptions
from likeness.readers._checks import check_page_size, owned
from likeness.readers._sources import Source, SourceReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.errors import UnreadableImageError

_CORE_HEADER: Final = 12
_HEADER_SIZES: Final = (12, 40, 52, 56, 64, 108, 124)
_FIXED_LENGTH: Final = (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
_CHANNELS: Final = {"1": 1, "L": 1, "P": 3, "RGB": 3, "RGBA": 3}
_MODES: Final = tuple(_CHANNELS)
_DIB_AT: Final = 14
_NEEDED: Final = 34


class BmpReader(SourceReader):
    """Reads BMP."""

    name = "bmp"
    suffixes: tuple[str, ...] = (".bmp", ".dib")

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the file starts with ``BM`` and a header of a known length."""
        length = int.from_bytes(head[_DIB_AT : _DIB_AT + 4], "little")
        return head[:2] == b"BM" and length in _HEADER_SIZES

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the header and the palette say."""
        from likeness.readers._pillow import mode_of  # Pillow takes 20 ms to import

        head = source.head()
        height, width = _size(source, head, options)
        channels = _CHANNELS[mode_of(head, "BMP", modes=_MODES)]
        return Header(self.name, (channels, height, width), "uint8", 1)

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the image."""
        from likeness.readers._pillow import decode

        content = source.read_all(options)
        size = _size(source, content, options)
        raw = decode(content, "BMP", size=size, modes=_MODES, expand_palette=True)
        raw = owned(raw).reshape(*size, -1)
        colours, notes = _colours(source, raw, options)
        yield Page(owned(colours.transpose(2, 0, 1)), notes=notes)


def _size(source: Source, head: bytes, options: ReadOptions) -> tuple[int, int]:
    """Return rows and columns after checking that all of them can be there."""
    if len(head) < _NEEDED:
        source.refuse("truncated", f"the file ends inside its header ({source.size} bytes)")
    (start,) = struct.unpack_from("<I", head, 10)
    (length,) = struct.unpack_from("<I", head, _DIB_AT)
    if length == _CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", head, 18)
    height = abs(height)  # negative: the rows run from the top
    check_page_size(source, options, height=height, width=width, values=3 * height * width)
    if packing not in _FIXED_LENGTH:
        source.refuse(
            "unsupported", f"a compressed bitmap (kind {packing}) is not read; save it as PNG"
        )
    needed = start + height * ((width * bits + 31) // 32 * 4)
    if source.size < needed:
        source.refuse(
            "truncated",
            f"the file ends early: {source.size:,} of {needed:,} bytes are there; copy it again",
        )
    return height, width


def _colours(
    source: Source, raw: NDArray[Any], options: ReadOptions
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (H, W, C) without alpha."""
    if raw.shape[2] != 4:
        return raw, ()
    colours, alpha = raw[..., :3], raw[..., 3]
    if not alpha.any():  # many programs leave the fourth byte at 0 and mean nothing by it
        return colours, ("unused alpha channel dropped",)
    return without_alpha(source, colours, alpha, options)
