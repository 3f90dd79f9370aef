"""The output folder of an audit: when it may be used, and its small files.

An audit resumes in its own folder when the settings are the same. It never writes into an input,
nor into a folder that holds something else.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from likeness._files import (
    is_inside,
    remove_partial_files,
    sha256_of_file,
    write_text,
    writing_to,
)
from likeness._findings import Findings
from likeness.datasets.accounting import safe_cell
from likeness.errors import InputError, OptionError

SETTINGS = "settings.toml"
COMPLETE = "COMPLETE"
CHECKSUMS = "SHA256SUMS"
CHECKED = (
    "settings.toml",
    "findings.json",
    "images.parquet",
    "baseline.parquet",
    "matches.parquet",
    "patients.parquet",
    "errors.csv",
)
"""What a later step relies on."""
OUTPUTS = (
    "findings.json",
    "images.parquet",
    "baseline.parquet",
    "matches.parquet",
    "patients.parquet",
    "second_stage.parquet",
    "errors.csv",
    "CITATION.md",
    "report-INTERNAL.html",
    "summary.html",
    CHECKSUMS,
    "withheld.csv",
    "released.csv",
    COMPLETE,
)
TOLERANCES = ("max_skipped", "strict")
"""Settings that may change while there is no result yet."""
ERROR_COLUMNS = ("set", "path", "stage", "code", "reason", "bytes", "sha256")


def check_folder(
    out: Path, inputs: Iterable[Path], settings: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Make sure that `out` may be written; write nothing.

    Parameters
    ----------
    out
        The output folder; it need not exist.
    inputs
        Files and folders that are read.
    settings
        What the results depend on, as JSON values.
    overwrite
        Replace the results of an audit with other settings.

    Raises
    ------
    OptionError
        If one path is given for two sets, or `out` lies inside an input or holds one, is a foreign
        folder, or holds an audit with other settings and `overwrite` is False.
    """
    inputs = list(inputs)
    for first, second in combinations(inputs, 2):
        if first.exists() and first.resolve() == second.resolve():
            msg = (
                f"{str(first)!r} is given twice. --train, --test and --synthetic are three "
                "different sets of images; look at the command again."
            )
            raise OptionError(msg)
    for path in inputs:
        if is_inside(out, path):
            msg = f"--out {str(out)!r} lies inside the input {str(path)!r}. Choose another folder."
            raise OptionError(msg)
        if is_inside(path, out / "work"):
            msg = f"The input {str(path)!r} lies in the working files of --out {str(out)!r}."
            raise OptionError(msg)
    if out.exists() and not out.is_dir():
        msg = f"--out {str(out)!r} is a file; a folder is needed."
        raise OptionError(msg)
    if not out.exists():
        return
    previous = read_settings(out)
    names = {path.name for path in out.iterdir()} - {".lock"}
    if previous is None and names:
        msg = (
            f"--out {str(out)!r} holds other files ({', '.join(sorted(names)[:3])} ...). "
            "Choose an empty or new folder."
        )
        raise OptionError(msg)
    wanted = _as_written(settings)
    if previous is not None and not any((out / name).exists() for name in OUTPUTS):
        # A run that stopped for files it could not read may be told to go on without them.
        previous = {**previous, **{key: wanted[key] for key in TOLERANCES if key in wanted}}
    if previous != wanted and not overwrite and _has_content(out):
        changes = _difference(previous or {}, wanted)
        msg = (
            f"{str(out)!r} holds an audit with other settings: {changes}. "
            "Choose another --out, or give --overwrite to replace it."
        )
        raise OptionError(msg)


def _has_content(out: Path) -> bool:
    """Whether a run has finished anything there; a mistyped command has not."""
    begun = (out / "work" / "sets").glob("*/dataset.json")
    return any((out / name).exists() for name in OUTPUTS) or any(begun)


def claim_folder(out: Path, settings: Mapping[str, Any], *, fresh: bool) -> None:
    """Put the settings into a checked and locked folder and drop what they make stale.

    Parameters
    ----------
    fresh
        Forget what an earlier run of the same audit had finished.
    """
    wanted = _as_written(settings)
    remove_partial_files(out)
    with writing_to(out):
        (out / COMPLETE).unlink(missing_ok=True)
        if fresh:
            shutil.rmtree(out / "work", ignore_errors=True)
        if read_settings(out) != wanted:
            for name in OUTPUTS:
                (out / name).unlink(missing_ok=True)
            shutil.rmtree(out / "evidence", ignore_errors=True)
    write_text(out / SETTINGS, to_toml(wanted), private=True)


def read_settings(out: Path) -> dict[str, Any] | None:
    """Return the settings of the audit in a folder, or None where there is none."""
    path = out / SETTINGS
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def require_complete(out: Path) -> None:
    """Raise unless the audit in a folder was finished.

    A run that is begun again and stopped may leave old findings beside new tables.

    Raises
    ------
    InputError
        If there is no audit, or it was not finished.
    """
    Findings.read(out)  # says it if there is none
    if not (out / COMPLETE).is_file():
        msg = (
            f"The audit in {str(out)!r} was not finished. Run `likeness audit` again with the "
            "same settings; it goes on where it stopped."
        )
        raise InputError(msg)


def to_toml(settings: Mapping[str, Any]) -> str:
    """Write flat settings as TOML. JSON's strings, numbers and lists are TOML as they stand."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None]
    return "# Settings of this audit: what its numbers depend on.\n" + "\n".join(lines) + "\n"


def write_checksums(out: Path) -> None:
    """Write `SHA256SUMS` over the files that later steps rely on."""
    lines = [f"{sha256_of_file(out / name)}  {name}" for name in CHECKED]
    write_text(out / CHECKSUMS, "\n".join(lines) + "\n", private=True)


def write_errors(out: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write `errors.csv`: every file that was left out, of all sets."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ERROR_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(row.get(key)) for key in ERROR_COLUMNS})
    write_text(out / "errors.csv", text.getvalue(), private=True)


def _cell(value: object) -> str:
    return "" if value is None else safe_cell(value)


def _as_written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they come back from the file: without None, tuples as lists."""
    values: dict[str, Any] = json.loads(json.dumps(settings))
    return {key: value for key, value in values.items() if value is not None}


def _difference(previous: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    changed = [
        f"{key} was {previous.get(key)!r}, is {wanted.get(key)!r}"
        for key in sorted({*previous, *wanted})
        if previous.get(key) != wanted.get(key)
    ]
    return "; ".join(changed)
