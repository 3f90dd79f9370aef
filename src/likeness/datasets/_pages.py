"""The pages of a source file, with damaged members in their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.datasets.accounting import LeftOut
from likeness.datasets.names import image_id
from likeness.readers import read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness.datasets.walk import SourceFile
    from likeness.errors import UnreadableImageError
    from likeness.readers import Page, ReadOptions


def pages_of(file: SourceFile, options: ReadOptions) -> Iterator[Page | LeftOut]:
    """Yield the images of a file, and a `LeftOut` for each damaged member of an archive.

    Raises
    ------
    UnreadableImageError
        If the file as a whole cannot be read.
    """
    damaged: list[UnreadableImageError] = []
    found = read_pages(file.path, options, on_damaged=damaged.append, content=file.content)
    for page in found:
        yield from _left_out(file, damaged)
        yield page
    yield from _left_out(file, damaged)


def _left_out(file: SourceFile, damaged: list[UnreadableImageError]) -> Iterator[LeftOut]:
    for error in damaged:
        member = str(error.path).removeprefix(str(file.path)).removeprefix("::")
        name = image_id(file.text, member=member or None)
        yield LeftOut(name, "read", error.code, error.reason)
    damaged.clear()
