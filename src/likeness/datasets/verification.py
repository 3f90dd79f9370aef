"""Check every byte of an image set against its checksums."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from likeness._files import sha256_of_file
from likeness._progress import SILENT, Progress
from likeness.datasets.layout import LOCK, RECORD, open_parts, read_record, record_bytes
from likeness.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class VerifyResult:
    """What `verify` found."""

    path: Path
    num_files: int
    """Files whose bytes were checked."""
    num_bytes: int
    problems: tuple[str, ...]
    """One sentence each; empty if all is well."""

    @property
    def ok(self) -> bool:
        """Whether the set is byte for byte what was written."""
        return not self.problems


def verify(path: Path | str, *, progress: Progress = SILENT) -> VerifyResult:
    """Read every byte of an image set and find any that changed, is missing or is extra.

    Only the lock file, which says who last wrote here, is not part of the set.

    Raises
    ------
    InputError
        If there is no image set at all.
    FormatVersionError
        If another version of Likeness wrote it.
    """
    path = Path(path)
    record = read_record(path)
    problems = []
    if (path / RECORD).read_bytes() != record_bytes(record):
        problems.append(f"{RECORD!r} was changed")
    expected: dict[str, dict[str, object]] = record["files"]
    present = set(_names(path, ""))
    problems += [f"{name!r} is missing" for name in sorted(set(expected) - present)]
    extra = present - set(expected) - {RECORD, LOCK}
    problems += [f"{name!r} does not belong to the set" for name in sorted(extra)]
    num_bytes = 0
    checked = sorted(present & set(expected))
    with progress.task("verify", len(checked), unit="files") as task:
        for name in checked:
            file = path / name
            if file.is_symlink() or not file.is_file():
                problems.append(f"{name!r} is not a plain file")
            elif sha256_of_file(file) != expected[name]["sha256"]:
                problems.append(f"{name!r} was changed")
            else:
                num_bytes += file.stat().st_size
            task.advance()
    if not problems:
        try:
            open_parts(path)
        except InputError as error:
            problems.append(str(error))
    return VerifyResult(path, len(checked) + 1, num_bytes, tuple(problems))


def _names(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inside = list(_names(folder / entry.name, f"{prefix}{entry.name}/"))
            yield from inside or [f"{prefix}{entry.name}/"]
        else:
            yield prefix + entry.name
