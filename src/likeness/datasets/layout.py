"""The image set on disk: names of the files, the record that commits it, and opening.

::

    images/00000.npy ...   (n, C, H, W), C order, at most 4,096 images or about 256 MB each
    manifest.parquet       one row per image
    sources.parquet        one row per source file: size, time, SHA-256, what became of it
    left_out.csv           the files that gave no image, with the reason
    SHA256SUMS             of all the files above, as ``sha256sum --check`` reads it
    dataset.json           written last: without it there is no image set

While a set is being written there is also ``progress/``, see `writer`; while it is being changed
``next/``, see `changes`; and once something was derived from its images ``derived/``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import hash_of_json
from likeness.datasets._store import ShardStore, open_shard
from likeness.errors import DamagedSetError, FormatVersionError, InputError

if TYPE_CHECKING:
    from likeness.datasets._table import ImageTable

FORMAT_NAME: Final = "likeness image set"
FORMAT_VERSION: Final = 1

RECORD: Final = "dataset.json"
MANIFEST: Final = "manifest.parquet"
SOURCES: Final = "sources.parquet"
LEFT_OUT: Final = "left_out.csv"
CHECKSUMS: Final = "SHA256SUMS"
IMAGES: Final = "images"
BASELINES: Final = "baselines"
"""Comparisons of real images that audits keep with a set; dropped when the set changes."""
DERIVED: Final = "derived"
"""Rows derived from the images; see `derived`. Not in the record: they can be made again."""
NEXT: Final = "next"
"""The files that an addition or a removal replaces. They count once its `RECORD` is there."""
ERASURE: Final = "erasure.json"
"""In `NEXT`, where patients are removed: what has to be erased before the set opens again."""
PROGRESS: Final = "progress"
PLAN: Final = "plan.json"
"""In `PROGRESS`: what the unfinished set will hold."""
HEADERS: Final = "headers.json"
"""In `PROGRESS`: what the headers of the source files said, so that they are read once."""
REFUSED: Final = "refused.txt"
"""In `PROGRESS`: why the run stopped, where the images were the reason."""
SPLIT_RECORD: Final = "split.json"
"""In the folder above the sets of a split."""
LOCK: Final = ".lock"

TABLES: Final = (LEFT_OUT, MANIFEST, SOURCES)
"""The files beside the shards that `CHECKSUMS` covers."""

MAX_SHARD_IMAGES: Final = 4096
MAX_SHARD_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Parts:
    """What `ImageSet.open` puts together."""

    store: ShardStore
    table: ImageTable
    channels: tuple[str, ...]
    record: dict[str, Any]


def shard_name(number: int) -> str:
    """Return the name of a shard relative to the set."""
    return f"{IMAGES}/{number:05d}.npy"


def shard_capacity(image_bytes: int) -> int:
    """Return how many images of this size go into one shard."""
    return max(1, min(MAX_SHARD_IMAGES, MAX_SHARD_BYTES // image_bytes))


def is_image_set(path: Path) -> bool:
    """Whether a finished image set lies in this folder (its files are not looked at)."""
    try:
        return bool(_load(path / RECORD)["format_name"] == FORMAT_NAME)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def is_begun(path: Path) -> bool:
    """Whether an unfinished image set lies in this folder."""
    return (path / PROGRESS / PLAN).is_file() and not (path / RECORD).exists()


def place(path: Path, name: str) -> Path:
    """Return where a file of the set lies at the moment: in `NEXT` if a change was just made.

    A change takes effect with the record in `NEXT`; moving the files from there is mere tidying,
    which whoever writes next does, so that reading needs no right to write.
    """
    waiting = path / NEXT
    if (waiting / RECORD).is_file() and (waiting / name).is_file():
        return waiting / name
    return path / name


def is_being_erased(path: Path) -> bool:
    """Whether a removal of patients has been decided on but not carried out to the end."""
    waiting = path / NEXT
    return (waiting / RECORD).is_file() and (waiting / ERASURE).is_file()


def record_bytes(record: dict[str, Any]) -> bytes:
    """Return the exact bytes of ``dataset.json`` for a record."""
    text = json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n"
    return text.encode()


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with the checksum of itself."""
    content = {key: value for key, value in record.items() if key != "checksum"}
    return {**content, "checksum": hash_of_json(content)}


