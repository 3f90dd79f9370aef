r"""Image ids: the relative path of the file as text, plus a mark for a part of it.

File names may hold line breaks, terminal escapes, right-to-left marks and bytes that are not
UTF-8. As ids they are escaped with backslashes, in a way that keeps different names different:
``\xff`` is a byte that is not UTF-8, ``\u202e`` a control character, ``\\`` a backslash, and
``\#`` a hash mark. An unescaped ``#`` therefore always starts the mark of a part: ``a.nii#z017``
is a slice of ``a.nii`` and never a file of that name. Nothing else is changed; in particular the
composed and the decomposed form of a letter stay different.
"""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPED_CATEGORIES = {"Cc", "Cf", "Zl", "Zp"}
"""Control and format characters (terminal escapes, text direction) and line separators."""


def path_text(relative: str) -> str:
    """Return a relative path as text that is safe to store and to show, one text per path."""
    parts = os.fsencode(relative).decode("utf-8", "surrogateescape")
    if parts.isascii() and parts.isprintable() and not ("\\" in parts or "#" in parts):
        return parts
    return "".join(map(_escaped, parts))


def image_id(file_text: str, *, member: str | None = None, slice_index: int | None = None) -> str:
    """Return the id of an image of a file.

    Parameters
    ----------
    file_text
        What `path_text` gave for the file, or for the group of files.
    member
        Which part of the file it is, or None.
    slice_index
        Position in the volume from 0, or None.
    """
    name = file_text
    if member is not None:
        name += "#" + path_text(member)
    if slice_index is not None:
        name += f"#z{slice_index:03d}"
    return name


def twins(texts: Iterable[str]) -> dict[str, str]:
    """Return the names that look alike, being one name in two Unicode forms (NFC and NFD).

    Returns
    -------
    dict
        Each such name to the other one.
    """
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for text in texts:
        if text.isascii():
            continue
        other = first.setdefault(unicodedata.normalize("NFC", text), text)
        if other != text:
            found[text] = other
            found[other] = text
    return found


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character in "\\#":
        return "\\" + character
    if unicodedata.category(character) in _ESCAPED_CATEGORIES:
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character
