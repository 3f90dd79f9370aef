"""Derived rows that have no place beside their images: in memory or in temporary files."""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from likeness._files import hash_of_json
from likeness.datasets._npy import writing_rows
from likeness.datasets._rows import Rows, RowsInMemory, TemporaryFolder, TemporaryRows
from likeness.datasets._store import open_shard

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness._progress import Task
    from likeness.datasets._derived_files import Recipe
    from likeness.datasets._derived_inputs import Pixels
    from likeness.datasets._derived_request import Request

_Kept: TypeAlias = "tuple[dict[str, Rows], dict[str, NDArray[Any]]]"
_kept: weakref.WeakKeyDictionary[Any, dict[str, _Kept]] = weakref.WeakKeyDictionary()
_kept_lock = threading.Lock()


def unstored_rows(pixels: Pixels, full: dict[str, Any], request: Request) -> dict[str, Rows]:
    """Return the rows in memory or in a temporary folder, made once as long as the source lives."""
    shared = request.shared
    key = hash_of_json([request.name, full])
    kept = _kept_rows(pixels.source)
    if key in kept:
        made, arrays = kept[key]
        if shared is not None:
            shared.take(arrays)
        return made
    if shared is not None:
        shared.make(pixels.seen)
    recipe = request.recipe(full, pixels.seen.read(0, 1))
    size = len(pixels) * sum(kind.row_bytes for kind in recipe.fields.values())
    with request.progress.task(f"derive {recipe.name}", len(pixels)) as task:
        if size <= request.keep_in_memory_bytes:
            made = _into_memory(pixels, recipe, task)
        else:
            made = _into_temporary_files(pixels, recipe, request.work, task)
    kept[key] = made, {} if shared is None else shared.arrays
    return made


def _kept_rows(source: object) -> dict[str, _Kept]:
    try:
        with _kept_lock:
            return _kept.setdefault(source, {})
    except TypeError:  # it cannot be referred to weakly, or has no hash
        return {}


def _into_memory(pixels: Pixels, recipe: Recipe, task: Task) -> dict[str, Rows]:
    arrays = {
        field: np.empty((len(pixels), *kind.row_shape), kind.dtype)
        for field, kind in recipe.fields.items()
    }
    done = 0
    for _, seen in pixels.pieces(0, len(pixels), task):
        for field, rows in recipe.made(seen).items():
            arrays[field][done : done + len(seen)] = rows
        done += len(seen)
    return {field: RowsInMemory(rows) for field, rows in arrays.items()}


def _into_temporary_files(
    pixels: Pixels, recipe: Recipe, work: Path | None, task: Task
) -> dict[str, Rows]:
    folder = TemporaryFolder(work)
    paths = {field: folder.path / f"{field}.npy" for field in recipe.fields}
    with ExitStack() as stack:
        writers = {
            field: stack.enter_context(
                writing_rows(paths[field], (len(pixels), *kind.row_shape), kind.dtype)
            )
            for field, kind in recipe.fields.items()
        }
        for _, seen in pixels.pieces(0, len(pixels), task):
            for field, rows in recipe.made(seen).items():
                writers[field].write_rows(rows)
    made: dict[str, Rows] = {}
    for field, kind in recipe.fields.items():
        shard = open_shard(paths[field], (len(pixels), *kind.row_shape), kind.dtype)
        made[field] = TemporaryRows([shard], kind.row_shape, kind.dtype, folder)
    return made
