"""JPEG: 8-bit grey and colour, turned upright as its EXIF block says.

A JPEG has no checksum of its pixels: a flipped bit changes them unseen. Only a SHA-256 taken
earlier can tell, which is why a prepared set keeps one of every file.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from likeness.readers._base import Header, Page, ReadOptions
from likeness.readers._checks import check_page_size, owned
from likeness.readers._exif import orientation_notes, upright, upright_size
from likeness.readers._jpeg_markers import JpegParts, walk
from likeness.readers._sources import Source, SourceReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likeness.errors import UnreadableImageError

_FIRST_BYTES = 1 << 18
_START = b"\xff\xd8\xff"


class JpegReader(SourceReader):
    """Reads JPEG."""

    name = "jpeg"
    suffixes: tuple[str, ...] = (".jpg", ".jpeg", ".jpe", ".jfif")

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the file starts as a JPEG does."""
        return head[:3] == _START

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the markers before the first scan say."""
        # A colour profile or a thumbnail of many pages may come before the frame header.
        headers = partial(walk, source, only_headers=True)
        parts = source.parse_start(headers, _FIRST_BYTES, options)
        _check(source, parts, options)
        count = 1
        if parts.several:
            count = len(_split(source, source.read_all(options))[0])
            _check_frames(source, count, options)
        height, width = upright_size(parts.height, parts.width, parts.orientation)
        notes = orientation_notes(parts.orientation)
        return Header(self.name, (parts.channels, height, width), "uint8", count, notes)

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the image, or each image of a burst (MPO)."""
        from likeness.readers._pillow import decode  # Pillow takes 20 ms to import

        images, remarks = _split(source, source.read_all(options))
        if remarks and options.strict:
            source.refuse("trailing_bytes", remarks[0])
        for parts, _ in images:
            _check(source, parts, options)
        _check_frames(source, len(images), options)
        for index, (parts, content) in enumerate(images):
            size = (parts.height, parts.width)
            raw = decode(content, "JPEG", size=size, modes=("L", "RGB"))
            pixels = upright(raw.reshape(*size, -1), parts.orientation).transpose(2, 0, 1)
            notes = (*orientation_notes(parts.orientation), *remarks)
            yield Page(owned(pixels), str(index) if len(images) > 1 else None, notes=notes)


def _split(source: Source, content: bytes) -> tuple[list[tuple[JpegParts, bytes]], tuple[str, ...]]:
    """Return the images of a file, more than one only where the first announces them."""
    first = walk(source, content)
    images = [(first, content[: first.end])]
    rest = content[first.end :]
    while first.several and (start := rest.find(_START)) >= 0:
        rest = rest[start:]
        parts = walk(source, rest)
        images.append((parts, rest[: parts.end]))
        rest = rest[parts.end :]
    # Cameras pad with zeros.
    extra = len(rest.rstrip(b"\x00"))
    return images, ((f"{extra:,} bytes after the end mark ignored",) if extra else ())


def _check(source: Source, parts: JpegParts, options: ReadOptions) -> None:
    """Refuse by the header alone."""
    values = parts.height * parts.width * parts.channels
    check_page_size(source, options, height=parts.height, width=parts.width, values=values)


def _check_frames(source: Source, count: int, options: ReadOptions) -> None:
    if count > 1 and options.frames == "single":
        source.refuse(
            "multi_frame",
            f"{count} images in one JPEG (MPO); pass frames='all' (likeness prepare images "
            "--frames all) to read each",
        )
