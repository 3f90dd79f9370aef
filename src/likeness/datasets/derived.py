"""Rows derived from the images of a set (small versions, features, coefficients), made once.

For a prepared set they are stored with it, see `_derived_files`; a subset, or a source that says
with `derived_from` what it is a part of, reads through the rows of the whole. Where the set's
folder cannot be written they go below a work folder; for arrays, and where there is no other
place, into memory or a temporary folder. They are read with ordinary reads and belong to no
checksum of the set: adding, losing or removing them changes nothing but time.
"""

from __future__ import annotations

import json
import re
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from likeness._files import hash_of_json
from likeness._progress import SILENT, Progress, Task
from likeness.datasets._derived_files import (
    Recipe,
    SourceShard,
    describe_recipe,
    find_shard,
    folder_name,
    make_shard,
    sha256_once,
    shard_lock,
)
from likeness.datasets._npy import writing_rows
from likeness.datasets._rows import (
    Rows,
    RowsInMemory,
    SelectedRows,
    TemporaryFolder,
    TemporaryRows,
)
from likeness.datasets._shared_arrays import SharedArrays
from likeness.datasets._store import Shard, ShardStore, open_shard
from likeness.datasets.image_set import ImageSet
from likeness.datasets.layout import DERIVED, shard_name
from likeness.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from likeness.types import Images, Integers

Make: TypeAlias = "Callable[[Images], dict[str, NDArray[Any]]]"

__all__ = ["Rows", "SharedArrays", "Source", "Step", "derived_rows"]

_PIECE_VALUES: Final = 8 << 20
"""Pixels that `make` gets at once: 64 MB once they are float64."""
_WAIT_SECONDS: Final = 0.2
_READERS: Final = 2
"""Threads that compare checksums: hashing is about as fast as a disk."""

_checked: dict[Path, tuple[Any, str]] = {}
_Kept: TypeAlias = "tuple[dict[str, Rows], dict[str, NDArray[Any]]]"
_kept: weakref.WeakKeyDictionary[Any, dict[str, _Kept]] = weakref.WeakKeyDictionary()
_kept_lock = threading.Lock()


@dataclass(frozen=True)
class Step:
    """Rows that others are derived from."""

    name: str
    settings: dict[str, Any]
    make: Make
    field: str
    """Which of the fields that `make` gives."""


@dataclass(frozen=True)
class _Request:
    """What is wanted, see `derived_rows`."""

    name: str
    settings: dict[str, Any]
    make: Make
    through: Step | None
    shared: SharedArrays | None
    work: Path | None
    progress: Progress
    keep_in_memory_bytes: int

    def of_step(self, step: Step) -> _Request:
        """Return the request for the rows that these are derived from."""
        settings = step.name, step.settings, step.make, None, None
        return _Request(*settings, self.work, self.progress, self.keep_in_memory_bytes)

    def recipe(self, full: dict[str, Any], first: Images) -> Recipe:
        """Learn from one image what is made, once the shared arrays are known."""
        sha256 = "" if self.shared is None else self.shared.sha256
        return describe_recipe(self.name, full, self.make, first, sha256)


