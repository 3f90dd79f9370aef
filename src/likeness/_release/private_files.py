"""What stays with the audit: which images were withheld and why, and which file shows which image.

Both tables hold ids; they are readable by their owner only and safe to open in a spreadsheet.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness._files import write_text
from likeness.datasets.accounting import safe_cell

if TYPE_CHECKING:
    from likeness._release.decisions import Decisions
    from likeness._release.staging import Staged

WITHHELD: Final = "withheld.csv"
RELEASED: Final = "released.csv"


def write_withheld(folder: Path, image_ids: Sequence[str], decisions: Decisions) -> None:
    """Write ``withheld.csv`` into the audit folder."""
    rows = [
        (image_id, " ".join(why))
        for image_id, why in zip(image_ids, decisions.reasons, strict=True)
        if why
    ]
    _write(folder / WITHHELD, ("image_id", "reason"), rows)


def write_released(folder: Path, image_ids: Sequence[str], staged: Staged) -> None:
    """Write ``released.csv``: needed where an image has to be called back."""
    rows = [
        (image_ids[int(row)], path.name)
        for position, row in enumerate(staged.rows)
        for path in staged.paths(position)
    ]
    _write(folder / RELEASED, ("image_id", "file"), rows)


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    write_text(path, text.getvalue(), private=True)
