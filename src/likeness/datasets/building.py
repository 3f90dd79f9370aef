"""Make an image set of units: look at the folder, resume or begin, decode, write, commit."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import (
    folder_lock,
    hash_of_json,
    is_inside,
    make_folder,
    write_text,
)
from likeness._progress import SILENT, Progress
from likeness._versions import software_versions
from likeness.datasets import layout
from likeness.datasets.accounting import Accounting, LeftOut
from likeness.datasets.changes import settle
from likeness.datasets.image_set import ImageSet
from likeness.datasets.manifest import SourceRow, read_table
from likeness.datasets.options import RunOptions
from likeness.datasets.scanning import write_headers
from likeness.datasets.workers import decode_in_order
from likeness.datasets.writer import (
    SetWriter,
    commit,
    load_checkpoint,
    remove_partial_files,
    remove_progress,
    remove_set,
)
from likeness.errors import (
    DamagedSetError,
    FormatVersionError,
    InputError,
    NoImagesError,
    OptionError,
    SourceChangedError,
    UnreadableImageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from likeness.datasets.scanning import Scan
    from likeness.datasets.units import Decoder, Unit, UnitReport
    from likeness.datasets.walk import SourceFile
    from likeness.datasets.writer import Checkpoint
    from likeness.readers import ReadOptions

PLAN_STAGES: Final = ("find", "group", "select")
"""Stages at which files are left out before anything is decoded."""

USED: Final = "used"
"""Status of a file that gave images."""
_OUR_NAMES: Final = {
    layout.RECORD,
    layout.CHECKSUMS,
    layout.IMAGES,
    layout.DERIVED,
    layout.BASELINES,
    layout.NEXT,
    layout.PROGRESS,
    layout.LOCK,
    *layout.TABLES,
}


@dataclass(frozen=True)
class SetPlan:
    """All that decides what an image set will hold."""

    units: Sequence[Unit]
    decoder: Decoder
    channels: tuple[str, ...]
    settings: dict[str, Any]
    """JSON values. Another set in the same folder must not have other ones."""
    left_out: tuple[LeftOut, ...] = ()
    """Files that are in no unit."""
    record: dict[str, Any] = field(default_factory=dict)
    """More for ``dataset.json``: what kind of preparation, which transforms, which patients."""

    scan: tuple[Scan, ReadOptions] | None = None
    """What was looked through and how, to be kept while the set is not finished."""

    @property
    def files(self) -> list[SourceFile]:
        """The files of all units."""
        return [file for unit in self.units for file in unit.files]


@dataclass(frozen=True)
class Prepared:
    """What a preparation made."""

    sets: dict[str, ImageSet]
    """One set named ``all``, or the parts of a split by name."""
    accounting: Accounting
    """Of the whole source."""
    tallies: dict[str, int] = field(default_factory=dict)
    """Images that rules looked at and dropped, for example ``slices``."""

    @property
    def image_set(self) -> ImageSet:
        """The only set.

        Raises
        ------
        OptionError
            If there are several.
        """
        if len(self.sets) != 1:
            msg = f"There are several image sets: {', '.join(self.sets)}. Choose one of .sets."
            raise OptionError(msg)
        return next(iter(self.sets.values()))


def check_out(source: Path, out: Path) -> None:
    """Refuse an output folder inside the source, and the other way round.

    Raises
    ------
    OptionError
        If one lies inside the other.
    """
    if is_inside(out, source) or is_inside(source, out):
        msg = (
            f"--out {str(out)!r} and the source {str(source)!r} lie one inside the other. Sources "
            "are never written to; choose another --out."
        )
        raise OptionError(msg)


def build(
    out: Path, plan: SetPlan, *, run: RunOptions | None = None, progress: Progress = SILENT
) -> Prepared:
    """Make the image set of a plan in the folder `out`, or finish one that was begun there.

    Raises
    ------
    OptionError
        If the folder holds something else; the message shows the difference.
    LockedError
        If another run is at work there.
    SourceChangedError
        If files changed since the set was begun or made.
    NoImagesError, TooManySkippedError, ImageMismatchError, UnreadableImageError
        About the images.
    OutputError
        If it cannot be written. What is finished is kept for the next run.
    """
    run = run or RunOptions()
    refuse_foreign(out, _OUR_NAMES, run)
    make_folder(out, private=True)
    with folder_lock(out):
        refuse_foreign(out, _OUR_NAMES, run)
        settle(out)
        if run.overwrite and not _fits(out, plan):
            remove_set(out)
        if (out / layout.RECORD).is_file():
            return _reopen(out, plan, run)
        return _make(out, plan, run, progress)


def refuse_foreign(folder: Path, known: Iterable[str], run: RunOptions) -> None:
    """Refuse a folder that holds anything that is not ours.

    Raises
    ------
    OptionError
        If it does. Nothing that Likeness did not write is ever removed.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        msg = f"--out {str(folder)!r} is a file; expected a folder."
        raise OptionError(msg)
    ours = {ending for name in known for ending in (name, name + ".partial")}
    foreign = sorted({entry.name for entry in folder.iterdir()} - ours)
    if foreign:
        hint = "--overwrite removes image sets only" if run.overwrite else "also with --overwrite"
        msg = (
            f"--out {str(folder)!r} holds files that are no part of an image set, for example "
            f"{foreign[0]!r}. Choose a new folder; other files are never removed ({hint})."
        )
        raise OptionError(msg)