class Source(Protocol):
    """What rows can be derived from: `ImageSet`, or whatever the search takes.

    A source may also have ``derived_from() -> (source, rows)``: another source that it shows a part
    of, and which of its rows, (n,) in order, or None for all. Its pixels must be those rows,
    unchanged.
    """

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop` - 1, (n, C, H, W)."""


def derived_rows(
    images: Source,
    name: str,
    settings: dict[str, Any],
    make: Make,
    *,
    through: Step | None = None,
    shared: SharedArrays | None = None,
    work: Path | None = None,
    progress: Progress = SILENT,
    keep_in_memory_bytes: int = 256 << 20,
) -> dict[str, Rows]:
    """Return the rows that `make` gives for the images, made now or found where they were stored.

    Parameters
    ----------
    images
        A set, or any source of images.
    name
        Lower-case letters, digits, ``_`` and ``-``: what the rows are called on disk.
    settings
        JSON values: all that `make` depends on besides the pixels, with a number for its version.
        The channels, where they were selected, are added here.
    make
        Gets some images (n, C, H, W), with the channels of `images`, and returns arrays (n, ...) by
        field. A row must depend on its own image alone. Rows that are found may have been made by
        another machine: let nothing hang on the last bit of a floating-point sum in them.
    through
        Derived rows that `make` gets instead of images.
    shared
        Arrays on which all rows depend. They are found or made, from all that `make` gets, before
        `make` is called.
    work
        Folder for rows that cannot be stored with the set.
    keep_in_memory_bytes
        Up to this size rows that are stored nowhere are kept in memory, otherwise in a temporary
        folder (in `work`, where there is one) that is removed with them.

    Returns
    -------
    dict
        One `Rows` per field, of the length of `images`.

    Raises
    ------
    DamagedSetError
        If the pixels do not fit the checksum in the record of their set.
    OutputError
        If the disk is full.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        msg = f"name is {name!r}; expected lower-case letters, digits, '_' and '-'"
        raise ValueError(msg)
    whole, rows = _whole(images)
    request = _Request(name, settings, make, through, shared, work, progress, keep_in_memory_bytes)
    found = _of_all(whole, request)
    if rows is None:
        return found
    return {field: SelectedRows(all_rows, rows) for field, all_rows in found.items()}


def _of_all(whole: Any, request: _Request) -> dict[str, Rows]:  # noqa: ANN401
    """Return the rows of all images of a source that is no part of another one."""
    channels = whole.stored.channel_rows if isinstance(whole, ImageSet) else None
    if isinstance(whole, ImageSet) and channels == tuple(range(whole.stored.store.image_shape[0])):
        channels = None
    full = {"settings": request.settings, "channels": None if channels is None else list(channels)}
    before = None
    if request.through is not None:
        step = request.through
        full["through"] = {"name": step.name, "settings": step.settings}
        before = _of_all(whole, request.of_step(step))[step.field]
    pixels = _Pixels(whole, channels, before)
    found = _stored(pixels, full, request)
    return _unstored(pixels, full, request) if found is None else found


class _Pixels:
    """All images of a source, and what the recipe gets: some of their channels, or other rows."""

    def __init__(
        self,
        whole: Any,  # noqa: ANN401
        channels: tuple[int, ...] | None,
        before: Rows | None,
    ) -> None:
        self.whole = whole
        self.source = whole.stored.store if isinstance(whole, ImageSet) else whole
        self._channels, self.before = channels, before
        shape = self.source.image_shape if before is None else before.row_shape
        self._piece = max(1, _PIECE_VALUES // int(np.prod(shape)))

    def __len__(self) -> int:
        return len(self.source)

    def pieces(self, start: int, stop: int, task: Task) -> Iterator[tuple[Images | None, Images]]:
        """Yield the images as they are stored, and as the recipe gets them.

        None for the first where it gets other rows.
        """
        for first in range(start, stop, self._piece):
            last = min(first + self._piece, stop)
            if self.before is not None:
                yield None, self.before.read(first, last)
            else:
                stored = self.source.read(first, last)
                yield stored, self.chosen(stored)
            task.advance(last - first)

    @property
    def seen(self) -> Rows:
        """What the recipe gets of all images."""
        return _AsSeen(self) if self.before is None else self.before

    def chosen(self, stored: Images) -> Images:
        """Return the channels that the recipe gets."""
        if self._channels is None:
            return stored
        return np.ascontiguousarray(stored[:, list(self._channels)])


class _AsSeen:
    """The images of a source with the channels that the recipe gets, as rows."""

    def __init__(self, pixels: _Pixels) -> None:
        self._pixels = pixels
        first = self.read(0, 1)
        self.row_shape, self.dtype = first.shape[1:], first.dtype

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop` - 1."""
        return self._pixels.chosen(self._pixels.source.read(start, stop))

    def take(self, rows: Integers) -> Images:
        """Return these images in this order."""
        return np.concatenate([self.read(row, row + 1) for row in np.asarray(rows).tolist()])


def _whole(source: Any) -> tuple[Any, Integers | None]:  # noqa: ANN401
    """Return what the source is a part of, in the end, and which of its rows."""
    rows: Integers | None = None
    while True:
        if isinstance(source, ImageSet):
            inner = source.stored.rows
        else:
            hook = getattr(source, "derived_from", None)
            if hook is None:
                return source, rows
            parent, inner = hook()
        if inner is not None:
            rows = inner if rows is None else inner[rows]
        if isinstance(source, ImageSet):
            return source, rows
        source = parent


def _stored(pixels: _Pixels, full: dict[str, Any], request: _Request) -> dict[str, Rows] | None:
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
    pixels: _Pixels,
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


def _unstored(pixels: _Pixels, full: dict[str, Any], request: _Request) -> dict[str, Rows]:
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


def _into_memory(pixels: _Pixels, recipe: Recipe, task: Task) -> dict[str, Rows]:
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
    pixels: _Pixels, recipe: Recipe, work: Path | None, task: Task
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
