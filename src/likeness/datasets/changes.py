"""Change a finished image set so that a kill at any moment leaves the old set or the new one.

The new files are written to ``next/``; its ``dataset.json``, written last, is the moment of the
change. From then on `layout.place` finds the new files, and `settle` moves them to their places.

Where patients are removed there is ``next/erasure.json`` too. Then the set does not open between
that moment and the end of `settle`, which overwrites the removed pixels before the old files go: a
record that says they are gone never stands beside them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from likeness._files import sync_folder, writing_to
from likeness.datasets import layout
from likeness.datasets._derived_files import SHARED, shard_lock
from likeness.datasets._mentions import Mentions
from likeness.datasets.committing import remove_partial_files
from likeness.datasets.split_records import scrub_split, update_split

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHUNK: Final = 1 << 20
_WAIT_SECONDS: Final = 0.1
_NUMBERED: Final = re.compile(r"(?:[a-z0-9_-]+-)?(\d{5,})\.(?:npy|json)(?:\.partial)?")


def settle(folder: Path) -> dict[str, Any] | None:
    """Finish a change that was made but not tidied up; the caller holds the folder's lock.

    Returns
    -------
    dict or None
        What an interrupted removal had to erase, if there was one.

    Raises
    ------
    OutputError
        If the folder cannot be written. Calling again goes on.
    """
    waiting = folder / layout.NEXT
    if not (waiting / layout.RECORD).is_file():
        return None
    erasure: dict[str, Any] | None = None
    if (waiting / layout.ERASURE).is_file():
        erasure = json.loads((waiting / layout.ERASURE).read_bytes())
    with writing_to(folder):
        shards = sorted(path.name for path in (waiting / layout.IMAGES).glob("*.npy"))
        for name in shards:
            relative = f"{layout.IMAGES}/{name}"
            if erasure is not None:
                overwrite(folder / relative, erasure["ranges"][relative])
            (waiting / relative).replace(folder / relative)
        sync_folder(folder / layout.IMAGES)
        remove_baselines(folder)
        if erasure is not None:
            remove_derived(folder, erasure["numbers"])
        for name in (*layout.TABLES, layout.CHECKSUMS):
            if (waiting / name).is_file():
                if erasure is not None:
                    overwrite(folder / name)
                (waiting / name).replace(folder / name)
        if erasure is not None:
            scrub_split(folder, Mentions(erasure["patients"], erasure["rule"]))
            update_split(folder, erasure["part"])
        sync_folder(folder)
        # The erasure goes first: with the record alone the set is whole again.
        (waiting / layout.ERASURE).unlink(missing_ok=True)
        (waiting / layout.RECORD).replace(folder / layout.RECORD)
        sync_folder(folder)
    drop(folder)
    return erasure


def drop(folder: Path) -> bool:
    """Remove a change that was begun but never made; returns whether there was one."""
    waiting = folder / layout.NEXT
    if not waiting.exists():
        return False
    with writing_to(waiting):
        shutil.rmtree(waiting)
    remove_partial_files(folder)
    return True


def overwrite(path: Path, ranges: Iterable[tuple[int, int]] | None = None) -> bool:
    """Write zeros over a file, or over parts of it (start and stop in bytes), where it lies.

    A file with another name (a hard link, such as a backup) is left as it is: its content would be
    lost under the other name too.

    Returns
    -------
    bool
        Whether it was overwritten.
    """
    with suppress(FileNotFoundError), path.open("r+b") as stream:
        status = os.fstat(stream.fileno())
        if status.st_nlink > 1:
            return False
        for start, stop in [(0, status.st_size)] if ranges is None else ranges:
            stream.seek(start)
            left = min(stop, status.st_size) - start
            while left > 0:
                left -= stream.write(bytes(min(left, _CHUNK)))
        stream.flush()
        os.fsync(stream.fileno())
        return True
    return False


def remove_derived(folder: Path, numbers: Iterable[int]) -> int:
    """Overwrite and remove the rows derived from these shards; returns the number of files.

    Waits for a process that is making them at the moment.
    """
    removed = 0
    for kind in derived_folders(folder):
        for number in stale_numbers(kind, numbers):
            done = False
            while not done:
                with shard_lock(kind, number) as ours:
                    if ours:
                        for path in kind.glob(f"*{number:05d}.[nj]*"):
                            overwrite(path)
                            path.unlink()
                            removed += 1
                        done = True
                if not done:
                    time.sleep(_WAIT_SECONDS)
        for path in kind.glob(SHARED):
            overwrite(path)
            path.unlink()
            removed += 1
        sync_folder(kind)
    return removed


def stale_numbers(kind: Path, numbers: Iterable[int]) -> list[int]:
    """Return of which shards a folder of derived rows holds files that a change makes stale.

    Those of the changed shards; all of them where the rows depend on arrays that were learned from
    all images.
    """
    held = {int(found[1]) for path in kind.iterdir() if (found := _NUMBERED.fullmatch(path.name))}
    return sorted(held if (kind / SHARED).exists() else held.intersection(numbers))


def remove_baselines(folder: Path) -> None:
    """Remove what audits have kept with a set: it was found among images that are no longer all."""
    if (folder / layout.BASELINES).is_dir():
        shutil.rmtree(folder / layout.BASELINES)


def derived_folders(folder: Path) -> list[Path]:
    """Return the folders of derived rows of a set."""
    parent = folder / layout.DERIVED
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
