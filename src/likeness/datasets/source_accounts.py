"""What became of every source file: of a plan that was carried out, and read back of a set.

The tables and counts made here are those of a finished set; `accounting` says what an account is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from likeness.datasets import layout
from likeness.datasets.accounting import Accounting, LeftOut
from likeness.datasets.manifest import SourceRow, read_table
from likeness.errors import UnreadableImageError

if TYPE_CHECKING:
    from likeness.datasets.checkpoints import Checkpoint
    from likeness.datasets.set_plan import SetPlan
    from likeness.datasets.units import UnitReport

PLAN_STAGES: Final = ("find", "group", "select")
"""Stages at which files are left out before anything is decoded."""

USED: Final = "used"
"""Status of a file that gave images."""


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


def stop_at_first(report: UnitReport) -> None:
    """Raise the reason of the first file that could not be used."""
    for item in report.left_out:
        if not item.by_rule:
            raise UnreadableImageError(item.path, item.code, item.reason)
