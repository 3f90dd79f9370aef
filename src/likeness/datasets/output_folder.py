"""Where an image set may be made: apart from its source, and where nothing else lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness._files import is_inside
from likeness.datasets import layout
from likeness.datasets.options import RunOptions
from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

OUR_NAMES: Final = {
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
