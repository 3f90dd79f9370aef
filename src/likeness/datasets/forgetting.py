"""Remove patients from a finished set: their pixels, their rows, and what names them.

Shards without an image of theirs stay as they are, byte for byte, and so do the rows derived from
those. What stays of the removed files is that they were there: their SHA-256, by which they are
recognised and kept out if they are ever given again, and the date.

What is written here is overwritten and removed as far as a program can. A file system that copies
on write, a journal, a snapshot, a backup and the spare blocks of a flash disk may keep old
content, and nothing here can reach it.
"""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import folder_lock, make_folder, write_json
from likeness._progress import SILENT, Progress
from likeness.datasets import layout
from likeness.datasets._derived_files import SHARED
from likeness.datasets._mentions import Mentions
from likeness.datasets._npy import writing_rows
from likeness.datasets._store import ShardStore
from likeness.datasets.accounting import REMOVED, Accounting, LeftOut
from likeness.datasets.appending import described
from likeness.datasets.changes import derived_folders, drop, settle, stale_numbers
from likeness.datasets.committing import file_entry, write_record, write_tables
from likeness.datasets.image_set import ImageSet
from likeness.datasets.manifest import ManifestRow, SourceRow, read_manifest_rows
from likeness.datasets.source_accounts import USED, read_accounting, read_source_rows
from likeness.datasets.split_records import part_of_split
from likeness.errors import InputError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likeness.types import Flags, Integers

STAGE: Final = "remove"
"""`SourceRow.stage` of what was removed."""
_PIECE_BYTES: Final = 32 << 20


@dataclass(frozen=True)
class Forgotten:
    """What a removal did, or would do."""

    path: Path
    patients: tuple[str, ...]
    """As they were given; empty where only an interrupted removal was finished."""
    num_images: int
    num_files: int
    """Source files, or members of archives, of which nothing is left."""
    num_shards: int
    """Shards that were written again without them."""
    num_derived: int
    """Files of derived rows that were removed; they are made again when they are needed."""
    linked: tuple[str, ...]
    """Files with another name (hard links), where the pixels are still to be found."""
    remaining_images: int


