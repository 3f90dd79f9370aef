"""NPY arrays and NPZ batches, read row by row and never unpickled.

guided-diffusion writes its samples as an NPZ with ``arr_0`` (N, H, W, C) and, with classes,
``arr_1`` (N,) labels; the labels are left alone and noted. A compressed NPZ is unpacked twice: once
to compare its checksum, before any row is given out, and once for the rows, so that a batch of
50,000 images needs the memory of one.
"""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from likeness.errors import UnreadableImageError
from likeness.readers._array_layout import Arrangement, arrange
from likeness.readers._base import Header, Page, ReadOptions
from likeness.readers._checks import check_finite, check_page_size, owned, page_dtype
from likeness.readers._npy_header import MAGIC, NpyHeader, parse
from likeness.readers._sources import Source, SourceReader
from likeness.readers._zip import check_member, first_member_name, open_zip, unpacked, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NpyReader(SourceReader):
    """Reads NPY."""

    name = "npy"
    suffixes: tuple[str, ...] = (".npy",)

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether the file starts with NumPy's magic bytes."""
        return head[:6] == MAGIC

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the header says."""
        source.stream.seek(0)
        header = parse(source, source.stream)
        _check_length(source, header, source.size, options)
        return _describe(self.name, source, header, options)

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the images of the array."""
        source.stream.seek(0)
        header = parse(source, source.stream)
        notes = _check_length(source, header, source.size, options)
        yield from _pages(source, source.stream, header, options, notes)


class NpzReader(SourceReader):
    """Reads NPZ: a ZIP of NPY arrays."""

    name = "npz"
    suffixes: tuple[str, ...] = (".npz",)

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether this is a ZIP whose first member is an NPY array."""
        return (first_member_name(head) or "").endswith(".npy")

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return what the header of the array of images says."""
        with open_zip(source) as archive:
            info, notes = _choose(source, archive, options)
            with archive.open(info) as stream:
                header = parse(source, stream)
            notes += _check_length(source, header, info.file_size, options)
            return _describe(self.name, source, header, options, notes)

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the images of the array."""
        with open_zip(source) as archive:
            info, notes = _choose(source, archive, options)
            with unpacked(source, archive, info) as stream:
                header = parse(source, stream)
            notes += _check_length(source, header, info.file_size, options)
            _arrange(source, header, options)  # refused before the whole member is unpacked
            verify(source, archive, info)
            with unpacked(source, archive, info) as stream:
                yield from _pages(source, stream, parse(source, stream), options, notes)


def _choose(
    source: Source, archive: zipfile.ZipFile, options: ReadOptions
) -> tuple[zipfile.ZipInfo, tuple[str, ...]]:
    """Return the member that holds the images, and a remark on those that do not."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            source.refuse(
                "unsupported",
                f"an NPZ holds arrays only, but this one holds {info.filename!r}; pack arrays and "
                "images apart",
            )
        if (refused := check_member(source, info)) is not None:
            raise refused
    if options.array_name is not None:
        if options.array_name not in members:
            source.refuse(
                "ask_array_name",
                f"there is no array {options.array_name!r}; the file holds {', '.join(members)}",
            )
        return members[options.array_name], ()
    shapes = {name: _shape(source, archive, info) for name, info in members.items()}
    images = [name for name, shape in shapes.items() if len(shape) > 1]
    if not images:
        source.refuse("no_images", f"no array has 2 axes or more: {shapes}")
    if len(images) > 1:
        source.refuse(
            "ask_array_name",
            f"the arrays {', '.join(images)} could all be images; say which with array_name= "
            "(likeness prepare images --array-name)",
        )
    others = [f"{name} {shape}" for name, shape in shapes.items() if name not in images]
    return members[images[0]], ((f"arrays ignored: {', '.join(others)}",) if others else ())


def _shape(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    with unpacked(source, archive, info) as stream:
        return parse(source, stream).shape


def _check_length(
    source: Source, header: NpyHeader, size: int, options: ReadOptions
) -> tuple[str, ...]:
    """Compare what the header promises with what there is, before anything is allocated."""
    expected = header.start + header.num_bytes
    if size < expected:
        source.refuse(
            "truncated",
            f"the file ends early: the header promises {expected:,} bytes, {size:,} are there",
        )
    if size == expected:
        return ()
    note = f"{size - expected:,} bytes after the array ignored"
    if options.strict:
        source.refuse("trailing_bytes", note)
    return (note,)


def _arrange(source: Source, header: NpyHeader, options: ReadOptions) -> Arrangement:
    """Find the axes and refuse what is too large."""
    found = arrange(source, header.shape, options)
    channels, height, width = found.shape
    at_once = found.num_images if header.fortran else 1
    check_page_size(
        source, options, height=height, width=width, values=at_once * channels * height * width
    )
    return found


def _describe(
    name: str,
    source: Source,
    header: NpyHeader,
    options: ReadOptions,
    notes: tuple[str, ...] = (),
) -> Header:
    found = _arrange(source, header, options)
    return Header(name, found.shape, page_dtype(header.dtype).name, found.num_images, notes)


def _pages(
    source: Source,
    stream: IO[bytes],
    header: NpyHeader,
    options: ReadOptions,
    notes: tuple[str, ...],
) -> Iterator[Page | UnreadableImageError]:
    """Yield the images of an array whose numbers start where the stream is."""
    found = _arrange(source, header, options)
    for index, image in enumerate(_images(source, stream, header, found)):
        member = str(index) if found.batched else None
        pixels = owned(found.page(image))
        try:
            pixels, replaced = check_finite(source, pixels, options)
        except UnreadableImageError as error:
            if member is None:
                raise
            # One bad row says nothing about the others.
            yield UnreadableImageError(f"{source.label}::{member}", error.code, error.reason)
            continue
        yield Page(pixels, member, notes=(*notes, *replaced))


def _images(
    source: Source, stream: IO[bytes], header: NpyHeader, found: Arrangement
) -> Iterator[Any]:
    """Yield the images as stored, reading no more than is needed for each."""
    shape = header.shape[1:] if found.batched else header.shape
    if header.fortran:
        content = _exactly(source, stream, header.num_bytes)
        whole = np.frombuffer(content, header.dtype).reshape(header.shape, order="F")
        yield from whole if found.batched else (whole,)
        return
    length = header.num_bytes // found.num_images
    for _ in range(found.num_images):
        yield np.frombuffer(_exactly(source, stream, length), header.dtype).reshape(shape)


def _exactly(source: Source, stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        source.refuse(
            "truncated", f"the array ends early: {length - len(content):,} bytes are missing"
        )
    return content
