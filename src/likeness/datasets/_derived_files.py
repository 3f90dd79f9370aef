"""The files of rows derived from the images of a set: one NPY file per shard and field.

::

    derived/coarse-1f0c93aa/levels-00000.npy   the field "levels" of the images of shard 0
    derived/coarse-1f0c93aa/00000.json         written last: what the files of shard 0 were made of
    derived/coarse-1f0c93aa/settled.npz        what all rows depend on, see `_shared_arrays`

The JSON file names the SHA-256 of the shard, the settings, and size and SHA-256 of the files beside
it. Rows are used only where all of that fits, so a shard that was rewritten, files of other
settings and files that were damaged are made anew, and a kill loses one shard at most.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import (
    PRIVATE_MODE,
    hash_of_json,
    make_folder,
    sha256_of_file,
    try_lock,
    write_json,
    writing_to,
)
from likeness.datasets._npy import bytes_of, writing_rows
from likeness.datasets._store import Shard, open_shard, stamp_of
from likeness.datasets.layout import sealed
from likeness.errors import DamagedSetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.types import Images

FORMAT_NAME: Final = "likeness derived rows"
FORMAT_VERSION: Final = 1
SHARED: Final = "shared.npz"
SETTLED: Final = "settled.npz"
"""Arrays shared by all rows that tell nothing about any image, so that they outlast it."""


@dataclass(frozen=True)
class Field:
    """Shape and number type of one field."""

    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.row_shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class Recipe:
    """What is derived, and how."""

    name: str
    settings: dict[str, Any]
    """JSON values that tell this recipe from others of the same name."""
    make: Callable[[Images], dict[str, NDArray[Any]]]
    fields: dict[str, Field]
    shared_sha256: str = ""
    """Of the arrays that all rows depend on, where there are such."""

    @property
    def folder_name(self) -> str:
        """Name of the folder of its files."""
        return folder_name(self.name, self.settings)

    def made(self, images: Images) -> dict[str, NDArray[Any]]:
        """Return the fields of some images.

        Raises
        ------
        ValueError
            If the recipe does not give what it gave for the first image.
        """
        found = self.make(images)
        shapes = {name: Field(tuple(rows.shape[1:]), rows.dtype) for name, rows in found.items()}
        if shapes != self.fields or any(len(rows) != len(images) for rows in found.values()):
            msg = f"{self.name}: made {shapes} of {len(images)} images; expected {self.fields}"
            raise ValueError(msg)
        return found


@dataclass(frozen=True)
class SourceShard:
    """One shard of images that rows are derived from."""

    number: int
    name: str
    """Relative to the set."""
    sha256: str
    num_rows: int
    through_sha256: str = ""
    """Of the file of rows between, where rows are derived from derived rows. These may have come
    out otherwise on another machine, and then what was derived from them fits no more."""


def folder_name(name: str, settings: dict[str, Any]) -> str:
    """Return the name of the folder of the rows of a recipe."""
    return f"{name}-{hash_of_json(settings)[:8]}"


def describe_recipe(
    name: str,
    settings: dict[str, Any],
    make: Callable[[Images], dict[str, NDArray[Any]]],
    first: Images,
    shared_sha256: str = "",
) -> Recipe:
    """Learn from one image which fields a recipe gives."""
    fields = {
        field: Field(tuple(rows.shape[1:]), rows.dtype) for field, rows in make(first).items()
    }
    return Recipe(name, json.loads(json.dumps(settings)), make, fields, shared_sha256)


def find_shard(
    folder: Path, recipe: Recipe, source: SourceShard, *, checked: dict[Path, tuple[Any, str]]
) -> dict[str, Shard] | None:
    """Return the files of one shard by field, or None where they must be made.

    Parameters
    ----------
    checked
        Files whose SHA-256 this process knows, with their stamps; more are added.
    """
    try:
        content = json.loads((folder / f"{source.number:05d}.json").read_bytes())
        if sealed(content) != content or _about(recipe, source) != {
            key: value for key, value in content.items() if key not in ("files", "checksum")
        }:
            return None
        shards = {}
        for field, entry in content["files"].items():
            path = folder / file_name(field, source.number)
            if sha256_once(path, checked) != entry["sha256"]:
                return None
            kind = recipe.fields[field]
            shards[field] = open_shard(path, (source.num_rows, *kind.row_shape), kind.dtype)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedSetError):
        return None
    return shards if shards.keys() == recipe.fields.keys() else None


def make_shard(
    folder: Path,
    recipe: Recipe,
    source: SourceShard,
    shard: Shard,
    pieces: Iterable[tuple[Images | None, Images]],
) -> None:
    """Write the files of one shard; the caller holds its lock.

    Parameters
    ----------
    shard
        The shard of images.
    pieces
        Its images in pieces, as they are stored and as the recipe gets them; None for the first
        where the recipe gets other rows, which have been checked.

    Raises
    ------
    DamagedSetError
        If the images are not those that the record of the set has the checksum of.
    OutputError
        If it cannot be written.
    """
    record = folder / f"{source.number:05d}.json"
    with writing_to(record):
        record.unlink(missing_ok=True)
    with shard.path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(shard.offset))
    was_read = True
    with ExitStack() as stack:
        writers = {
            field: stack.enter_context(
                writing_rows(
                    folder / file_name(field, source.number),
                    (source.num_rows, *kind.row_shape),
                    kind.dtype,
                )
            )
            for field, kind in recipe.fields.items()
        }
        for stored, seen in pieces:
            if stored is None:
                was_read = False
            else:
                digest.update(bytes_of(stored))
            for field, rows in recipe.made(seen).items():
                writers[field].write_rows(rows)
        if was_read and digest.hexdigest() != source.sha256:
            msg = (
                f"{source.name!r} was changed: its checksum does not fit. Run likeness verify on "
                "the image set, and prepare it again."
            )
            raise DamagedSetError(msg)
    files = {
        field: {"file": file_name(field, source.number), "sha256": writer.sha256}
        for field, writer in writers.items()
    }
    if stamp_of(shard.path.stat()) != shard.stamp:  # images were removed from it meanwhile
        for field in recipe.fields:
            (folder / file_name(field, source.number)).unlink()
        msg = f"{str(shard.path)!r} was changed since the image set was opened. Open it again."
        raise DamagedSetError(msg)
    write_json(record, sealed({**_about(recipe, source), "files": files}), private=True)


@contextmanager
def shard_lock(folder: Path, number: int) -> Iterator[bool]:
    """Hold one shard of derived rows; gives False, at once, where another process holds it.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    with named_lock(folder, f"{number:05d}") as ours:
        yield ours


