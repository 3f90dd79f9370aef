"""Look through a source: which files are images, and what their headers say."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from likeness._files import hash_of_json, write_text
from likeness._progress import SILENT, Progress
from likeness.datasets.accounting import LeftOut
from likeness.datasets.describing import headers_of
from likeness.datasets.layout import HEADERS, PROGRESS
from likeness.datasets.walk import Listing, SourceFile, find_files
from likeness.readers import Header, is_candidate_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from likeness.errors import UnreadableImageError
    from likeness.readers import ReadOptions

_NO_READER: Final = {"not_an_image", "type_not_allowed", "empty_file", "no_images"}
"""Codes that mean "never was an image" where the name promises none either."""


_Remembered: TypeAlias = "dict[str, tuple[tuple[int, int], Header]]"
"""By `SourceFile.text`: size and time of the file, and its header."""
_known: ContextVar[dict[str, _Remembered]] = ContextVar("_known", default={})  # noqa: B039 - never changed


@contextmanager
def remembered_headers(folders: Iterable[Path]) -> Iterator[None]:
    """Let `scan` take the headers that an interrupted preparation has read already.

    Parameters
    ----------
    folders
        Where unfinished sets may lie. A file counts as known if its size and time are the same.
    """
    known: dict[str, _Remembered] = {}
    for folder in folders:
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads((folder / PROGRESS / HEADERS).read_bytes())
            of_these = known.setdefault(content["read"], {})
            for text, (stamp, reader, shape, dtype, count, notes) in content["headers"].items():
                header = Header(reader, tuple(shape), dtype, count, tuple(notes))
                of_these[text] = (tuple(stamp), header)
    token = _known.set(known)
    try:
        yield
    finally:
        _known.reset(token)


def write_headers(folder: Path, found: Scan, options: ReadOptions) -> None:
    """Keep the headers for a run that goes on where this one may be interrupted."""
    stamps = {file.text: [file.num_bytes, file.mtime_ns] for file in found.files}
    content = {
        "read": _key(options),
        "headers": {
            text: [stamps[text], h.reader, h.shape, h.dtype, h.num_images, h.notes]
            for text, h in found.headers.items()
        },
    }
    write_text(folder / PROGRESS / HEADERS, json.dumps(content), private=True)


def _key(options: ReadOptions) -> str:
    return hash_of_json(vars(options))


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


def scan(source: Path, options: ReadOptions, progress: Progress = SILENT) -> Scan:
    """List a source and read the headers of its images, in the processes that are at hand.

    Raises
    ------
    InputError
        As `walk.find_files`.
    """
    listing = find_files(source)
    remembered = _known.get().get(_key(options), {})
    known: list[Header | None] = []
    for file in listing.files:
        stamp, header = remembered.get(file.text, (None, None))
        known.append(header if stamp == (file.num_bytes, file.mtime_ns) else None)
    unknown = [file.path for file, header in zip(listing.files, known, strict=True) if not header]
    described = headers_of(unknown, options)
    files: list[SourceFile] = []
    headers: dict[str, Header] = {}
    problems: dict[str, UnreadableImageError] = {}
    left_out = list(listing.left_out)
    with progress.task("headers", len(known), unit="files") as task:
        for file, header in zip(listing.files, known, strict=True):
            found = header or next(described)
            task.advance()
            if isinstance(found, Header):
                headers[file.text] = found
            elif found.code in _NO_READER and not is_candidate_suffix(file.path):
                reason = "no image, and its name promises none"
                left_out.append(LeftOut(file.text, "find", "other_file", reason, file.num_bytes))
                continue
            else:
                problems[file.text] = found
            files.append(file)
    return Scan(listing, tuple(files), headers, problems, tuple(left_out))
