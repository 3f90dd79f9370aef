"""The image set on disk: names of the files, the record that commits it, and opening.

::

    images/00000.npy ...   (n, C, H, W), C order, at most 4,096 images or about 256 MB each
    manifest.parquet       one row per image
    sources.parquet        one row per source file: size, time, SHA-256, what became of it
    left_out.csv           the files that gave no image, with the reason
    SHA256SUMS             of all the files above, as ``sha256sum --check`` reads it
    dataset.json           written last: without it there is no image set

While a set is being written there is also ``progress/``; see `writer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import hash_of_json
from likeness.datasets._store import Shard, ShardStore
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
PROGRESS: Final = "progress"
PLAN: Final = "plan.json"
"""In `PROGRESS`: what the unfinished set will hold."""
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
        If there is no finished image set.
    FormatVersionError
        If it has another format or version.
    DamagedSetError
        If its own checksum does not fit.
    """
    file = path / RECORD
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
    from likeness.datasets.manifest import read_image_table  # pyarrow: only when a set is opened

    record = read_record(path)
    for name, entry in record["files"].items():
        try:
            size = (path / name).stat().st_size
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
        _open_shard(path / shard_name(number), (rows, channels, height, width), dtype)
        for number, rows in enumerate(record["shard_rows"])
    ]
    table = read_image_table(path / MANIFEST)
    if len(table.image_ids) != sum(record["shard_rows"]):
        msg = f"The manifest of {str(path)!r} has another number of images than its shards."
        raise DamagedSetError(msg)
    store = ShardStore(shards, (channels, height, width), dtype)
    return Parts(store, table, tuple(record["channels"]), record)


def _open_shard(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Shard:
    try:
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            found_shape, fortran, found_dtype = np.lib.format.read_array_header_1_0(stream)
            offset = stream.tell()
            stream.seek(0, 2)
            size = stream.tell()
    except (OSError, ValueError) as error:
        msg = f"{str(path)!r} is not a readable shard: {error}. Prepare the set again."
        raise DamagedSetError(msg) from error
    expected = offset + int(np.prod(shape)) * dtype.itemsize
    if (found_shape, fortran, found_dtype, size) != (shape, False, dtype, expected):
        msg = (
            f"{str(path)!r} holds {found_shape} {found_dtype} in {size:,} bytes; the record says "
            f"{shape} {dtype} in {expected:,}. Prepare the set again."
        )
        raise DamagedSetError(msg)
    return Shard(path, shape[0], offset)


def _load(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise TypeError
    return content