@contextmanager
def named_lock(folder: Path, name: str) -> Iterator[bool]:
    """Hold the lock of that name; gives False, at once, where another process holds it.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    make_folder(folder, private=True)
    path = folder / f".{name}.lock"
    with writing_to(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
    with os.fdopen(descriptor, "r+"):
        yield try_lock(descriptor)


def file_name(field: str, number: int) -> str:
    """Return the name of the file of one field and shard."""
    return f"{field}-{number:05d}.npy"


def sha256_once(path: Path, checked: dict[Path, tuple[Any, str]]) -> str:
    """Return the SHA-256 of a file, read again only if it has changed since it was asked for."""
    stamp = stamp_of(path.stat())
    known = checked.get(path)
    if known is None or known[0] != stamp:
        known = checked[path] = stamp, sha256_of_file(path)
    return known[1]


def _about(recipe: Recipe, source: SourceShard) -> dict[str, Any]:
    return {
        "format_name": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "name": recipe.name,
        "settings": recipe.settings,
        "made_of": source.name,
        "made_of_sha256": source.sha256,
        "num_rows": source.num_rows,
        **({"through_sha256": source.through_sha256} if source.through_sha256 else {}),
        **({"shared_sha256": recipe.shared_sha256} if recipe.shared_sha256 else {}),
        "fields": {
            field: {"dtype": kind.dtype.str, "row_shape": list(kind.row_shape)}
            for field, kind in recipe.fields.items()
        },
    }
