"""Add images to a finished set: new shards beside the old ones, and nothing is prepared twice.

The new images are read exactly as the set's own were: the settings come from its record. Files that
are in the set already are recognised and passed over, so the same folder can be given again after
it has grown. What was removed on request is recognised too, and stays out.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._files import folder_lock, hash_of_json, make_folder, sha256_of_file, write_json
from likeness._progress import SILENT, Progress
from likeness._versions import software_versions
from likeness.datasets import layout
from likeness.datasets.accounting import REMOVED, Accounting, LeftOut
from likeness.datasets.changes import drop, settle
from likeness.datasets.checkpoints import load_checkpoint
from likeness.datasets.committing import file_entry, write_record, write_tables
from likeness.datasets.image_set import ImageSet
from likeness.datasets.manifest import SourceRow, read_manifest_rows
from likeness.datasets.options import RunOptions
from likeness.datasets.output_folder import check_out
from likeness.datasets.plans import plan_like
from likeness.datasets.scanning import remembered_headers, write_headers
from likeness.datasets.set_plan import SetPlan, read_plan
from likeness.datasets.source_accounts import (
    account_of_units,
    count_by_code,
    read_accounting,
    read_source_rows,
    source_rows_of,
    stop_at_first,
)
from likeness.datasets.split_records import (
    part_of_split,
    refuse_patients_of_other_parts,
    update_split,
)
from likeness.datasets.workers import decode_in_order
from likeness.datasets.writer import SetWriter
from likeness.errors import ImageMismatchError, InputError, NoImagesError

if TYPE_CHECKING:
    from likeness.datasets.checkpoints import Checkpoint
    from likeness.datasets.manifest import ManifestRow
    from likeness.datasets.units import Unit


@dataclass(frozen=True)
class Appended:
    """What an addition did."""

    image_set: ImageSet
    """The set as it is now."""
    num_images: int
    """Images that were added; 0 where all files were known."""
    num_patients: int
    """Patients that were not in the set before."""
    num_known_files: int
    """Files that were in the set already, or left out of it, and have not changed."""
    accounting: Accounting
    """Of the new files alone."""


@dataclass(frozen=True)
class _News:
    """What a source has that the set has not."""

    plan: SetPlan
    num_known: int
    left_out: tuple[LeftOut, ...]
    """Files of patients who were removed."""


def append(
    folder: Path | str,
    source: Path | str,
    *,
    manifest: Path | None = None,
    run: RunOptions | None = None,
    progress: Progress = SILENT,
) -> Appended:
    """Add the images of a source that a prepared set does not have yet.

    A run that is interrupted leaves the set as it was; the same call goes on where it stopped.

    Parameters
    ----------
    folder
        A set that `likeness prepare` wrote.
    source
        Folder or file of new images; files that are known may lie among them.
    manifest
        CSV table, where the set's patients came from one.
    run
        ``overwrite`` has no meaning here.

    Raises
    ------
    ImageMismatchError
        If channels, shape or number type differ from those of the set.
    InputError
        If an image has the id of another one that is in the set, or as `ImageSet.open`.
    SplitOverlapError
        If a patient is in another part of the split that the set belongs to.
    LikenessError
        As `building.build`.
    """
    folder, source, run = Path(folder), Path(source), run or RunOptions()
    layout.read_record(folder)  # before anything is written: is there a set?
    check_out(source, folder)
    with folder_lock(folder):
        settle(folder)
        old = ImageSet.open(folder)
        with remembered_headers([folder / layout.NEXT]):
            plan = plan_like(old.record, source, manifest=manifest, run=run, progress=progress)
        if plan.channels != old.channels:
            msg = (
                f"The channels of {str(source)!r} are {', '.join(plan.channels)}; those of "
                f"{str(folder)!r} are {', '.join(old.channels)}. Prepare them as a set of their "
                "own."
            )
            raise ImageMismatchError(msg)
        rows = read_source_rows(folder)
        news = _news(plan, rows)
        if not news.plan.units and not news.plan.left_out:
            drop(folder)
            nothing = Accounting(len(news.left_out), 0, news.left_out)
            return Appended(old, 0, 0, news.num_known, nothing)
        return _append(folder, old, news, rows, run, progress)


def plan_addition(
    folder: Path | str,
    source: Path | str,
    *,
    manifest: Path | None = None,
    progress: Progress = SILENT,
) -> tuple[SetPlan, int]:
    """Return what `append` would read, and how many files it would pass over; nothing is written.

    Raises
    ------
    LikenessError
        As `append`, before anything is decoded.
    """
    folder, source = Path(folder), Path(source)
    record = layout.read_record(folder)
    check_out(source, folder)
    plan = plan_like(record, source, manifest=manifest, run=RunOptions(), progress=progress)
    news = _news(plan, read_source_rows(folder))
    return news.plan, news.num_known


def _news(plan: SetPlan, rows: list[SourceRow]) -> _News:
    """Sort out what is known, by path and content, and what was removed, by content alone."""
    known = {row.path: row for row in rows if row.status != REMOVED}
    removed = {row.sha256 for row in rows if row.stage == "remove" and row.sha256}
    hashes: dict[str, str] = {}
    units: list[Unit] = []
    left_out: list[LeftOut] = []
    num_known = 0
    for unit in plan.units:
        if all(
            _is_known(file.text, file.path, file.num_bytes, known, hashes) for file in unit.files
        ):
            num_known += len(unit.files)
            continue
        if removed:
            for file in unit.files:
                hashes.setdefault(file.text, sha256_of_file(file.path))
            if any(hashes[file.text] in removed for file in unit.files):
                reason = "the same content was removed from the set on request"
                left_out += [
                    LeftOut(f"removed-{hashes[f.text][:12]}", "find", REMOVED, reason)
                    for f in unit.files
                ]
                continue
        units.append(unit)
    others = []
    for item in plan.left_out:
        row = known.get(item.path)
        if row is not None and (row.status, row.num_bytes) == (item.code, item.num_bytes):
            num_known += 1
        else:
            others.append(item)
    return _News(replace(plan, units=units, left_out=tuple(others)), num_known, tuple(left_out))


def _is_known(
    text: str, path: Path, num_bytes: int, known: dict[str, SourceRow], hashes: dict[str, str]
) -> bool:
    row = known.get(text)
    if row is None or row.sha256 is None or row.num_bytes != num_bytes:
        return False
    hashes[text] = sha256_of_file(path)
    return hashes[text] == row.sha256


def _append(
    folder: Path,
    old: ImageSet,
    news: _News,
    old_sources: list[SourceRow],
    run: RunOptions,
    progress: Progress,
) -> Appended:
    waiting = folder / layout.NEXT
    plan = news.plan
    content = {
        "set": layout.read_record(folder)["checksum"],
        "sources": {file.text: [file.num_bytes, file.mtime_ns] for file in plan.files},
        "left_out": sorted([item.path, item.code] for item in plan.left_out),
        "patients": hash_of_json([unit.patient_id for unit in plan.units]),
        "software": software_versions(),
    }
    plan_path = waiting / layout.PROGRESS / layout.PLAN
    if read_plan(plan_path) != json.loads(json.dumps(content)):
        drop(folder)
    make_folder(plan_path.parent, private=True)
    state = _decode(folder, old, plan, run, progress, plan_path, content)
    new, tallies = account_of_units(plan, state.reports)
    if run.strict:
        for report in state.reports:  # also those of a run before this one
            stop_at_first(report)
    new.check(run.max_skipped)
    if not state.rows and plan.units:
        msg = f"No usable image: {new.summary()}. {new.examples()}"
        raise NoImagesError(msg)
    sources = source_rows_of(plan, state)
    account, merged = _merged(read_accounting(folder), new, old_sources, sources)
    manifest = [*read_manifest_rows(folder), *state.rows]
    record = _record(old.record, manifest, account, new, tallies, plan, state)
    first = len(old.record["shard_rows"])
    shards = {
        layout.shard_name(number): old.record["files"][layout.shard_name(number)]
        for number in range(first)
    }
    for number, digest in enumerate(state.shard_sha256, first):
        shards[layout.shard_name(number)] = file_entry(waiting / layout.shard_name(number), digest)
    write_tables(waiting, manifest, merged, account)
    write_record(waiting, shards, record)
    settle(folder)
    made = ImageSet.open(folder)
    update_split(folder, part_of_split(made))
    before = set(old.patient_ids)
    added = {row.patient_id for row in state.rows} - before - {None}
    shown = Accounting(new.found + len(news.left_out), new.used, (*new.left_out, *news.left_out))
    return Appended(made, len(state.rows), len(added), news.num_known, shown)


def _decode(
    folder: Path,
    old: ImageSet,
    plan: SetPlan,
    run: RunOptions,
    progress: Progress,
    plan_path: Path,
    content: dict[str, Any],
) -> Checkpoint:
    waiting = folder / layout.NEXT
    first_shard = len(old.record["shard_rows"])
    state = load_checkpoint(waiting, first_shard=first_shard)
    state.image_type = (*old.image_shape, old.dtype.name)
    writer = SetWriter(waiting, state, first_shard=first_shard)
    write_json(plan_path, content, private=True)
    if plan.scan is not None:
        write_headers(waiting, *plan.scan)
    ids, patients = set(old.image_ids), set()
    first, skip = state.next_unit, state.images_done
    with closing(writer), progress.task("read", len(plan.units), unit="files") as task:
        task.advance(first)
        for result in decode_in_order(plan.decoder, plan.units, jobs=run.jobs, first=first):
            for position, (pixels, row) in enumerate(result.images):
                if result.report.index == first and position < skip:
                    continue
                if row.image_id in ids:
                    _refuse_twice(folder, row)
                if row.patient_id is not None and row.patient_id not in patients:
                    refuse_patients_of_other_parts(folder, {row.patient_id})
                    patients.add(row.patient_id)
                writer.add(result.report.index, position, pixels, row)
            if run.strict:
                stop_at_first(result.report)
            writer.finish_unit(result.report)
            task.advance()
        writer.finish(len(plan.units))
    return state


def _refuse_twice(folder: Path, row: ManifestRow) -> None:
    msg = (
        f"{row.sources[0]!r} gives the image {row.image_id!r}, and {str(folder)!r} has another "
        "image of that id, of a file with other content. Nothing was added. Rename the new file, "
        "or put it into a folder with another name."
    )
    raise InputError(msg)


def _merged(
    before: Accounting, new: Accounting, old_rows: list[SourceRow], new_rows: list[SourceRow]
) -> tuple[Accounting, list[SourceRow]]:
    """Put the accounts together; a file that was left out before and is given again counts anew."""
    again = {row.path for row in new_rows}
    kept_rows = [row for row in old_rows if row.status == "used" or row.path not in again]
    dropped = len(old_rows) - len(kept_rows)
    kept = [item for item in before.left_out if item.path not in again]
    rows = sorted([*kept_rows, *new_rows], key=lambda row: (row.path, row.status))
    left_out = sorted([*kept, *new.left_out], key=lambda item: (item.path, item.code))
    found = before.found - dropped + new.found
    return Accounting(found, before.used + new.used, tuple(left_out)), rows


def _record(
    old: dict[str, Any],
    rows: list[ManifestRow],
    account: Accounting,
    new: Accounting,
    tallies: dict[str, int],
    plan: SetPlan,
    state: Checkpoint,
) -> dict[str, Any]:
    together = Counter(old["tallies"])
    together.update(tallies)
    addition = {
        "source": plan.record["source"],
        "images": len(state.rows),
        "found": new.found,
        "used": new.used,
        "left_out": len(new.left_out),
        "notes": plan.record["notes"],
        "software": software_versions(),
    }
    return {
        **described(old, rows, account),
        "additions": [*old.get("additions", []), addition],
        "tallies": dict(together),
        "shard_rows": [*old["shard_rows"], *state.shard_rows],
    }


def described(old: dict[str, Any], rows: list[ManifestRow], account: Accounting) -> dict[str, Any]:
    """Return the record of a set with the numbers that these rows and this account give."""
    patients = [row.patient_id for row in rows]
    return {
        **old,
        "counts": count_by_code(account),
        "intensity": {
            "minimum": min(row.minimum for row in rows),
            "maximum": max(row.maximum for row in rows),
            "mean": float(np.mean([row.mean for row in rows])),
        },
        "num_images": len(rows),
        "num_patients": len({name for name in patients if name is not None}),
        "num_without_patient": sum(name is None for name in patients),
    }
