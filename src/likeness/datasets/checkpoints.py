"""How far an unfinished set has come, shard by shard, in its folder ``progress``.

After each shard ``progress/00000.json`` records its checksum, its manifest rows, the accounts of
the units finished since the shard before, and where to go on. A run that goes on within a day reads
a shard again only if its file was touched since; whoever uses the set will verify it.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from likeness._files import sha256_of_file, write_bytes
from likeness._untouched import is_recent, state_of_file
from likeness.datasets import layout
from likeness.datasets.accounting import LeftOut
from likeness.datasets.committing import remove_partial_files
from likeness.datasets.manifest import ManifestRow
from likeness.datasets.units import UnitReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_READERS: Final = 2
"""Shards whose checksums are computed at once when an interrupted run goes on."""


@dataclass
class Checkpoint:
    """How far the writing has come."""

    rows: list[ManifestRow] = field(default_factory=list)
    reports: list[UnitReport] = field(default_factory=list)
    shard_rows: list[int] = field(default_factory=list)
    shard_sha256: list[str] = field(default_factory=list)
    next_unit: int = 0
    images_done: int = 0
    """Images of unit `next_unit` that are in a shard already."""
    image_type: tuple[int | str, ...] | None = None
    """C, H, W and the name of the number type."""

    def add(self, part: Part, sha256: str) -> None:
        """Take what one shard adds; `sha256` is that of its file, or empty where it has no row."""
        self.rows += part.rows
        self.reports += part.reports
        self.next_unit, self.images_done = part.next_unit, part.images_done
        self.image_type = part.image_type
        if part.rows:
            self.shard_rows.append(len(part.rows))
            self.shard_sha256.append(sha256)


@dataclass
class Part:
    """What one shard adds, as it is kept until the set is finished."""

    rows: Sequence[ManifestRow]
    reports: Sequence[UnitReport]
    next_unit: int
    """Where the next run goes on."""
    images_done: int
    """Images of unit `next_unit` that are in a shard already."""
    image_type: tuple[int | str, ...] | None

    def content(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "rows": [vars(row) for row in self.rows],
            "reports": [
                {**vars(report), "left_out": [vars(item) for item in report.left_out]}
                for report in self.reports
            ],
            "next_unit": self.next_unit,
            "images_done": self.images_done,
            "image_type": self.image_type,
        }

    @classmethod
    def read(cls, content: dict[str, Any]) -> Part:
        """Read what `content` gave.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is something else.
        """
        image_type = content["image_type"]
        return cls(
            [_manifest_row(entry) for entry in content["rows"]],
            [_unit_report(entry) for entry in content["reports"]],
            int(content["next_unit"]),
            int(content["images_done"]),
            None if image_type is None else tuple(image_type),
        )


def write_part(folder: Path, number: int, part: Part, *, shard: Path | None, sha256: str) -> None:
    """Record a shard that is in its place.

    Parameters
    ----------
    shard
        Its file; None where there are only accounts of files that gave no image.
    """
    content = {**part.content(), "sha256": sha256}
    if shard is not None:
        content |= {"when": time.time(), "state": state_of_file(shard)}
    # Not indented: Python's own encoder is ten times faster without.
    text = json.dumps(content, allow_nan=False)
    write_bytes(_path_of_part(folder, number), text.encode(), private=True)


def load_checkpoint(folder: Path, *, first_shard: int = 0) -> Checkpoint:
    """Bring back how far an interrupted run had come, and drop what it left half done.

    A shard whose bytes do not fit its checksum ends the part that is kept.

    Parameters
    ----------
    first_shard
        Number of the first shard that the run made.
    """
    state = Checkpoint()
    remove_partial_files(folder)
    found = _readable_parts(folder)
    shards = [folder / layout.shard_name(first_shard + number) for number in range(len(found))]
    with ThreadPoolExecutor(_READERS) as pool:
        sound = pool.map(_is_sound, shards, *zip(*found, strict=True)) if found else []
        for (part, file), is_sound in zip(found, sound, strict=True):
            if not is_sound:
                pool.shutdown(wait=False, cancel_futures=True)
                break
            state.add(part, file["sha256"])
    return state


def _readable_parts(folder: Path) -> list[tuple[Part, dict[str, Any]]]:
    """Return what each shard adds and what is known of its file, up to the first unreadable."""
    found: list[tuple[Part, dict[str, Any]]] = []
    while (path := _path_of_part(folder, len(found))).is_file():
        try:
            content = json.loads(path.read_bytes())
            part = Part.read(content)
            file = {"sha256": str(content["sha256"])}
        except (ValueError, KeyError, TypeError):
            break
        found.append((part, file | {name: content.get(name) for name in ("when", "state")}))
        if not part.rows:  # only accounts of files: nothing follows
            break
    return found


def _is_sound(shard: Path, part: Part, file: dict[str, Any]) -> bool:
    """Tell whether a shard has the bytes that its checkpoint speaks of."""
    if not part.rows:
        return True
    try:
        if is_recent(file["when"]) and file["state"] == state_of_file(shard):
            return True
        return sha256_of_file(shard) == str(file["sha256"])
    except OSError:
        return False


def _path_of_part(folder: Path, number: int) -> Path:
    return folder / layout.PROGRESS / f"{number:05d}.json"


def _manifest_row(entry: dict[str, Any]) -> ManifestRow:
    lists = {name: tuple(entry[name]) for name in ("sources", "source_sha256", "notes")}
    return ManifestRow(**{**entry, **lists})


def _unit_report(entry: dict[str, Any]) -> UnitReport:
    left_out = [LeftOut(**item) for item in entry["left_out"]]
    return UnitReport(**{**entry, "left_out": left_out})
