"""The codes of `UnreadableImageError`: one word for each kind of trouble, stable across versions.

Lists of left-out files hold the code, so that a thousand files with one cause read as one line.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

CODES: Final = MappingProxyType(
    {
        # The file as such.
        "missing": "there is no such file",
        "not_a_file": "a folder, a pipe or a device",
        "cannot_open": "the system refuses to open or read it",
        "empty_file": "0 bytes",
        "not_an_image": "text, HTML, or content that no reader knows",
        "type_not_allowed": "a known kind of file that is not read",
        "name_and_content_differ": "the name promises another format (strict only)",
        # Size.
        "too_many_pixels": "the header promises more pixels than the limit",
        "too_large": "more numbers or bytes than the limit",
        "bad_size": "an axis of length 0 or below, or not the axes of images",
        # Damage.
        "truncated": "the file ends early",
        "damaged": "the decoder gives up",
        "bad_header": "a header field holds an impossible value",
        "trailing_bytes": "bytes after the end of the data",
        "png_crc": "a checksum inside the PNG does not match",
        "gzip_crc": "the gzip stream does not unpack, or its checksum or length does not match",
        "zip_crc": "a checksum inside the ZIP does not match",
        "missing_pair": "the .hdr or the .img of a pair is missing",
        "sparse": "parts of the image are declared but absent",
        # Meaning.
        "multi_frame": "an animation or several frames",
        "ask_tiff_pages": "several TIFF pages, and nobody said what they are",
        "ask_array_layout": "the axes of an array can be read in two ways",
        "ask_array_name": "several arrays could hold the images",
        "ask_volume_index": "several volumes, and nobody said which",
        "sizes_differ": "the pages of one file differ in size or number type",
        "no_images": "nothing in it is an image",
        "dtype": "a number type that is not an image: complex, structured, text",
        "object_array": "an array of pickled objects: never loaded",
        "non_finite": "NaN or infinity among the pixels",
        "bad_scaling": "a slope and intercept that mean nothing",
        "orientation": "the axes cannot be brought into order",
        "transparent": "transparency, and `alpha` is set to refuse it",
        "cmyk": "ink colours",
        "jpeg_12bit": "JPEG with more than 8 bits: no decoder",
        "jpeg_lossless": "lossless JPEG: no decoder",
        "jpeg_arithmetic": "JPEG with arithmetic coding: no decoder",
        "jpeg_hierarchical": "hierarchical JPEG: no decoder",
        "unsupported": "a variant of the format that is not read",
        # Archives.
        "unsafe_member": "a member with an absolute path, '..', or a link",
        "encrypted": "a password is needed",
        "overlap": "members share bytes: a forged archive",
        "bomb": "the member unpacks to more than 1,000 times its size",
    }
)
"""Code -> what it means."""
