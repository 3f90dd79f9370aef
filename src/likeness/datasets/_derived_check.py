"""Check the files of derived rows against the records beside them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from likeness._files import sha256_of_file
from likeness._sealed_arrays import read_arrays
from likeness.datasets._derived_files import FORMAT_NAME, SETTLED, SHARED
from likeness.datasets.layout import sealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RECORD_NAME: Final = re.compile(r"\d{5,}\.json")
_DATA_NAME: Final = re.compile(
    r"[a-z0-9_-]+-\d{5,}\.npy(\.partial)?|(\d{5,}\.json|(shared|settled)\.npz)\.partial"
)


@dataclass(frozen=True)
class Checked:
    """What `check_derived` found in one file."""

    num_bytes: int = 0
    is_file: bool = False
    """Whether its bytes were compared with a checksum."""
    problem: str = ""
    note: str = ""


def check_derived(folder: Path, names: set[str], shards: dict[str, str]) -> Iterator[Checked]:
    """Check every file of the derived rows of a set.

    Parameters
    ----------
    folder
        ``derived`` in the set.
    names
        The files in it, relative to the set.
    shards
        SHA-256 of the files of the set by name.
    """
    left = {name for name in names if not name.endswith(".lock")}
    for name in sorted(left):
        if not _RECORD_NAME.fullmatch(name.rpartition("/")[2]):
            continue
        path = folder.parent / name
        left.discard(name)
        try:
            content = json.loads(path.read_bytes())
            fits = sealed(content) == content and content["format_name"] == FORMAT_NAME
            files = {entry["file"]: entry["sha256"] for entry in content["files"].values()}
            source = content["made_of"], content["made_of_sha256"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            fits = False
        if not fits:
            yield Checked(problem=f"{name!r} was changed; the rows beside it will be made again")
            continue
        yield Checked(path.stat().st_size, is_file=True)
        stale = shards.get(source[0]) != source[1]
        for file, sha256 in sorted(files.items()):
            where = f"{name.rpartition('/')[0]}/{file}"
            left.discard(where)
            beside = path.with_name(file)
            if stale:
                yield Checked(note=f"{where!r} was made of other images; it will be made again")
            elif not beside.is_file() or sha256_of_file(beside) != sha256:
                yield Checked(problem=f"{where!r} was changed; it will be made again")
            else:
                yield Checked(beside.stat().st_size, is_file=True)
    for name in sorted(left):
        if name.rpartition("/")[2] in (SHARED, SETTLED):
            shared = folder.parent / name
            if read_arrays(shared) is None:
                yield Checked(
                    problem=f"{name!r} was changed; it and the rows beside it will be made again"
                )
            else:
                yield Checked(shared.stat().st_size, is_file=True)
        elif _DATA_NAME.fullmatch(name.rpartition("/")[2]):
            yield Checked(note=f"{name!r} is not finished; it will be made again")
        else:
            yield Checked(problem=f"{name!r} does not belong to the set")
