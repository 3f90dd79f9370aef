"""Look through a source: which files are images, and what their headers say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness.datasets.accounting import LeftOut
from likeness.datasets.walk import Listing, SourceFile, find_files
from likeness.errors import UnreadableImageError
from likeness.readers import describe, is_candidate_suffix

if TYPE_CHECKING:
    from likeness.readers import Header, ReadOptions

_NO_READER: Final = {"not_an_image", "type_not_allowed", "empty_file", "no_images"}
"""Codes that mean "never was an image" where the name promises none either."""


@dataclass(frozen=True)
class Scan:
    """A listing, divided into images and others."""

    listing: Listing
    files: tuple[SourceFile, ...]
    """Images, and files that should be images but have no readable header."""
    headers: dict[str, Header]
    """By `SourceFile.text`; absent where the header cannot be read."""
    problems: dict[str, UnreadableImageError]
    """By `SourceFile.text`: why not."""
    left_out: tuple[LeftOut, ...]

    def summary(self) -> str:
        """Return what was found in one line."""
        kinds: dict[str, int] = {}
        for item in self.left_out:
            kinds[item.code] = kinds.get(item.code, 0) + 1
        listed = ", ".join(f"{count:,} {code}" for code, count in sorted(kinds.items()))
        return f"found {self.listing.num_found:,} files" + (f" ({listed})" if listed else "")


def scan(source: Path, options: ReadOptions) -> Scan:
    """List a source and read the headers of its images.

    Raises
    ------
    InputError
        As `walk.find_files`.
    """
    listing = find_files(source)
    files: list[SourceFile] = []
    headers: dict[str, Header] = {}
    problems: dict[str, UnreadableImageError] = {}
    left_out = list(listing.left_out)
    for file in listing.files:
        try:
            headers[file.text] = describe(file.path, options)
        except UnreadableImageError as error:
            if error.code in _NO_READER and not is_candidate_suffix(file.path):
                reason = "no image, and its name promises none"
                left_out.append(LeftOut(file.text, "find", "other_file", reason, file.num_bytes))
                continue
            problems[file.text] = error
        files.append(file)
    return Scan(listing, tuple(files), headers, problems, tuple(left_out))
