"""What a file is that no reader takes: a name for the report, by its first bytes.

Nothing here decodes anything. A file whose content is not on the list of readers never reaches a
decoder, whatever its name says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from likeness.errors import UnreadableImageError
    from likeness.readers._sources import Source

_SHOWN: Final = 16

REFUSED_SUFFIXES: Final[tuple[str, ...]] = (
    ".avif",
    ".dcm",
    ".dicom",
    ".gif",
    ".heic",
    ".hdf5",
    ".jp2",
    ".jxl",
    ".mha",
    ".mhd",
    ".nrrd",
    ".psd",
    ".webp",
)
"""Ends of names of images that are not read: tried all the same, so that a folder of them is
reported file by file and not taken for an empty one."""

# Offset, bytes, what it is.
_KNOWN: Final[tuple[tuple[int, bytes, str], ...]] = (
    (128, b"DICM", "a DICOM file; convert it to NIfTI or PNG first"),
    (0, b"GIF8", "a GIF; save it as PNG"),
    (8, b"WEBP", "a WebP image; save it as PNG"),
    (4, b"ftypavif", "an AVIF image; save it as PNG"),
    (4, b"ftyp", "a HEIC image or a video; save the images as PNG"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image; save it as PNG or TIFF"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image; save it as PNG or TIFF"),
    (0, b"\xff\x0a", "a JPEG XL image; save it as PNG"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image; save it as PNG"),
    (0, b"8BPS", "a Photoshop document; save it as PNG or TIFF"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript program, which is never run"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript program, which is never run"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file; save the images as NPY, NIfTI or PNG"),
    (0, b"NRRD", "an NRRD volume; save it as NIfTI"),
    (0, b"ObjectType", "a MetaImage header; save the volume as NIfTI"),
    (0, b"PK\x03\x04", "a ZIP archive inside another; unpack the outer one"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"\x1f\x8b", "a gzip stream that holds no NIfTI volume"),
    (0, b"BZh", "a bzip2 stream; unpack it first"),
    (0, b"\xfd7zXZ\x00", "an xz stream; unpack it first"),
    (0, b"(\xb5/\xfd", "a Zstandard stream; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (0, b"Rar!", "a RAR archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (0, b"\x00\x05\x16\x07", "the extra data that macOS puts beside a file (AppleDouble)"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a Windows program"),
    (0, b"SQLite format 3", "a database"),
    (0, b"\x80\x04\x95", "a Python pickle, which is never loaded"),
    (0, b"\x80\x05\x95", "a Python pickle, which is never loaded"),
    (0, b"qoif", "a QOI image; save it as PNG"),
    (0, b"DDS ", "a DDS texture; save it as PNG"),
    (0, b"\x00\x00\x01\x00", "a Windows icon; save it as PNG"),
)


def refusal(source: Source, head: bytes) -> UnreadableImageError:
    """Make the error for a file that no reader recognises."""
    if not head:
        return source.error("empty_file", "the file is empty (0 bytes): copy it again")
    name = Path(source.label).name
    if name.lower().endswith((".img", ".img.gz")):
        header = name[: name.lower().rindex(".img")] + ".hdr"
        return source.error(
            "missing_pair", f"an .img without its header says nothing; read {header!r} instead"
        )
    if not head.strip(b"\x00"):
        return source.error(
            "not_an_image", f"the first {len(head):,} bytes are all zero: copy it again"
        )
    for offset, magic, what in _KNOWN:
        if head[offset : offset + len(magic)] == magic:
            return source.error("type_not_allowed", f"this is {what}")
    if head[1:4] == b"PNG":
        return source.error(
            "damaged",
            "the signature of this PNG is altered, as by a transfer that took it for text; copy it "
            "again in binary mode",
        )
    if re.match(rb"P[1-7]\s", head):
        return source.error("type_not_allowed", "this is a PNM image; save it as PNG")
    if head[:4] == b"\x5c\x01\x00\x00" or head[:4] == b"\x00\x00\x01\x5c":
        return source.error(
            "type_not_allowed", "this is an Analyze 7.5 header; save the volume as NIfTI"
        )
    start = head[:_SHOWN]
    shown = ascii(start.decode("latin-1"))
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:_SHOWN].lower()
    hint = ""
    if text.startswith((b"<html", b"<!doctype", b"<head", b"<?xml", b"<svg")):
        hint = ", so it is a web page or XML, perhaps an error page saved under the image's name"
    elif all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        hint = ", so it is text"
        if head.startswith(b"version https://git-lfs"):
            hint = ": a Git LFS pointer; fetch the image itself with 'git lfs pull'"
    return source.error("not_an_image", f"no known image format: it starts with {shown}{hint}")