def read_record(path: Path) -> dict[str, Any]:
    """Read and check ``dataset.json`` of the set in the folder `path`.

    Raises
    ------
    InputError
        If there is no finished image set, or a removal of patients from it was interrupted.
    FormatVersionError
        If it has another format or version.
    DamagedSetError
        If its own checksum does not fit.
    """
    if is_being_erased(path):
        msg = (
            f"A removal of patients from {str(path)!r} was interrupted. Run `likeness forget "
            f"{path!s}` to finish it; until then the set does not open."
        )
        raise InputError(msg)
    file = place(path, RECORD)
    if not file.is_file():
        if (path / PROGRESS).is_dir():
            msg = (
                f"The image set in {str(path)!r} is not finished. Run the command that was making "
                "it once more: it goes on where it stopped."
            )
        elif (path / SPLIT_RECORD).is_file():
            msg = (
                f"{str(path)!r} holds several image sets. Name one of them, for example "
                f"{str(path / 'train')!r}."
            )
        else:
            msg = f"There is no image set in {str(path)!r}: {RECORD!r} is missing."
        raise InputError(msg)
    try:
        record = _load(file)
        found = (record["format_name"], record["format_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{str(file)!r} is damaged or not the record of an image set. Prepare the set again."
        raise DamagedSetError(msg) from error
    if found != (FORMAT_NAME, FORMAT_VERSION):
        msg = (
            f"{str(file)!r} has format {found[0]!r} version {found[1]}; this Likeness reads "
            f"{FORMAT_NAME!r} version {FORMAT_VERSION}. Prepare the set again, or use the version "
            "of Likeness that wrote it."
        )
        raise FormatVersionError(msg)
    if sealed(record) != record:
        msg = f"{str(file)!r} was changed: its checksum does not fit. Prepare the set again."
        raise DamagedSetError(msg)
    return record


def open_parts(path: Path) -> Parts:
    """Open an image set, checking the size of every file but the content of none.

    Raises
    ------
    InputError
        As `read_record`, and `DamagedSetError` where a file is missing or has the wrong size.
    """
    # Another process may be moving the files of a change to their places at this very moment.
    moving = place(path, RECORD) != path / RECORD
    try:
        return _opened(path)
    except DamagedSetError:
        if not moving:
            raise
        return _opened(path)


def _opened(path: Path) -> Parts:
    from likeness.datasets.manifest import read_image_table  # pyarrow: only when a set is opened

    record = read_record(path)
    for name, entry in record["files"].items():
        try:
            size = place(path, name).stat().st_size
        except OSError as error:
            msg = f"{str(path / name)!r} is missing from the image set. Prepare the set again."
            raise DamagedSetError(msg) from error
        if size != entry["bytes"]:
            msg = (
                f"{str(path / name)!r} has {size:,} bytes; the record says {entry['bytes']:,}. "
                "Prepare the set again."
            )
            raise DamagedSetError(msg)
    channels, height, width = record["image_shape"]
    dtype = np.dtype(record["dtype"])
    shards = [
        open_shard(place(path, shard_name(number)), (rows, channels, height, width), dtype)
        for number, rows in enumerate(record["shard_rows"])
    ]
    table = read_image_table(place(path, MANIFEST))
    if len(table.image_ids) != sum(record["shard_rows"]):
        msg = f"The manifest of {str(path)!r} has another number of images than its shards."
        raise DamagedSetError(msg)
    store = ShardStore(shards, (channels, height, width), dtype)
    return Parts(store, table, tuple(record["channels"]), record)


def _load(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise TypeError
    return content
