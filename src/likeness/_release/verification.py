"""What a receiver can check, without training data: that the release is as it was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from likeness._files import sha256_of_file
from likeness._progress import SILENT, Progress
from likeness._release.audit_folder import parse_checksums
from likeness._release.record import NAME, hash_of_images, read_record
from likeness._release.staging import CHECKSUMS, IMAGES
from likeness.errors import InputError

_NEEDED = (NAME, "release_record.html", "dataset_description.json", "LIMITS.md")


@dataclass(frozen=True)
class ReleaseCheck:
    """What `verify_release` found."""

    folder: Path
    num_files: int
    """Files whose bytes were compared."""
    num_images: int
    problems: tuple[str, ...]
    """One sentence each; empty if all is well."""

    @property
    def ok(self) -> bool:
        """Whether the folder is byte for byte what was released."""
        return not self.problems


def verify_release(folder: Path | str, *, progress: Progress = SILENT) -> ReleaseCheck:
    """Compare a release with its checksums and its record; no training data is needed.

    That shows whether something changed since the release was made. It does not show who made it:
    whoever changes a file can write new checksums. Compare ``record_sha256`` with the sender.

    Parameters
    ----------
    folder
        What `release_images` wrote.

    Raises
    ------
    InputError
        If there is no release in the folder.
    """
    folder = Path(folder)
    if not (folder / CHECKSUMS).is_file() and not (folder / NAME).is_file():
        msg = f"There is no release in {str(folder)!r}: {NAME!r} and {CHECKSUMS!r} are missing."
        raise InputError(msg)
    try:
        sums = parse_checksums((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (InputError, OSError, UnicodeDecodeError) as error:
        return ReleaseCheck(folder, 0, 0, (f"{CHECKSUMS!r} cannot be read: {error}",))
    there = set(_names(folder, "")) - {CHECKSUMS}
    problems = [f"{name!r} is missing" for name in sorted(set(sums) - there)]
    problems += [f"{name!r} does not belong to the release" for name in sorted(there - set(sums))]
    problems += [f"{name!r} is not in {CHECKSUMS!r}" for name in _NEEDED if name not in sums]
    compared = sorted(there & set(sums))
    with progress.task("verify", len(compared), unit="files") as task:
        for name in compared:
            path = folder / name
            if path.is_symlink() or not path.is_file():
                problems.append(f"{name!r} is not a plain file")
            elif sha256_of_file(path) != sums[name]:
                problems.append(f"{name!r} was changed")
            task.advance()
    problems += _record_problems(folder, sums)
    return ReleaseCheck(folder, len(compared), _num_images(sums), tuple(problems))


def _record_problems(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    try:
        record = read_record((folder / NAME).read_bytes())
        told, digest = record["numbers"]["released"], record["images"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{NAME!r} cannot be used: {error}"
        return
    found = _num_images(sums)
    if told != found:
        yield f"the record tells of {told} images, the folder has {found}"
    if digest != hash_of_images(sums):
        yield "the images are not the ones that the record was made for"


def _num_images(sums: dict[str, str]) -> int:
    """Count images; the files of several channels are one image."""
    names = [name.removeprefix(f"{IMAGES}/") for name in sums if name.startswith(f"{IMAGES}/")]
    return len(
        {name.partition(".")[0].rpartition("synthetic_")[2].partition("_")[0] for name in names}
    )


def _names(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inside = list(_names(folder / entry.name, f"{prefix}{entry.name}/"))
            yield from inside or [f"{prefix}{entry.name}/"]
        else:
            yield prefix + entry.name
