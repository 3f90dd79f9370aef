"""ZIP archives of images, such as StyleGAN's data sets: every member is read where it lies.

Members are tried by the end of their names, like files in a folder; ``dataset.json`` and the like
are passed over and counted. A bad member is reported and the others are read.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from likeness.errors import UnreadableImageError
from likeness.readers._base import HEAD_BYTES, Header, Page, ReadOptions
from likeness.readers._sniff import REFUSED_SUFFIXES, refusal
from likeness.readers._sources import Source, SourceReader, in_memory
from likeness.readers._zip import check_member, first_member_name, open_zip, read_member, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class ZipReader(SourceReader):
    """Reads the members of a ZIP with the readers it is given."""

    name = "zip"
    suffixes: tuple[str, ...] = (".zip",)

    def __init__(self, readers: Sequence[SourceReader]) -> None:
        self._readers = tuple(readers)
        ends = {suffix for reader in readers for suffix in reader.suffixes}
        self._ends = (*sorted(ends), ".npz", ".zip", *REFUSED_SUFFIXES)

    def recognises(self, head: bytes, path: Path | None) -> bool:
        """Say whether this is a ZIP whose first member is not an NPY array."""
        name = first_member_name(head)
        return name is not None and not name.endswith(".npy")

    def describe_source(self, source: Source, options: ReadOptions) -> Header:
        """Return the header of the first good member and the number of images of all of them."""
        first: Header | None = None
        total = 0
        with open_zip(source) as archive:
            members, notes = self._members(archive)
            for info in _by_name(members).values():
                try:
                    header = self._describe_member(source, archive, info, options)
                except UnreadableImageError:
                    continue  # `read` reports it; it gives no page
                first = first or header
                total += header.num_images
        if first is None:
            source.refuse("no_images", "no member of the archive is an image that can be read")
        return Header(self.name, first.shape, first.dtype, total, (*notes, *first.notes))

    def pages_of(
        self, source: Source, options: ReadOptions
    ) -> Iterator[Page | UnreadableImageError]:
        """Yield the pages of all members; a bad one is yielded as an error in its place."""
        with open_zip(source) as archive:
            members, notes = self._members(archive)
            if not members:
                source.refuse("no_images", "no member of the archive has the name of an image")
            firsts = _by_name(members)
            for info in members:
                label = f"{source.label}::{info.filename}"
                if firsts[info.filename] is not info:
                    reason = "an earlier member has the same name; pack the archive again"
                    yield UnreadableImageError(label, "unsafe_member", reason)
                    continue
                try:
                    for found in self._pages_of_member(source, archive, info, options):
                        if isinstance(found, Page):
                            yield replace(found, notes=(*notes, *found.notes))
                            notes = ()  # said once
                        else:
                            yield found
                except UnreadableImageError as error:
                    yield error

    def _members(self, archive: zipfile.ZipFile) -> tuple[list[zipfile.ZipInfo], tuple[str, ...]]:
        """Return the members to try, in the order of the archive, and how many are passed over."""
        files = [info for info in archive.infolist() if not info.is_dir()]
        members = [
            info
            for info in files
            if info.filename.lower().endswith(self._ends)
            and not info.filename.startswith("__MACOSX/")
        ]
        passed = len(files) - len(members)
        return members, ((f"{passed:,} members without the name of an image",) if passed else ())

    def _source(
        self,
        source: Source,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        options: ReadOptions,
    ) -> tuple[Source, SourceReader]:
        """Return a member in memory and the reader that takes it."""
        if (refused := check_member(source, info)) is not None:
            raise refused
        label = f"{source.label}::{info.filename}"
        Source(label, source.stream, info.file_size).check_size(options)
        with unpacked(source, archive, info) as stream:
            head = stream.read(HEAD_BYTES)
        for reader in self._readers:
            if reader.recognises(head, None):
                return in_memory(read_member(source, archive, info), label), reader
        raise refusal(in_memory(head, label), head)

    def _describe_member(
        self,
        source: Source,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        options: ReadOptions,
    ) -> Header:
        member, reader = self._source(source, archive, info, options)
        return reader.describe_guarded(member, options)

    def _pages_of_member(
        self,
        source: Source,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        options: ReadOptions,
    ) -> Iterator[Page | UnreadableImageError]:
        member, reader = self._source(source, archive, info, options)
        for found in reader.read_source(member, options):
            if isinstance(found, Page):
                inner = f"{info.filename}::{found.member}" if found.member else info.filename
                yield replace(found, member=inner)
            else:
                yield found


def _by_name(members: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the first member of each name, in the order of the archive."""
    firsts: dict[str, zipfile.ZipInfo] = {}
    for info in members:
        firsts.setdefault(info.filename, info)
    return firsts
