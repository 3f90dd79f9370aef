"""What an image set will hold: the plan, and what of it is written beside an unfinished set."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness._versions import software_versions
from likeness.datasets.accounting import LeftOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.datasets.scanning import Scan
    from likeness.datasets.units import Decoder, Unit
    from likeness.datasets.walk import SourceFile
    from likeness.readers import ReadOptions


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


def plan_content(plan: SetPlan, *, finished: bool = False) -> dict[str, Any]:
    """Return what decides whether two plans make the same set, as JSON gives it back.

    Of a finished set the software no longer counts.
    """
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
