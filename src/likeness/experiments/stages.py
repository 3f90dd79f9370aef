"""Stages: pieces of work that are skipped when nothing that they depend on has changed.

A stage's key is the hash of its settings, of the versions of the libraries that compute it, and of
the digests of what it needs. Its folder carries the key in its name, so that nothing is ever
overwritten by a run with other settings. Its record is written last, at once: after a kill the
stage is taken up again in the same folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

from likeness._files import folder_lock, hash_of_json, make_folder, write_json
from likeness._progress import SILENT, Progress
from likeness._versions import package_version
from likeness.errors import InputError, OptionError

_RECORDS: Final = "stages"
_KEY_DIGITS: Final = 10


@dataclass(frozen=True)
class Task:
    """What the work of a stage is given."""

    folder: Path
    """Of the stage; exists, and holds what an interrupted run has left."""
    needed: Mapping[str, Path]
    """Folders of the stages that it needs, by name."""
    progress: Progress
    device: str


@dataclass(frozen=True)
class Stage:
    """A piece of work."""

    name: str
    """``kind/what``, for example ``train/cxr-1300-ddpm-medium-0``."""
    settings: Mapping[str, Any]
    """JSON values: everything besides `needs` and `libraries` that changes the result."""
    work: Callable[[Task], str]
    """Does it, and returns the digest of what it made."""
    needs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    """Distributions whose versions change the result."""


@dataclass(frozen=True)
class Status:
    """What is known of a stage."""

    stage: Stage
    state: Literal["done", "to do"]
    folder: Path | None
    """None as long as what it needs is not there."""
    digest: str | None
    seconds: float | None
    """That it took, if done."""


class Interrupted(Exception):  # noqa: N818 - no error
    """Raised by the work of a stage that was asked to stop and has saved what it did."""


def choose(stages: Sequence[Stage], patterns: Iterable[str]) -> list[Stage]:
    """Return the stages whose names match, and all that they need, in order.

    Raises
    ------
    OptionError
        If a pattern matches nothing.
    """
    by_name = {stage.name: stage for stage in stages}
    wanted: set[str] = set()
    for pattern in patterns:
        found = [
            name for name in by_name if fnmatchcase(name, pattern) or name.startswith(f"{pattern}/")
        ]
        if not found:
            kinds = sorted({name.partition("/")[0] for name in by_name})
            msg = f"No stage is called {pattern!r}. Kinds of stages: {', '.join(kinds)}."
            raise OptionError(msg)
        wanted.update(found)
    missing = list(wanted)
    while missing:
        for need in by_name[missing.pop()].needs:
            if need not in wanted:
                wanted.add(need)
                missing.append(need)
    return [stage for stage in stages if stage.name in wanted]


def status(stages: Sequence[Stage], out: Path) -> list[Status]:
    """Say of each stage, in the order of the work, whether it is done."""
    digests: dict[str, str] = {}
    known = []
    for stage in stages:
        folder, digest, seconds = None, None, None
        if all(name in digests for name in stage.needs):
            key = _key(stage, digests)
            folder = _folder(out, stage, key)
            record = _record(out, stage)
            if record.get("key") == key and folder.is_dir():
                digest, seconds = record["digest"], record["seconds"]
                digests[stage.name] = digest
        known.append(Status(stage, "to do" if digest is None else "done", folder, digest, seconds))
    return known


def run_stages(
    stages: Sequence[Stage],
    out: Path,
    *,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> list[Status]:
    """Do what is not done, in order, and return the status of all.

    Raises
    ------
    LockedError
        If another run is at work on one of the stages.
    Interrupted
        If a stage was asked to stop.
    """
    make_folder(out)
    folders: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for number, stage in enumerate(stages, start=1):
        key = _key(stage, digests)
        folder = _folder(out, stage, key)
        make_folder(folder.parent)
        locks = out / _RECORDS / "locks" / folder.name
        make_folder(locks)
        with folder_lock(locks):
            record = _record(out, stage)
            if record.get("key") != key or not folder.is_dir():
                progress.say(f"[{number}/{len(stages)}] {stage.name}")
                make_folder(folder)
                began = time.monotonic()
                needed = {name: folders[name] for name in stage.needs}
                digest = stage.work(Task(folder, needed, progress, device))
                record = {
                    "stage": stage.name,
                    "key": key,
                    "digest": digest,
                    "folder": str(folder.relative_to(out)),
                    "seconds": round(time.monotonic() - began, 3),
                    "settings": dict(stage.settings),
                    "needs": {name: digests[name] for name in stage.needs},
                    "versions": _versions(stage),
                }
                path = _record_path(out, stage)
                make_folder(path.parent)
                write_json(path, record)
        folders[stage.name], digests[stage.name] = folder, record["digest"]
    return status(stages, out)


def _key(stage: Stage, digests: Mapping[str, str]) -> str:
    return hash_of_json(
        {
            "name": stage.name,
            "settings": dict(stage.settings),
            "needs": {name: digests[name] for name in stage.needs},
            "versions": _versions(stage),
        }
    )


def _versions(stage: Stage) -> dict[str, str]:
    return {name: package_version(name) for name in stage.libraries}


def _folder(out: Path, stage: Stage, key: str) -> Path:
    return out / f"{stage.name}-{key[:_KEY_DIGITS]}"


def _record_path(out: Path, stage: Stage) -> Path:
    return out / _RECORDS / f"{stage.name}.json"


def _record(out: Path, stage: Stage) -> dict[str, Any]:
    path = _record_path(out, stage)
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        msg = f"{str(path)!r} is no JSON file: {error}. Remove it to do the stage again."
        raise InputError(msg) from error
    return found if isinstance(found, dict) else {}
