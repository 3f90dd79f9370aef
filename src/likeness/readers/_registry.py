"""Which reader takes a file: decided by its first bytes, never by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness.errors import UnreadableImageError
from likeness.readers._base import Header, ImageReader, Page, ReadOptions, Volume
from likeness.readers._sniff import REFUSED_SUFFIXES, refusal
from likeness.readers._sources import SourceReader, opened, opened_in_memory
from likeness.readers.arrays import NpyReader, NpzReader
from likeness.readers.bmp import BmpReader
from likeness.readers.jpeg import JpegReader
from likeness.readers.nifti import NiftiReader
from likeness.readers.png import PngReader
from likeness.readers.tiff import TiffReader
from likeness.readers.zipped import ZipReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from likeness.readers._sources import Source

_DEFAULT: Final = ReadOptions()

_MEMBER_READERS: Final[tuple[SourceReader, ...]] = (
    JpegReader(),
    PngReader(),
    NiftiReader(),
    TiffReader(),
    BmpReader(),
    NpyReader(),
)
_READERS: Final[tuple[ImageReader, ...]] = (
    *_MEMBER_READERS,
    NpzReader(),
    ZipReader(_MEMBER_READERS),
)

SUFFIXES: Final[tuple[str, ...]] = tuple(
    sorted({suffix for reader in _READERS for suffix in reader.suffixes})
)
"""Ends of names that the readers' own files usually have, lower case."""


def registered_readers() -> tuple[ImageReader, ...]:
    """Return the readers that come with Likeness."""
    return _READERS


def is_candidate_suffix(path: Path | str) -> bool:
    """Say whether a walk through folders should try a file of this name.

    Names say nothing about content; this only spares opening what nobody takes for an image.
    """
    return Path(path).name.lower().endswith((*SUFFIXES, *REFUSED_SUFFIXES))


def read_pages(
    path: Path | str,
    options: ReadOptions = _DEFAULT,
    *,
    on_damaged: Callable[[UnreadableImageError], None] | None = None,
    readers: Sequence[ImageReader] | None = None,
    content: bytes | None = None,
) -> Iterator[Page]:
    """Yield the images of one file.

    Parameters
    ----------
    path
        A file. A folder is refused: walking is the business of `likeness.datasets`.
    options
        See `ReadOptions`.
    on_damaged
        Called for each damaged part of a file whose other parts are whole, such as one bad member
        of an archive; the error's path is ``file::member``. None raises the first of them, so
        that no damage can be overlooked.
    readers
        Readers to choose from; None takes `registered_readers`.
    content
        The bytes of the file where they are in memory already; None has them read. Readers that do
        not come with Likeness read the file all the same.

    Raises
    ------
    UnreadableImageError
        If the file as a whole cannot be read. Pages yielded before do not count then.
    """
    for found in _read(Path(path), options, readers, content):
        if isinstance(found, UnreadableImageError):
            if on_damaged is None:
                raise found
            on_damaged(found)
        else:
            yield found


def describe(
    path: Path | str,
    options: ReadOptions = _DEFAULT,
    *,
    readers: Sequence[ImageReader] | None = None,
) -> Header:
    """Return what the headers of a file say, without decoding a pixel.

    Raises
    ------
    UnreadableImageError
        If the headers alone show that the file cannot be read. Damage further on goes unnoticed.
    """
    path = Path(path)
    header: Header | None = None
    with opened(path) as source:
        reader, notes = _choose(source, path, options, readers)
        if isinstance(reader, SourceReader):
            header = reader.describe_source(source, options)
    if header is None:
        header = reader.describe(path, options)
    return replace(header, notes=(*notes, *header.notes)) if notes else header


def read_volume(
    path: Path | str, options: ReadOptions = _DEFAULT, *, content: bytes | None = None
) -> Volume:
    """Return a whole NIfTI volume.

    Parameters
    ----------
    path
        A file.
    options
        See `ReadOptions`.
    content
        As for `read_pages`.

    Raises
    ------
    UnreadableImageError
        If the file is not NIfTI (``type_not_allowed``) or cannot be read.
    """
    path = Path(path)
    with _opened(path, content) as source:
        reader, notes = _choose(source, path, options, None)
        if not isinstance(reader, NiftiReader):
            source.refuse("type_not_allowed", f"a volume must be NIfTI; this file is {reader.name}")
        volume = reader.volume_of(source, options)
    return replace(volume, notes=(*notes, *volume.notes)) if notes else volume


def _read(
    path: Path,
    options: ReadOptions,
    readers: Sequence[ImageReader] | None,
    content: bytes | None,
) -> Iterator[Page | UnreadableImageError]:
    """Yield what the reader of a file gives; the file is opened once for choosing and reading."""
    with _opened(path, content) as source:
        reader, notes = _choose(source, path, options, readers)
        if isinstance(reader, SourceReader):
            yield from _noted(reader.read_source(source, options), notes)
            return
    yield from _noted(reader.read(path, options), notes)


def _opened(path: Path, content: bytes | None) -> AbstractContextManager[Source]:
    return opened(path) if content is None else opened_in_memory(content, path)


def _noted(
    pages: Iterator[Page | UnreadableImageError], notes: tuple[str, ...]
) -> Iterator[Page | UnreadableImageError]:
    for found in pages:
        if notes and isinstance(found, Page):
            yield replace(found, notes=(*notes, *found.notes))
        else:
            yield found


def _choose(
    source: Source, path: Path, options: ReadOptions, readers: Sequence[ImageReader] | None
) -> tuple[ImageReader, tuple[str, ...]]:
    """Return the reader for a file, and a note where its name promises another."""
    candidates = _READERS if readers is None else tuple(readers)
    head = source.head()
    for reader in candidates:
        if reader.recognises(head, path):
            return reader, _name_notes(source, path, reader, candidates, options)
    raise refusal(source, head)


def _name_notes(
    source: Source,
    path: Path,
    reader: ImageReader,
    candidates: Sequence[ImageReader],
    options: ReadOptions,
) -> tuple[str, ...]:
    name = path.name.lower()
    if name.endswith(reader.suffixes):
        return ()
    suffix = Path(name).suffix
    if suffix not in _all_suffixes(candidates):
        return ()
    note = f"the name ends in {suffix!r} but the content is {reader.name}"
    if options.strict:
        source.refuse("name_and_content_differ", note)
    return (note,)


def _all_suffixes(readers: Sequence[ImageReader]) -> frozenset[str]:
    ends = {suffix for reader in readers for suffix in reader.suffixes}
    return frozenset(ends | {f".{end.rpartition('.')[2]}" for end in ends} | {*REFUSED_SUFFIXES})