def _make(out: Path, plan: SetPlan, run: RunOptions, progress: Progress) -> Prepared:
    plan_path = out / layout.PROGRESS / layout.PLAN
    content = _plan_content(plan)
    refused = out / layout.PROGRESS / layout.REFUSED
    if refused.is_file() and read_plan(plan_path) != content:
        remove_set(out)  # what that run complained of has been mended
    if plan_path.is_file():
        _compare(out, read_plan(plan_path), content)
    else:
        remove_set(out)
    try:
        return _make_or_refuse(out, plan, run, progress)
    except InputError as error:
        write_text(refused, f"{error}\n", private=True)
        raise


def _make_or_refuse(out: Path, plan: SetPlan, run: RunOptions, progress: Progress) -> Prepared:
    writer = SetWriter(out, load_checkpoint(out))
    plan_path = out / layout.PROGRESS / layout.PLAN
    write_text(plan_path, json.dumps(_plan_content(plan)), private=True)
    if plan.scan is not None:
        write_headers(out, *plan.scan)
    state = writer.checkpoint
    first, skip = state.next_unit, state.images_done
    with closing(writer), progress.task("read", len(plan.units), unit="files") as task:
        task.advance(first)
        for result in decode_in_order(plan.decoder, plan.units, jobs=run.jobs, first=first):
            for position, (pixels, row) in enumerate(result.images):
                if result.report.index == first and position < skip:
                    continue
                writer.add(result.report.index, position, pixels, row)
            if run.strict:
                stop_at_first(result.report)
            writer.finish_unit(result.report)
            task.advance()
        writer.finish(len(plan.units))
    accounting, tallies = account_of_units(plan, state.reports)
    where = out / layout.LEFT_OUT
    if accounting.num_skipped:  # also where the next lines stop: the list is what helps then
        accounting.write_csv(where)
    if not state.rows:
        msg = f"No usable image: {accounting.summary()}. {accounting.examples(where)}"
        raise NoImagesError(msg)
    if run.strict:
        for report in state.reports:  # also those of a run before this one
            stop_at_first(report)
    accounting.check(run.max_skipped, listed_in=where)
    record = _record(plan, state, accounting, tallies)
    commit(out, state, sources=source_rows_of(plan, state), accounting=accounting, record=record)
    return Prepared({"all": ImageSet.open(out)}, accounting, tallies)


def _reopen(out: Path, plan: SetPlan, run: RunOptions) -> Prepared:
    record = layout.read_record(out)
    try:
        _compare(out, _finished_content(out), _plan_content(plan, finished=True))
    except SourceChangedError as error:
        raise _about_changes(record, error) from error
    remove_progress(out)
    remove_partial_files(out)
    made = ImageSet.open(out)
    accounting = read_accounting(out)
    if run.strict and accounting.num_skipped:
        first = next(item for item in accounting.left_out if not item.by_rule)
        raise UnreadableImageError(first.path, first.code, first.reason)
    accounting.check(run.max_skipped)
    return Prepared({"all": made}, accounting, dict(record["tallies"]))


def _about_changes(record: dict[str, Any], error: SourceChangedError) -> SourceChangedError:
    """Say what was done to the set since: that, and not the source, may be the difference."""
    said = []
    if record.get("removals"):
        said.append("Patients were removed from it since; --overwrite would bring them back.")
    if record.get("additions"):
        said.append("Images were added to it since; likeness append adds more.")
    return SourceChangedError(" ".join([str(error), *said]))


def read_accounting(folder: Path) -> Accounting:
    """Read the account of a finished image set back.

    Raises
    ------
    InputError
        As `layout.read_record`.
    """
    counts = layout.read_record(folder)["counts"]
    left_out = tuple(
        LeftOut(row.path, row.stage or "", row.status, row.reason or "", row.num_bytes, row.sha256)
        for row in read_source_rows(folder)
        if row.status != USED
    )
    return Accounting(counts["found"], counts["used"], left_out)


def read_source_rows(folder: Path) -> list[SourceRow]:
    """Read what became of every source file of a finished image set."""
    columns = read_table(layout.place(folder, layout.SOURCES))
    return [SourceRow(*values) for values in zip(*columns.values(), strict=True)]


def _fits(out: Path, plan: SetPlan) -> bool:
    """Whether what lies there is this very plan, finished or begun, and sound."""
    try:
        if (out / layout.RECORD).is_file():
            _compare(out, _finished_content(out), _plan_content(plan, finished=True))
            layout.open_parts(out)
        else:
            path = out / layout.PROGRESS / layout.PLAN
            _compare(out, read_plan(path) if path.is_file() else {}, _plan_content(plan))
    except (OptionError, SourceChangedError, DamagedSetError, FormatVersionError):
        return False
    return True


