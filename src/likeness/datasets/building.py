"""Make an image set of units: look at the folder, resume or begin, decode, write, commit."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._files import folder_lock, hash_of_json, make_folder, write_text
from likeness._progress import SILENT, Progress
from likeness._versions import software_versions
from likeness.datasets import layout
from likeness.datasets.accounting import Accounting
from likeness.datasets.changes import settle
from likeness.datasets.checkpoints import load_checkpoint
from likeness.datasets.committing import (
    commit,
    remove_partial_files,
    remove_progress,
    remove_set,
)
from likeness.datasets.image_set import ImageSet
from likeness.datasets.options import RunOptions
from likeness.datasets.output_folder import OUR_NAMES, refuse_foreign
from likeness.datasets.plan_check import finished_content, fits_plan, refuse_other_plan
from likeness.datasets.scanning import write_headers
from likeness.datasets.set_plan import SetPlan, plan_content, read_plan
from likeness.datasets.source_accounts import (
    account_of_units,
    count_by_code,
    read_accounting,
    source_rows_of,
    stop_at_first,
)
from likeness.datasets.workers import decode_in_order
from likeness.datasets.writer import SetWriter
from likeness.errors import (
    InputError,
    NoImagesError,
    OptionError,
    SourceChangedError,
    UnreadableImageError,
)

if TYPE_CHECKING:
    from likeness.datasets.checkpoints import Checkpoint


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
    refuse_foreign(out, OUR_NAMES, run)
    make_folder(out, private=True)
    with folder_lock(out):
        refuse_foreign(out, OUR_NAMES, run)
        settle(out)
        if run.overwrite and not fits_plan(out, plan):
            remove_set(out)
        if (out / layout.RECORD).is_file():
            return _reopen(out, plan, run)
        return _make(out, plan, run, progress)


def _make(out: Path, plan: SetPlan, run: RunOptions, progress: Progress) -> Prepared:
    plan_path = out / layout.PROGRESS / layout.PLAN
    content = plan_content(plan)
    refused = out / layout.PROGRESS / layout.REFUSED
    if refused.is_file() and read_plan(plan_path) != content:
        remove_set(out)  # what that run complained of has been mended
    if plan_path.is_file():
        refuse_other_plan(out, read_plan(plan_path), content)
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
    write_text(plan_path, json.dumps(plan_content(plan)), private=True)
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
        refuse_other_plan(out, finished_content(out), plan_content(plan, finished=True))
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
