"""ZIP archives, read in place: nothing is ever extracted, so no member can land anywhere.

Source: PKWARE APPNOTE 6.3.10, sections 4.3 (structure) and 4.4 (fields).
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from likeness.errors import UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness.readers._sources import Source

_LOCAL_MAGIC: Final = b"PK\x03\x04"
_LOCAL_BYTES: Final = 30
_ENCRYPTED: Final = 0x1 | 0x40
_MAX_RATIO: Final = 1000
"""Deflate reaches 1,032:1 on zeros alone."""
_SMALL: Final = 16 << 20
"""Below this no ratio does harm, and small black images reach 1,000:1 honestly."""
_CHUNK: Final = 1 << 18
_UTF_8: Final = 0x800
_GAP: Final = 64


def first_member_name(head: bytes) -> str | None:
    """Return the name of the first member by the start of a ZIP; None if this is no ZIP."""
    if head[:4] != _LOCAL_MAGIC or len(head) < _LOCAL_BYTES:
        return None
    (length,) = struct.unpack_from("<H", head, 26)
    return head[_LOCAL_BYTES : _LOCAL_BYTES + length].decode("utf-8", "replace")


@contextmanager
def open_zip(source: Source) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose list of members agrees with its members.

    Raises
    ------
    UnreadableImageError
        ``truncated``, ``damaged`` or ``overlap``.
    """
    try:
        archive = zipfile.ZipFile(source.stream)
    except zipfile.BadZipFile as error:
        code = "truncated" if "not a zip file" in str(error) else "damaged"
        source.refuse(
            code,
            f"the list of members at the end of the archive is missing or damaged ({error}); copy "
            "it again",
        )
    with archive:
        _check_members(source, archive)
        yield archive


def _check_members(source: Source, archive: zipfile.ZipFile) -> None:
    """Compare the list of members with the members.

    A damaged list can leave members out or rename them, and a forged one can unpack the same bytes
    many times; the checksums of the members say nothing about that.
    """
    end, before = 0, ""
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            source.refuse(
                "overlap",
                f"the members {before!r} and {info.filename!r} share bytes: a forged archive",
            )
        _check_gap(source, end, info.header_offset)
        source.stream.seek(info.header_offset)
        header = source.stream.read(_LOCAL_BYTES)
        if len(header) < _LOCAL_BYTES or header[:4] != _LOCAL_MAGIC:
            source.refuse("damaged", f"the member {info.filename!r} is not where the list says")
        name_length, extra_length = struct.unpack_from("<HH", header, 26)
        name = source.stream.read(name_length)
        if name != info.orig_filename.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437"):
            source.refuse(
                "damaged",
                f"the member {ascii(name)[1:]} is {info.filename!r} in the list of members",
            )
        end = info.header_offset + _LOCAL_BYTES + name_length + extra_length + info.compress_size
        before = info.filename
    if end > archive.start_dir:
        source.refuse("overlap", f"the member {before!r} runs into the list of members")
    _check_gap(source, end, archive.start_dir)


def _check_gap(source: Source, start: int, stop: int) -> None:
    """Refuse an archive that holds a member between those of its list."""
    source.stream.seek(start)
    # Behind a member there may be a data descriptor of up to 24 bytes.
    if _LOCAL_MAGIC in source.stream.read(min(stop - start, _GAP)):
        source.refuse(
            "damaged", f"the member at byte {start:,} is missing in the list of members at the end"
        )


def check_member(source: Source, info: zipfile.ZipInfo) -> UnreadableImageError | None:
    """Return what is wrong with a member by its entry in the list, if anything.

    The codes are ``unsafe_member``, ``encrypted`` and ``bomb``.
    """

    def refused(code: str, reason: str) -> UnreadableImageError:
        return UnreadableImageError(f"{source.label}::{info.filename}", code, reason)

    name = info.filename
    if stat.S_ISLNK(info.external_attr >> 16):
        return refused("unsafe_member", "the member is a link; pack the file itself")
    if (
        name.startswith("/")
        or "\\" in name
        or ".." in PurePosixPath(name).parts
        or name[1:2] == ":"
    ):
        return refused("unsafe_member", "the member's name leads out of the archive; pack it again")
    if info.flag_bits & _ENCRYPTED:
        return refused("encrypted", "the member is encrypted; pack it without a password")
    if info.file_size > max(_SMALL, _MAX_RATIO * info.compress_size):
        return refused(
            "bomb",
            f"the member unpacks from {info.compress_size:,} to {info.file_size:,} bytes, more "
            f"than {_MAX_RATIO:,} times its size",
        )
    return None


@contextmanager
def unpacked(
    source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> Iterator[IO[bytes]]:
    """Open a member for reading; what goes wrong inside is an `UnreadableImageError`.

    Raises
    ------
    UnreadableImageError
        ``zip_crc``, ``truncated``, ``unsupported`` or ``damaged``.
    """
    label = f"{source.label}::{info.filename}"
    try:
        with archive.open(info) as stream:
            yield stream
    except (zipfile.BadZipFile, zlib.error) as error:
        code = "zip_crc" if "CRC" in str(error) or isinstance(error, zlib.error) else "damaged"
        raise UnreadableImageError(
            label, code, f"the member is damaged ({error}); copy the archive again"
        ) from error
    except EOFError as error:
        raise UnreadableImageError(label, "truncated", "the member ends early") from error
    except NotImplementedError as error:
        raise UnreadableImageError(
            label, "unsupported", f"the member's packing: {error}"
        ) from error


def verify(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Unpack a member once and throw it away, so that its checksum and length are compared.

    Raises
    ------
    UnreadableImageError
        As `unpacked`, and ``truncated`` if it is shorter than announced.
    """
    label, total = f"{source.label}::{info.filename}", 0
    with unpacked(source, archive, info) as stream:
        while chunk := stream.read(_CHUNK):
            total += len(chunk)
    if total != info.file_size:
        raise UnreadableImageError(
            label,
            "truncated",
            f"the member has {total:,} of {info.file_size:,} bytes",
        )


def read_member(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return a whole member, its checksum compared.

    Raises
    ------
    UnreadableImageError
        As `verify`.
    """
    label = f"{source.label}::{info.filename}"
    with unpacked(source, archive, info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise UnreadableImageError(
            label,
            "truncated",
            f"the member has {len(content):,} of {info.file_size:,} bytes",
        )
    return content