def _plan_content(plan: SetPlan, *, finished: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {
        "settings": plan.settings,
        "sources": {file.text: [file.num_bytes, file.mtime_ns] for file in plan.files},
        "left_out": sorted([item.path, item.code] for item in plan.left_out),
    }
    if not finished:  # half a set by one decoder and half by another would be no set
        content["software"] = software_versions()
    return json.loads(json.dumps(content))  # type: ignore[no-any-return]


def read_plan(path: Path) -> dict[str, Any]:
    """Return what an unfinished run wrote about its plan; nothing where it cannot be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _finished_content(out: Path) -> dict[str, Any]:
    rows = read_source_rows(out)
    return {
        "settings": layout.read_record(out)["settings"],
        "sources": {
            row.path: [row.num_bytes, row.mtime_ns] for row in rows if row.mtime_ns is not None
        },
        "left_out": sorted([r.path, r.status] for r in rows if r.stage in PLAN_STAGES),
    }


def _compare(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    if found == wanted:
        return
    advice = "Choose another --out, or --overwrite to replace it."
    for what in ("settings", "software"):
        old, new = found.get(what), wanted.get(what)
        if old != new:
            lines = "; ".join(_differences(old or {}, new or {}))
            msg = f"{str(out)!r} holds an image set made with other {what}: {lines}. {advice}"
            raise OptionError(msg)
    old, new = found.get("sources", {}), wanted["sources"]
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    examples = ", ".join(map(repr, changed[:3])) or "files that were left out"
    msg = (
        f"The source has changed since the image set in {str(out)!r} was made: "
        f"{len(changed):,} files, for example {examples}. {advice}"
    )
    raise SourceChangedError(msg)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from (f"{name}.{line}" for line in _differences(before, after))
        elif before != after:
            yield f"{name} was {before!r} and is now {after!r}"


def stop_at_first(report: UnitReport) -> None:
    """Raise the reason of the first file that could not be used."""
    for item in report.left_out:
        if not item.by_rule:
            raise UnreadableImageError(item.path, item.code, item.reason)


def account_of_units(plan: SetPlan, reports: list[UnitReport]) -> tuple[Accounting, dict[str, int]]:
    """Return the account of a plan that was carried out, and the tallies of its rules."""
    used = sum(report.num_used for report in reports)
    left_out = [*plan.left_out, *(item for report in reports for item in report.left_out)]
    found = len(plan.left_out)
    for unit, report in zip(plan.units, reports, strict=True):
        members = report.num_used + len(report.left_out)
        found += members if unit.is_archive else len(unit.files)
    tallies: dict[str, int] = {}
    for report in reports:
        for name, count in report.tallies.items():
            tallies[name] = tallies.get(name, 0) + count
    ordered = tuple(sorted(left_out, key=lambda item: (item.path, item.code)))
    return Accounting(found, used, ordered), tallies


def source_rows_of(plan: SetPlan, state: Checkpoint) -> list[SourceRow]:
    """Return what became of every file of a plan that was carried out, sorted by path."""
    rows = [_left_out_row(item, None) for item in plan.left_out]
    for unit, report in zip(plan.units, state.reports, strict=True):
        times = {file.text: file.mtime_ns for file in unit.files}
        rows += [_left_out_row(item, times.pop(item.path, None)) for item in report.left_out]
        rows += [
            SourceRow(file.text, file.num_bytes, file.mtime_ns, sha256, USED)
            for file, sha256 in zip(unit.files, report.sha256, strict=True)
            if file.text in times
        ]
    return sorted(rows, key=lambda row: (row.path, row.status))


def _left_out_row(item: LeftOut, mtime_ns: int | None) -> SourceRow:
    return SourceRow(
        item.path, item.num_bytes, mtime_ns, item.sha256, item.code, item.stage, item.reason
    )


def count_by_code(accounting: Accounting) -> dict[str, Any]:
    """Return the counts of an account as ``dataset.json`` has them."""
    by_code: dict[str, int] = {}
    for item in accounting.left_out:
        by_code[item.code] = by_code.get(item.code, 0) + 1
    return {
        "found": accounting.found,
        "used": accounting.used,
        "left_out": len(accounting.left_out),
        "skipped": accounting.num_skipped,
        "by_code": by_code,
    }


def _record(
    plan: SetPlan, state: Checkpoint, accounting: Accounting, tallies: dict[str, int]
) -> dict[str, Any]:
    means = np.array([row.mean for row in state.rows])
    patients = [row.patient_id for row in state.rows]
    return {
        "annotation_channels": [],
        **plan.record,
        "channels": list(plan.channels),
        "counts": count_by_code(accounting),
        "tallies": tallies,
        "intensity": {
            "minimum": min(row.minimum for row in state.rows),
            "maximum": max(row.maximum for row in state.rows),
            "mean": float(means.mean()),
        },
        "num_patients": len({name for name in patients if name is not None}),
        "num_without_patient": sum(name is None for name in patients),
        "settings": plan.settings,
        "settings_hash": hash_of_json(plan.settings),
        "software": software_versions(),
    }
