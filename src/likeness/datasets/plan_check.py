"""Is what lies in a folder the set of this plan, finished or begun? If not, what is different?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness.datasets import layout
from likeness.datasets.set_plan import SetPlan, plan_content, read_plan
from likeness.datasets.source_accounts import PLAN_STAGES, read_source_rows
from likeness.errors import DamagedSetError, FormatVersionError, OptionError, SourceChangedError

if TYPE_CHECKING:
    from collections.abc import Iterator


def fits_plan(out: Path, plan: SetPlan) -> bool:
    """Whether what lies there is this very plan, finished or begun, and sound."""
    try:
        if (out / layout.RECORD).is_file():
            refuse_other_plan(out, finished_content(out), plan_content(plan, finished=True))
            layout.open_parts(out)
        else:
            path = out / layout.PROGRESS / layout.PLAN
            refuse_other_plan(out, read_plan(path) if path.is_file() else {}, plan_content(plan))
    except (OptionError, SourceChangedError, DamagedSetError, FormatVersionError):
        return False
    return True


def finished_content(out: Path) -> dict[str, Any]:
    """Return what a finished set says of the plan it was made by, as `plan_content` does."""
    rows = read_source_rows(out)
    return {
        "settings": layout.read_record(out)["settings"],
        "sources": {
            row.path: [row.num_bytes, row.mtime_ns] for row in rows if row.mtime_ns is not None
        },
        "left_out": sorted([r.path, r.status] for r in rows if r.stage in PLAN_STAGES),
    }


def refuse_other_plan(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse the set in a folder where it was made by another plan.

    Parameters
    ----------
    found, wanted
        `plan_content` of the set that lies there, and of the one to be made.

    Raises
    ------
    OptionError
        If settings or software differ; the message shows how.
    SourceChangedError
        If files of the source do.
    """
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
