"""The output folder of these tools: when it may be used, and what it holds while a run goes on.

`settings.json` says what the results depend on; `work/` keeps prepared images and search states,
so that a killed run resumes, and is removed when the run is done. A folder with other settings or
with foreign files is refused.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from likeness._files import folder_lock, is_inside, make_folder, write_json, writing_to
from likeness.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SETTINGS: Final = "settings.json"
WORK: Final = "work"


@contextmanager
def output_folder(
    out: Path,
    *,
    inputs: Iterable[Path],
    settings: Mapping[str, Any],
    outputs: Iterable[str],
    overwrite: bool = False,
) -> Iterator[Path]:
    """Hold an output folder for one run and give its working folder.

    Parameters
    ----------
    out
        Need not exist.
    inputs
        Files and folders that are read.
    settings
        What the results depend on, as JSON values.
    outputs
        Names of the files that such a run writes.
    overwrite
        Replace the results of a run with other settings.

    Raises
    ------
    OptionError
        If `out` lies inside an input or holds one, is a file or a foreign folder, or holds results
        with other settings and `overwrite` is False.
    LockedError
        If another run is at work there.
    """
    wanted = json.loads(json.dumps(settings))
    outputs = set(outputs)
    _refuse_overlap(out, inputs)
    _refuse_foreign(out, outputs)
    with folder_lock(out):
        previous = _previous(out)
        finished = any((out / name).exists() for name in outputs)
        # A run that ended before its first result, by a mistyped name, binds nobody.
        if finished and previous is not None and previous != wanted:
            if not overwrite:
                msg = (
                    f"{str(out)!r} holds results with other settings: "
                    f"{_difference(previous, wanted)}. "
                    "Choose another --out, or give --overwrite to replace them."
                )
                raise OptionError(msg)
            with writing_to(out):
                for name in outputs:
                    (out / name).unlink(missing_ok=True)
                shutil.rmtree(out / WORK, ignore_errors=True)
        write_json(out / SETTINGS, wanted, private=True)
        work = out / WORK
        make_folder(work, private=True)
        yield work
        shutil.rmtree(work, ignore_errors=True)  # finished: there is nothing left to resume


def given_paths(*given: object) -> list[Path]:
    """Return those of the arguments that are paths."""
    return [Path(item) for item in given if isinstance(item, str | Path)]


def name_of(given: object) -> str:
    """Return how a set is named in the settings: its path, or what it is in memory."""
    return str(given) if isinstance(given, str | Path) else f"{type(given).__name__} in memory"


def _refuse_overlap(out: Path, inputs: Iterable[Path]) -> None:
    for path in inputs:
        if is_inside(out, path) or is_inside(path, out):
            msg = (
                f"--out {str(out)!r} and the input {str(path)!r} lie one inside the other. Inputs "
                "are never written to; choose another --out."
            )
            raise OptionError(msg)


def _refuse_foreign(out: Path, outputs: set[str]) -> None:
    if out.exists() and not out.is_dir():
        msg = f"--out {str(out)!r} is a file; a folder is needed."
        raise OptionError(msg)
    if not out.exists():
        return
    names = {path.name for path in out.iterdir()}
    known = {".lock", SETTINGS, WORK, *outputs}
    foreign = sorted(names - known - {f"{name}.partial" for name in known})
    if foreign or (names & outputs and SETTINGS not in names):
        shown = ", ".join((foreign or sorted(names & outputs))[:3])
        msg = f"--out {str(out)!r} holds other files ({shown} ...). Choose an empty or new folder."
        raise OptionError(msg)


def _previous(out: Path) -> Any:  # noqa: ANN401
    path = out / SETTINGS
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return {}


def _difference(previous: Any, wanted: Mapping[str, Any]) -> str:  # noqa: ANN401
    known = previous if isinstance(previous, dict) else {}
    return "; ".join(
        f"{key} was {known.get(key)!r}, is {wanted.get(key)!r}"
        for key in sorted({*known, *wanted})
        if known.get(key) != wanted.get(key)
    )
