"""The markers of a JPEG: what kind it is, how large, and whether it is complete.

Source: ITU-T Recommendation T.81 (JPEG), annex B.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from likeness.readers._exif import exif_orientation

if TYPE_CHECKING:
    from likeness.readers._sources import Source

_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HIERARCHICAL: Final = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_ARITHMETIC: Final = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_APP1, _APP2, _SOI, _SOS, _EOI = 0xE1, 0xE2, 0xD8, 0xDA, 0xD9
# Fill bytes (0xff) before a marker need no place in the pattern: it fits from the last one on.
# As it starts with a fixed byte the search is ten times faster than with rb"\xff+".
_MARKER: Final = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")


@dataclass
class JpegParts:
    """What the markers say."""

    width: int = 0
    height: int = 0
    channels: int = 0
    orientation: int = 1
    several: bool = False
    """The file says that more images follow (Multi-Picture Format)."""
    end: int = 0
    """Bytes up to and with the end mark; 0 where only the headers were read."""


def walk(source: Source, content: bytes, *, only_headers: bool = False) -> JpegParts:
    """Read the markers.

    Parameters
    ----------
    content
        The file, or its start where `only_headers` is set.
    only_headers
        Stop at the first scan.

    Raises
    ------
    UnreadableImageError
        ``truncated``, ``damaged``, ``cmyk`` or one of the ``jpeg_`` codes.
    """
    parts = JpegParts()
    at = 2
    while True:
        found = _MARKER.search(content, at)
        if found is None:
            source.refuse(
                "truncated",
                f"the file ends early: it has {source.size:,} bytes and no end mark; copy it again",
            )
        marker, at = found.group(1)[0], found.end()
        if marker == _EOI:
            parts.end = at
            break
        if marker in _ALONE or marker == _SOI:
            continue
        if at + 2 > len(content):
            continue  # the next search finds nothing and says so
        (length,) = struct.unpack_from(">H", content, at)
        if only_headers and at + length > len(content):
            at = len(content)  # likewise: half a frame header would be taken for a bad one
            continue
        body = content[at + 2 : at + length]
        if marker in _FRAMES and not parts.channels:
            _take_frame(source, parts, marker, body)
        elif marker == _APP1 and body.startswith(b"Exif\x00\x00"):
            parts.orientation = exif_orientation(body)
        elif marker == _APP2 and body.startswith(b"MPF\x00"):
            parts.several = True
        elif marker == _SOS and only_headers:
            break
        at += length
    if not parts.channels:
        source.refuse("damaged", "there is no frame header (SOF): the file holds no image")
    return parts


def _take_frame(source: Source, parts: JpegParts, marker: int, body: bytes) -> None:
    """Keep the frame header; refuse the kinds that have no decoder here."""
    if len(body) < 6:
        source.refuse("damaged", "the frame header (SOF) is too short")
    bits, parts.height, parts.width, parts.channels = struct.unpack_from(">BHHB", body)
    advice = "save it as PNG or TIFF with a program that reads it"
    kind = f"SOF{marker - 0xC0}, {bits} bits"
    if marker in _LOSSLESS:
        source.refuse("jpeg_lossless", f"lossless JPEG ({kind}) has no decoder here; {advice}")
    if marker in _HIERARCHICAL:
        source.refuse(
            "jpeg_hierarchical", f"hierarchical JPEG ({kind}) has no decoder here; {advice}"
        )
    if bits != 8:
        source.refuse("jpeg_12bit", f"{bits}-bit JPEG ({kind}) has no decoder here; {advice}")
    if marker in _ARITHMETIC:
        source.refuse(
            "jpeg_arithmetic", f"JPEG with arithmetic coding ({kind}) is not read; {advice}"
        )
    if parts.channels == 4:
        source.refuse(
            "cmyk", "four ink channels (CMYK or YCCK) have no medical meaning; save it as grey"
        )
    if parts.channels not in (1, 3):
        source.refuse(
            "unsupported", f"a JPEG with {parts.channels} channels; expected 1 (grey) or 3 (RGB)"
        )
