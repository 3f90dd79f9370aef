"""Check every byte of an image set against its checksums."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness._files import sha256_of_file
from likeness._progress import SILENT, Progress
from likeness.datasets import layout
from likeness.datasets._derived_check import check_derived
from likeness.datasets.layout import LOCK, RECORD, open_parts, place, read_record, record_bytes
from likeness.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


_READERS: Final = 2
"""Files that are read at once: one core hashes about as fast as a good disk reads."""


@dataclass(frozen=True)
class VerifyResult:
    """What `verify` found."""

    path: Path
    num_files: int
    """Files whose bytes were checked."""
    num_bytes: int
    problems: tuple[str, ...]
    """One sentence each; empty if all is well."""
    notes: tuple[str, ...] = ()
    """What is no fault of the set but worth knowing, such as an addition that was interrupted."""

    @property
    def ok(self) -> bool:
        """Whether the set is byte for byte what was written."""
        return not self.problems


def verify(
    path: Path | str, *, derived_rows: bool = True, progress: Progress = SILENT
) -> VerifyResult:
    """Read every byte of an image set and find any that changed, is missing or is extra.

    Rows derived from the images are checked against the records beside them; those that are
    missing, or were made of images that have changed since, are no problem: they are made again.
    Lock files, which say who last wrote, are not part of the set.

    Parameters
    ----------
    derived_rows
        Check these too. Whoever reads them checks what he reads, so they need not be read twice.

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
    if place(path, RECORD).read_bytes() != record_bytes(record):
        problems.append(f"{RECORD!r} was changed")
    expected: dict[str, dict[str, object]] = record["files"]
    inside = set(_names(path, ""))
    derived = {name for name in inside if name.startswith(f"{layout.DERIVED}/")}
    waiting = {name for name in inside if name.startswith(f"{layout.NEXT}/")}
    kept = {name for name in inside if name.startswith(f"{layout.BASELINES}/")}
    present = inside - derived - waiting - kept
    notes = []
    if (path / layout.NEXT / RECORD).is_file():
        moving = {name.removeprefix(f"{layout.NEXT}/") for name in waiting}
        present |= moving.intersection(expected)
        notes.append("a change was interrupted after it was made; the next one tidies up")
    elif waiting:
        notes.append(
            "an addition or a removal was begun and is not finished; the same command goes on"
        )
    problems += [f"{name!r} is missing" for name in sorted(set(expected) - present)]
    extra = present - set(expected) - {RECORD, LOCK}
    problems += [f"{name!r} does not belong to the set" for name in sorted(extra)]
    num_bytes = num_derived = 0
    checked = sorted(present & set(expected))
    with (
        progress.task("verify", len(checked), unit="files") as task,
        ThreadPoolExecutor(_READERS) as pool,
    ):
        digests = pool.map(_digest_of, [place(path, name) for name in checked])
        for name, digest in zip(checked, digests, strict=True):
            if digest is None:
                problems.append(f"{name!r} is not a plain file")
            elif digest != expected[name]["sha256"]:
                problems.append(f"{name!r} was changed")
            else:
                num_bytes += place(path, name).stat().st_size
            task.advance()
    shards = {name: str(entry["sha256"]) for name, entry in expected.items()}
    derived = derived if derived_rows else set()
    with progress.task("verify derived", len(derived), unit="files") as task:
        for found in check_derived(path / layout.DERIVED, derived, shards):
            num_bytes += found.num_bytes
            num_derived += found.is_file
            if found.problem:
                problems.append(found.problem)
            if found.note:
                notes.append(found.note)
            task.advance()
    if not problems:
        try:
            open_parts(path)
        except InputError as error:
            problems.append(str(error))
    num_files = len(checked) + 1 + num_derived
    return VerifyResult(path, num_files, num_bytes, tuple(problems), tuple(notes))


def _digest_of(file: Path) -> str | None:
    return None if file.is_symlink() or not file.is_file() else sha256_of_file(file)


def _names(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inside = list(_names(folder / entry.name, f"{prefix}{entry.name}/"))
            yield from inside or [f"{prefix}{entry.name}/"]
        else:
            yield prefix + entry.name