def forget(
    folder: Path | str,
    patients: Iterable[str],
    *,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Forgotten:
    """Remove all images of some patients from a prepared set.

    A kill at any moment leaves the set as it was, or a set that does not open before this was
    called once more, with or without patients, and has finished.

    Parameters
    ----------
    folder
        A set that `likeness prepare` wrote.
    patients
        Their ids; none to finish a removal that was interrupted.
    dry_run
        Say what would go, and write nothing.

    Raises
    ------
    OptionError
        If a patient is not in the set (nothing is removed then), or nobody would be left.
    InputError
        As `ImageSet.open`.
    LockedError
        If another run is at work there.
    OutputError
        If it cannot be written.
    """
    folder = Path(folder)
    wanted = tuple(dict.fromkeys(patients))
    if dry_run or not layout.is_being_erased(folder):
        layout.read_record(folder)  # before anything is written: is there a set?
    if dry_run:
        return _removal(folder, wanted).forecast
    with folder_lock(folder):
        finished = settle(folder)
        if finished is not None:
            wanted = tuple(name for name in wanted if name not in finished["patients"])
            if not wanted:
                return Forgotten(folder, tuple(finished["patients"]), **finished["counts"])
        elif not wanted:
            msg = (
                f"No removal from {str(folder)!r} was interrupted. Name the patients: --patient ID."
            )
            raise OptionError(msg)
        drop(folder)  # an addition that was begun may hold images of theirs
        return _carry_out(_removal(folder, wanted), progress)


@dataclass(frozen=True, eq=False)
class _Removal:
    images: ImageSet
    patients: frozenset[str]
    rows: list[ManifestRow]
    """All rows of the manifest as it is."""
    gone: Flags
    shards: tuple[int, ...]
    forecast: Forgotten


def _removal(folder: Path, wanted: tuple[str, ...]) -> _Removal:
    images = ImageSet.open(folder)
    known = set(images.patient_ids)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        msg = (
            f"{len(unknown):,} of {len(wanted):,} patients are not in {str(folder)!r}, for example "
            f"{unknown[0]!r}. Nothing was removed. The ids are in the column patient_id of "
            f"{layout.MANIFEST!r}."
            if unknown
            else "No patient was named: --patient ID."
        )
        raise OptionError(msg)
    chosen = frozenset(wanted)
    gone = np.array([patient in chosen for patient in images.patient_ids])
    if gone.all():
        msg = (
            f"No image would be left in {str(folder)!r}. Delete the folder instead, and whatever "
            "was made of it."
        )
        raise OptionError(msg)
    rows = read_manifest_rows(folder)
    shards = tuple(sorted({row.shard for row, out in zip(rows, gone, strict=True) if out}))
    derived = sum(
        len(list(kind.glob(SHARED)))
        + sum(len(list(kind.glob(f"*{n:05d}.[nj]*"))) for n in stale_numbers(kind, shards))
        for kind in derived_folders(folder)
    )
    names = [layout.shard_name(number) for number in shards]
    linked = tuple(name for name in names if layout.place(folder, name).stat().st_nlink > 1)
    num_files = len(_removed_items(rows, gone)[0])
    forecast = Forgotten(
        folder, wanted, int(gone.sum()), num_files, len(shards), derived, linked, int((~gone).sum())
    )
    return _Removal(images, chosen, rows, gone, shards, forecast)


def _carry_out(removal: _Removal, progress: Progress) -> Forgotten:
    folder, images = removal.forecast.path, removal.images
    record = images.record
    waiting = folder / layout.NEXT
    make_folder(waiting / layout.IMAGES, private=True)
    store = images.stored.store
    if not isinstance(store, ShardStore):
        msg = f"{str(folder)!r} does not lie on disk."
        raise InputError(msg)
    kept_rows: list[ManifestRow] = []
    shard_rows = list(record["shard_rows"])
    files = {
        layout.shard_name(n): record["files"][layout.shard_name(n)] for n in range(len(shard_rows))
    }
    ranges: dict[str, list[tuple[int, int]]] = {}
    with progress.task("remove", len(removal.shards), unit="shards") as task:
        start = 0
        for number, count in enumerate(record["shard_rows"]):
            rows = removal.rows[start : start + count]
            gone = removal.gone[start : start + count]
            if number in removal.shards:
                name = layout.shard_name(number)
                kept = np.flatnonzero(~gone)
                digest = _write_without(waiting / name, store, start + kept)
                files[name] = file_entry(waiting / name, digest)
                shard_rows[number] = len(kept)
                offset = store.shards[number].offset
                size = int(np.prod(store.row_shape)) * store.dtype.itemsize
                ranges[name] = [
                    (offset + row * size, offset + (row + 1) * size)
                    for row in np.flatnonzero(gone).tolist()
                ]
                rows = [replace(rows[row], row=place) for place, row in enumerate(kept.tolist())]
                task.advance()
            kept_rows += rows
            start += count
    mentions, today = Mentions(removal.patients, record["patient_rule"]), _today()
    sources, account = _sources(removal, mentions, today)
    new_record = {
        **described(record, kept_rows, account),
        **_without_names(removal, record, mentions, today),
        "shard_rows": shard_rows,
    }
    write_tables(waiting, kept_rows, sources, account)
    erasure = {
        "patients": list(removal.forecast.patients),
        "rule": record["patient_rule"],
        "numbers": list(removal.shards),
        "ranges": ranges,
        "part": part_of_split(images.subset(~removal.gone)),
        "counts": {
            field.name: getattr(removal.forecast, field.name)
            for field in fields(Forgotten)
            if field.name not in ("path", "patients")
        },
    }
    write_json(waiting / layout.ERASURE, erasure, private=True)
    write_record(waiting, files, new_record)
    settle(folder)
    return removal.forecast


def _write_without(path: Path, store: ShardStore, kept: Integers) -> str:
    size = int(np.prod(store.row_shape)) * store.dtype.itemsize
    step = max(1, _PIECE_BYTES // size)
    with writing_rows(path, (len(kept), *store.row_shape), store.dtype) as writer:
        for start in range(0, len(kept), step):
            writer.write_rows(store.take(kept[start : start + step]))
    return writer.sha256


def _removed_items(
    rows: list[ManifestRow], gone: Flags
) -> tuple[dict[tuple[str, str], None], set[str]]:
    """Say which files and members of archives go, and which files lose only some of their images.

    Returns
    -------
    going
        (path, member) of each file or member all of whose images go; member is "" for a file.
    shared
        Files with images that go and images that stay.
    """
    staying: set[tuple[str, str]] = set()
    staying_files: set[str] = set()
    touched: dict[tuple[str, str], None] = {}
    for row, out in zip(rows, gone.tolist(), strict=True):
        member = (row.member or "").split("::")[0]
        for path in row.sources:
            # The parts of a plain file are numbered; only members of archives are counted.
            key = (path, "" if member.isdigit() else member)
            if out:
                touched[key] = None
            else:
                staying.add(key)
                staying_files.add(path)
    going = {key: None for key in touched if key not in staying}
    return going, {path for path, _ in touched if path in staying_files}


def _sources(
    removal: _Removal, mentions: Mentions, today: str
) -> tuple[list[SourceRow], Accounting]:
    """Return the table of source files and the account without what names the patients."""
    folder = removal.forecast.path
    going, shared = _removed_items(removal.rows, removal.gone)
    counts = Counter(path for path, _ in going)
    reason = f"removed on request on {today}"
    rows: list[SourceRow] = []
    for row in read_source_rows(folder):
        if row.status == USED and row.path in shared:
            rows.append(replace(row, stage=STAGE, reason=f"partly {reason}"))
            name = f"{row.path}::removed"
            item = SourceRow(name, None, None, None, REMOVED, STAGE, reason)
            rows += [item] * counts[row.path]
        elif row.status == USED and row.path in counts:
            name = _removed_name(row.sha256)
            item = SourceRow(name, None, None, row.sha256, REMOVED, STAGE, reason)
            rows += [item] * counts[row.path]
        elif row.status not in (USED, REMOVED) and (
            mentions(row.path) or mentions(row.reason or "")
        ):
            said = "its name was removed on request"
            name = _removed_name(row.sha256)
            rows.append(replace(row, path=name, mtime_ns=None, reason=said))
        else:
            rows.append(row)
    rows.sort(key=lambda row: (row.path, row.status))
    before = read_accounting(folder)
    left_out = tuple(
        LeftOut(row.path, row.stage or "", row.status, row.reason or "", row.num_bytes, row.sha256)
        for row in rows
        if row.status != USED
    )
    return rows, Accounting(before.found, before.used - len(going), left_out)


def _removed_name(sha256: str | None) -> str:
    return f"removed-{sha256[:12]}" if sha256 else "removed"


def _without_names(
    removal: _Removal, record: dict[str, Any], mentions: Mentions, today: str
) -> dict[str, Any]:
    """Return those entries of the record that change because they could name the patients."""
    patients = dict(record.get("patients", {}))
    if "examples" in patients:
        patients["examples"] = [
            [path, who]
            for path, who in patients["examples"]
            if who not in removal.patients and not mentions(path)
        ]
    additions = [
        {
            **addition,
            "source": "removed" if mentions(addition["source"]) else addition["source"],
            "notes": [note for note in addition["notes"] if not mentions(note)],
        }
        for addition in record.get("additions", [])
    ]
    removed = {
        "date": today,
        "patients": len(removal.patients),
        "images": removal.forecast.num_images,
        "files": removal.forecast.num_files,
    }
    return {
        **({"additions": additions} if additions else {}),
        "notes": [note for note in record.get("notes", ()) if not mentions(note)],
        "patients": patients,
        "removals": [*record.get("removals", []), removed],
        **({"source": "removed"} if mentions(str(record.get("source", ""))) else {}),
    }


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
