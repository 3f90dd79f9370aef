"""Derived rows in files that stay: found where they fit, made where they are missing."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import hash_of_json
from likeness.datasets._derived_files import (
    Recipe,
    SourceShard,
    find_shard,
    folder_name,
    make_shard,
    sha256_once,
    shard_lock,
)
from likeness.datasets._store import Shard, ShardStore
from likeness.datasets.layout import DERIVED, shard_name
from likeness.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Task
    from likeness.datasets._derived_inputs import Pixels
    from likeness.datasets._derived_request import Request
    from likeness.datasets._rows import Rows
    from likeness.datasets._shared_arrays import SharedArrays

_WAIT_SECONDS: Final = 0.2
_READERS: Final = 2
"""Threads that compare checksums: hashing is about as fast as a disk."""

_checked: dict[Path, tuple[Any, str]] = {}


def stored_rows(pixels: Pixels, full: dict[str, Any], request: Request) -> dict[str, Rows] | None:
    """Return the rows from files that stay, or None where there is no place for such files."""
    store, work = pixels.source, request.work
    if not isinstance(store, ShardStore) or pixels.whole.path is None:
        return None
    if pixels.before is not None and not isinstance(pixels.before, ShardStore):
        return None
    own = folder_name(request.name, json.loads(json.dumps(full)))
    folders = [pixels.whole.path / DERIVED / own]
    if work is not None:
        place = hash_of_json(str(pixels.whole.path.resolve()))[:8]
        folders.append(work / DERIVED / f"{own}-{place}")
    if request.shared is not None:
        folders = _settled(request.shared, folders, pixels.seen)
        if not folders:
            return None
    recipe = request.recipe(full, pixels.seen.read(0, 1))
    files = pixels.whole.record["files"]
    between = iter(() if pixels.before is None else pixels.before.shards)
    sources = [
        SourceShard(
            number,
            shard_name(number),
            files[shard_name(number)]["sha256"],
            shard.num_rows,
            sha256_once(next(between).path, _checked)
            if pixels.before is not None and shard.num_rows
            else "",
        )
        for number, shard in enumerate(store.shards)
    ]
    with ThreadPoolExecutor(_READERS) as pool:  # whose checksums take some time
        looked = pool.map(lambda source: _find(folders, recipe, source), sources)
        found = {
            source.number: shards
            for source, shards in zip(sources, looked, strict=True)
            if shards is not None
        }
    missing = [source for source in sources if source.num_rows and source.number not in found]
    if missing:
        folder = _writable(folders, missing[0])
        if folder is None:
            return None
        with request.progress.task(
            f"derive {recipe.name}", sum(source.num_rows for source in missing)
        ) as task:
            found |= _make_missing(folder, pixels, store, recipe, missing, task)
    ordered = [found[source.number] for source in sources if source.num_rows]
    return {
        field: ShardStore([shards[field] for shards in ordered], kind.row_shape, kind.dtype)
        for field, kind in recipe.fields.items()
    }


def _settled(shared: SharedArrays, folders: list[Path], rows: Rows) -> list[Path]:
    """Find or make the shared arrays; returns the only folder where rows fit them, or nothing."""
    for folder in folders:
        if shared.find(folder):
            return [folder]
    for folder in folders:
        try:
            shared.find_or_make(folder, rows)
        except (OSError, OutputError):
            continue
        return [folder]
    return []


def _find(folders: list[Path], recipe: Recipe, source: SourceShard) -> dict[str, Shard] | None:
    for folder in folders:
        shards = find_shard(folder, recipe, source, checked=_checked)
        if shards is not None:
            return shards
    return None


def _writable(folders: list[Path], source: SourceShard) -> Path | None:
    for folder in folders:
        try:
            with shard_lock(folder, source.number):
                return folder
        except (OSError, OutputError):
            continue
    return None


def _make_missing(
    folder: Path,
    pixels: Pixels,
    store: ShardStore,
    recipe: Recipe,
    missing: list[SourceShard],
    task: Task,
) -> dict[int, dict[str, Shard]]:
    """Make what is missing; what another process is making at the moment is waited for."""
    starts = np.cumsum([0, *(shard.num_rows for shard in store.shards)]).tolist()
    done: dict[int, dict[str, Shard]] = {}
    while waiting := [source for source in missing if source.number not in done]:
        before = len(done)
        for source in waiting:
            with shard_lock(folder, source.number) as ours:
                if not ours:
                    continue
                found = find_shard(folder, recipe, source, checked=_checked)
                if found is not None:  # another process was quicker
                    task.advance(source.num_rows)
                else:
                    start = starts[source.number]
                    pieces = pixels.pieces(start, start + source.num_rows, task)
                    make_shard(folder, recipe, source, store.shards[source.number], pieces)
                    found = find_shard(folder, recipe, source, checked=_checked)
                if found is None:
                    msg = f"{str(folder)!r} does not keep what is written to it; check the disk."
                    raise OutputError(msg)
                done[source.number] = found
        if len(done) == before:
            time.sleep(_WAIT_SECONDS)
    return done
