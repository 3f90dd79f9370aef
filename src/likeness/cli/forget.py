"""`likeness forget`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness.cli._console import say
from likeness.cli._options import Output
from likeness.datasets.forgetting import Forgotten
from likeness.datasets.forgetting import forget as forget_patients
from likeness.errors import ManifestError


def forget(
    path: Path,
    /,
    *,
    patient: tuple[str, ...] = (),
    patients_from: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Remove patients from an image set: their pixels, their rows, and what names them.

    Of their files the SHA-256 and the date of the removal stay, so that they are recognised and
    kept out if they are given again. A run that is interrupted is finished by the same command,
    with or without --patient; until then the set does not open.

    Parameters
    ----------
    path
        Folder that `likeness prepare` wrote.
    patient
        The patient's id; may be given several times.
    patients_from
        Text file with one id per line.
    dry_run
        Say what would go; write nothing.
    """
    names = list(patient)
    if patients_from is not None:
        names += _names_in(patients_from)
    done = forget_patients(path, names, dry_run=dry_run, progress=output.make_progress())
    if output.json:
        content = {
            "path": str(path),
            "dry_run": dry_run,
            "patients": len(done.patients),
            "images": done.num_images,
            "files": done.num_files,
            "shards": done.num_shards,
            "derived_files": done.num_derived,
            "linked": list(done.linked),
            "remaining_images": done.remaining_images,
        }
        say(json_module.dumps(content, indent=2, sort_keys=True))
    else:
        say(*_describe(done, path, dry_run=dry_run))
    return 0


def _names_in(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--patients-from {str(file)!r} cannot be read as UTF-8 text: {error}."
        raise ManifestError(msg) from error
    return [line.strip() for line in lines if line.strip()]


def _describe(done: Forgotten, path: Path, *, dry_run: bool) -> list[str]:
    verb, again, rows = (
        ("would go   ", "would be written again", "would be removed")
        if dry_run
        else ("removed    ", "written again", "removed")
    )
    lines = [
        f"{verb}{done.num_images} images of {len(done.patients)} patients, from {done.num_files} "
        "files or members of archives",
        f"shards     {done.num_shards} {again} without them; {done.num_derived} files of derived "
        f"rows {rows}",
        f"left       {done.remaining_images} images in {path}",
    ]
    lines += [f"warning    {name!r} has a second name (hard link): the pixels stay under that one"
              for name in done.linked]  # fmt: skip
    if dry_run:
        return [*lines, "nothing was written"]
    return [
        *lines,
        "not here   audits made with this set still name these people: delete them and their",
        "           work folders. Backups, snapshots, and copies of the set or of its sources",
        "           were not touched; a disk may keep old content where no program reaches it.",
        "next       delete the source files too, then run the audits again",
    ]
