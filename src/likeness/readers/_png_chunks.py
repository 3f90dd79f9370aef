"""The chunks of a PNG, each with its checksum checked.

Decoders are lenient here: Pillow reads a file whose pixel chunk fails its CRC, and answers "cannot
identify image file" to most other damage. So we walk the chunks ourselves.

Source: W3C Recommendation "Portable Network Graphics (PNG) Specification (Third Edition)",
sections 5 (structure), 11 (chunks) and 4.3 (animation).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from likeness.readers._exif import exif_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness.readers._sources import Source

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> samples per pixel."""

_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type -> bit depths that may go with it."""

_PALETTE: Final = 3
_PASSES: Final = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""Adam7: first row, first column, step of rows, step of columns."""

_IGNORED: Final = (b"gAMA", b"iCCP", b"cICP")
_HEADER_BYTES: Final = 8
_FRAME_BYTES: Final = 26
_CRC_BYTES: Final = 4


@dataclass
class PngParts:
    """What the chunks hold."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    """Colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""
    interlaced: bool = False
    header: bytes = b""
    palette: bytes = b""
    transparency: bytes | None = None
    data: list[memoryview] = field(default_factory=list)
    num_frames: int = 1
    frames: list[PngParts] = field(default_factory=list)
    """The frames of an animation that are kept apart from the image itself."""
    orientation: int = 1
    ignored: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Damage that spared the pixels."""

    @property
    def samples(self) -> int:
        """Samples per pixel, alpha included."""
        return _SAMPLES[self.colour]

    def passes(self) -> list[tuple[int, int, int, int]]:
        """Return the passes (first row, first column, row step, column step) that hold pixels."""
        if not self.interlaced:
            return [(0, 0, 1, 1)]
        return [p for p in _PASSES if p[0] < self.height and p[1] < self.width]

    def raw_bytes(self) -> int:
        """Return the length of the pixel data after inflating, filter bytes included."""
        return sum(rows * length for _, rows, length in self.row_sizes())

    def row_sizes(self) -> Iterator[tuple[tuple[int, int, int, int], int, int]]:
        """Yield each pass with its rows, and the bytes of one of them, filter byte included."""
        for each in self.passes():
            top, left, down, right = each
            columns = -(-(self.width - left) // right)
            length = 1 + (columns * self.samples * self.depth + 7) // 8
            yield each, -(-(self.height - top) // down), length


def walk(source: Source, content: bytes, *, only_headers: bool = False) -> PngParts:
    """Take a PNG apart.

    Parameters
    ----------
    content
        The file; its start is enough where `only_headers` is set.
    only_headers
        Stop at the first chunk of pixels.

    Raises
    ------
    UnreadableImageError
        ``png_crc``, ``truncated``, ``bad_header``, ``damaged`` or ``unsupported``.
    """
    parts = PngParts()
    view = memoryview(content)
    at = len(SIGNATURE)
    ended = False
    data_closed = False
    seen: set[bytes] = set()
    while at < len(view):
        head = bytes(view[at : at + _HEADER_BYTES])
        if len(head) < _HEADER_BYTES:
            break
        length, name = struct.unpack(">I4s", head)
        if not name.isalpha():
            source.refuse(
                "damaged",
                f"byte {at + 4:,} should start the name of a chunk but is {ascii(name)[1:]}; was "
                "the file transferred as text?",
            )
        body = view[at + _HEADER_BYTES : at + _HEADER_BYTES + length]
        stored = view[at + _HEADER_BYTES + length : at + _HEADER_BYTES + length + _CRC_BYTES]
        label = name.decode("ascii")
        if not parts.header and name != b"IHDR":
            source.refuse("damaged", f"the first chunk is {label!r}; expected 'IHDR'")
        if name == b"IDAT" and only_headers:
            return parts
        if name == b"IDAT" and not data_closed:
            parts.data.append(body)
        elif name == b"IDAT":
            source.refuse("damaged", "the chunks of pixels (IDAT) are not together")
        else:
            data_closed = bool(parts.data)
        if len(stored) < _CRC_BYTES:
            break
        if zlib.crc32(body, zlib.crc32(name)) != int.from_bytes(stored, "big"):
            source.refuse(
                "png_crc",
                f"the checksum of chunk {label!r} at byte {at:,} does not match: the file is "
                "damaged; copy it again",
            )
        if name in seen and name in (b"IHDR", b"PLTE", b"tRNS", b"acTL"):
            source.refuse("damaged", f"there are two chunks {label!r}")
        seen.add(name)
        _take(source, parts, name, bytes(body) if name != b"IDAT" else b"")
        at += _HEADER_BYTES + length + _CRC_BYTES
        if name == b"IEND":
            ended = True
            break
    if not parts.header:
        source.refuse("truncated", f"the file ends early: it has {source.size:,} bytes")
    if not parts.data:
        code, words = ("damaged", "holds no") if ended else ("truncated", "ends before the")
        source.refuse(code, f"the file {words} chunk of pixels (IDAT)")
    if not ended:
        parts.remarks.append("the end mark (IEND) is missing; the pixels are complete (Adler-32)")
    elif at < len(view):
        parts.remarks.append(f"{len(view) - at:,} bytes after the end mark (IEND) ignored")
    return parts


def _take(source: Source, parts: PngParts, name: bytes, body: bytes) -> None:
    """Keep what a chunk other than the pixels says."""
    if name == b"IHDR":
        _take_header(source, parts, body)
    elif name == b"PLTE":
        parts.palette = body
    elif name == b"tRNS":
        parts.transparency = body
    elif name == b"acTL" and len(body) >= _HEADER_BYTES:
        parts.num_frames = max(1, int.from_bytes(body[:4], "big"))
    elif name == b"fcTL" and parts.data and len(body) >= _FRAME_BYTES:
        width, height = struct.unpack_from(">II", body, 4)
        parts.frames.append(replace(parts, width=width, height=height, data=[]))
    elif name == b"fdAT" and parts.frames:
        parts.frames[-1].data.append(memoryview(body)[4:])
    elif name == b"eXIf":
        parts.orientation = exif_orientation(body)
    elif name in _IGNORED:
        parts.ignored.append(name.decode("ascii"))
    elif name not in (b"IDAT", b"IEND") and name[:1].isupper():
        source.refuse(
            "unsupported", f"the chunk {name.decode('ascii')!r} changes what the pixels mean"
        )


def _take_header(source: Source, parts: PngParts, body: bytes) -> None:
    """Keep the header chunk."""
    try:
        width, height, depth, colour, compression, filters, interlace = struct.unpack(
            ">IIBBBBB", body
        )
    except struct.error:
        source.refuse("bad_header", f"IHDR has {len(body)} bytes; expected 13")
    if depth not in _DEPTHS.get(colour, ()):
        source.refuse(
            "bad_header", f"IHDR says colour type {colour} with {depth} bits, which does not exist"
        )
    if compression or filters or interlace > 1:
        source.refuse(
            "bad_header",
            f"IHDR says compression {compression}, filter {filters}, interlace {interlace}; "
            "expected 0, 0, and 0 or 1",
        )
    parts.width, parts.height, parts.depth, parts.colour = width, height, depth, colour
    parts.interlaced, parts.header = interlace == 1, body


def inflate(source: Source, parts: PngParts) -> bytes:
    """Unpack the pixels and see that exactly as many are there as the header says.

    Decoders fill up with zeros where a stream ends early behind correct checksums.

    Returns
    -------
    raw
        Rows with their filter bytes, `PngParts.raw_bytes` long.

    Raises
    ------
    UnreadableImageError
        ``truncated`` or ``damaged``.
    """
    expected = parts.raw_bytes()
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(b"".join(parts.data), expected + 1)
        # The checksum at the end of the stream is compared only when the inflater gets there.
        complete = inflater.eof or not inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        source.refuse("damaged", f"the pixels do not unpack: {error}")
    if len(raw) < expected or not inflater.eof:
        source.refuse(
            "truncated",
            f"the file ends early: {len(raw):,} of {expected:,} bytes of pixels are there, "
            "without the checksum behind them; copy it again",
        )
    if len(raw) > expected or not complete:
        source.refuse("damaged", f"there are more pixels than the header says ({expected:,} bytes)")
    return raw
