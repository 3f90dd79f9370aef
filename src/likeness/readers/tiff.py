"""TIFF: any number type of up to 64 bits, strips or tiles, planar or not, one page or several.

tifffile reads the structure and the pixels; LZW and JPEG pages of the plainest kinds go through
Pillow. Both would return something for a file with absent strips, so those are looked for first.
Pillow alone is not enough: it returns page 1 of a stack without a word.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from likeness.errors import UnreadableImageError
from likeness.readers._base import Header, Page, ReadOptions
from likeness.readers._checks import check_finite, check_page_size
from likeness.readers._sources import Source, SourceReader
from likeness.readers._tiff_page import TiffPage, heard, interpret, pixels_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGICS: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_MAX_PAGES: Final = 100_000


class TiffReader(SourceReader):
    """Reads TIFF and BigTIFF."""

    name = "tiff"
    suffixes: tuple[str, ...] = (".tif", ".tiff")

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the file starts as TIFF or BigTIFF does."""
        return head[:4] in _MAGICS

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the tags of all pages say."""
        source.stream.seek(0)
        with _pages(source, source.stream, options) as pages:
            first = pages[0][1]
            channels, height, width = first.shape
            count = len(pages)
            if options.tiff_pages == "channels":
                channels, count = channels * count, 1
            return Header(self.name, (channels, height, width), first.dtype.name, count)

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the image, or each page, or one image of all pages."""
        content = source.read_all(options)
        with _pages(source, io.BytesIO(content), options) as pages:
            if options.tiff_pages == "channels" and len(pages) > 1:
                yield _stacked(source, content, pages, options)
                return
            for index, (page, parts) in enumerate(pages):
                member = str(index) if len(pages) > 1 else None
                try:
                    yield _page(source, content, page, index, parts, options, member)
                except UnreadableImageError as error:
                    if member is None or error.code != "non_finite":
                        raise
                    yield UnreadableImageError(
                        f"{source.label}::{member}", error.code, error.reason
                    )


@contextmanager
def _pages(
    source: Source,
    stream: IO[bytes],
    options: ReadOptions,
) -> Iterator[list[tuple[Any, TiffPage]]]:
    """Open a TIFF and check the tags of all pages."""
    import tifffile  # 60 ms

    with heard() as said, tifffile.TiffFile(stream, name="image.tif", _multifile=False) as tiff:
        count = len(tiff.pages)
        if not 0 < count <= _MAX_PAGES:
            source.refuse("bad_header", f"{count:,} pages; expected 1 to {_MAX_PAGES:,}")
        if count > 1 and options.tiff_pages == "ask":
            source.refuse(
                "ask_tiff_pages",
                f"{count} pages; pass tiff_pages='channels' (one image) or 'images' (one image "
                "each) (likeness prepare images --tiff-pages)",
            )
        pages = []
        for page in tiff.pages:
            _check_hidden(source, tiff, count)
            pages.append((page, interpret(source, page, options)))
        if said:  # tifffile goes on after logging; we do not know what it left out
            source.refuse("damaged", f"the structure of the TIFF is damaged: {said[0]}")
        kinds = {(parts.shape, parts.dtype.name) for _, parts in pages}
        if len(kinds) > 1:
            words = ", ".join(f"{shape} {dtype}" for shape, dtype in sorted(kinds))
            source.refuse(
                "sizes_differ", f"the pages differ in size or number type: {words}; save them apart"
            )
        yield pages
        if said:
            source.refuse("damaged", f"the pixels of the TIFF are damaged: {said[0]}")


def _check_hidden(source: Source, tiff: Any, count: int) -> None:  # noqa: ANN401
    """Refuse files that keep more images behind one directory than they have directories."""
    hidden = 0
    if tiff.is_imagej and tiff.imagej_metadata:
        hidden = int(tiff.imagej_metadata.get("images", 1))
    for shaped in tiff.shaped_metadata or ():
        if shaped.get("truncated"):
            hidden = max(hidden, int(np.prod(shaped["shape"][:-2], dtype=object)))
    if hidden > count:
        source.refuse(
            "unsupported",
            f"the file keeps {hidden} images behind {count} directories (ImageJ or truncated "
            "layout); save it as an ordinary TIFF",
        )


def _page(
    source: Source,
    content: bytes,
    page: Any,  # noqa: ANN401
    index: int,
    parts: TiffPage,
    options: ReadOptions,
    member: str | None,
) -> Page:
    pixels, notes = pixels_of(source, content, page, index, parts, options)
    pixels, replaced = check_finite(source, pixels, options)
    return Page(pixels, member, notes=(*notes, *replaced))


def _stacked(
    source: Source, content: bytes, pages: list[tuple[Any, TiffPage]], options: ReadOptions
) -> Page:
    """Put the pages behind each other as channels."""
    channels, height, width = pages[0][1].shape
    values = len(pages) * channels * height * width
    check_page_size(source, options, height=height, width=width, values=values)
    parts = [
        _page(source, content, page, index, tags, options, None)
        for index, (page, tags) in enumerate(pages)
    ]
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    pixels = np.concatenate([part.pixels for part in parts])
    return Page(pixels, notes=(f"{len(pages)} pages stacked as channels", *notes))
