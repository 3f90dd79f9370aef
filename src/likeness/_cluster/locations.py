"""Image sets by where they lie: plain data in, images out, on any machine.

A place is a folder that all machines see under the same name, or an fsspec URL of one
(``s3://bucket/train``). A set in a place may be opened in part: where a shard is damaged or gone,
the others can still be read, and only who touches that shard gets the error.
"""

from __future__ import annotations

import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from likeness.datasets import ImageSet
from likeness.datasets._store import ShardStore, open_shard
from likeness.datasets.layout import MANIFEST, RECORD, read_record, shard_name
from likeness.errors import ClusterError, DamagedSetError, InputError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.types import Images, Integers

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*)://?(?=[^/]|/)", re.IGNORECASE)


class Pixels(Protocol):
    """Images that can be read: a whole set, or what can be read of a damaged one."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names."""

    @property
    def record(self) -> dict[str, Any]:
        """What ``dataset.json`` says."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop`."""

    def take(self, indices: Integers) -> Images:
        """Return images in this order."""


def folder_of(location: Path | str) -> Path | None:
    """Return the folder of a path or a ``file://`` URL; None for any other URL."""
    text = str(location)
    if text.lower().startswith("file:/"):
        rest = text[len("file:") :]
        if rest.startswith("//"):
            host, _, path = rest[2:].partition("/")
            if host not in {"", "localhost"}:
                msg = f"{text!r} names another machine ({host!r}); expected file:///path."
                raise InputError(msg)
            rest = f"/{path}"
        return Path(rest)
    return None if is_url(location) else Path(text)


def is_url(location: Path | str) -> bool:
    """Whether this is a URL. A `Path` made of one has lost a slash and counts all the same."""
    return bool(_URL.match(str(location))) and not Path(location).exists()


def open_set(location: Path | str) -> ImageSet:
    """Open a prepared set in a folder or at a URL.

    Parameters
    ----------
    location
        A path, ``file:///path``, or a URL that fsspec knows, for example ``s3://bucket/train``.

    Raises
    ------
    MissingExtraError
        If a URL needs a package that is not installed.
    InputError, FormatVersionError, DamagedSetError
        As `ImageSet.open`.
    """
    folder = folder_of(location)
    return ImageSet.open(folder) if folder is not None else _open_url(str(location))


def location_of(images: ImageSet) -> str | None:
    """Return where a set lies, or None for arrays in memory."""
    store = images.stored.store
    if isinstance(store, UrlStore):
        return store.location
    return None if images.path is None else str(images.path.resolve())


@lru_cache(maxsize=8)
def open_place(location: str, checksum: str) -> Pixels:
    """Open the set that another process has described; kept for the tasks to come.

    Parameters
    ----------
    checksum
        That of its record, so that a set made anew in the same place is not taken for the old one.

    Raises
    ------
    ClusterError
        If there is no set here, or another one.
    """
    folder = folder_of(location)
    try:
        if folder is None:
            images = open_set(location)
            record = images.record
        else:
            record = read_record(folder)
    except InputError as error:
        msg = f"The image set {location!r} cannot be opened: {error}"
        raise ClusterError(msg) from error
    if record.get("checksum") != checksum:
        msg = (
            f"{location!r} holds another image set than where the work was planned. All machines "
            "must see the same folders under the same names."
        )
        raise ClusterError(msg)
    if folder is None:
        return images
    try:
        return ImageSet.open(folder)
    except DamagedSetError:
        return _Readable(folder, record)


class _Readable:
    """A set of which files may be damaged or gone."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self._folder, self.record = folder, record
        channels, height, width = record["image_shape"]
        self.image_shape = (int(channels), int(height), int(width))
        self.dtype = np.dtype(record["dtype"])
        self.channels = tuple(record["channels"])
        self._edges = np.cumsum([0, *record["shard_rows"]])

    def __len__(self) -> int:
        return int(self._edges[-1])

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop`, opening the shards that hold them."""
        return self.take(np.arange(start, stop))

    def take(self, indices: Integers) -> Images:
        """Return images in this order.

        Raises
        ------
        DamagedSetError
            If one of their shards is damaged.
        """
        images = np.empty((len(indices), *self.image_shape), self.dtype)
        numbers = np.searchsorted(self._edges, indices, side="right") - 1
        for number in np.unique(numbers):
            here = numbers == number
            images[here] = self._shard(int(number)).take(indices[here] - self._edges[number])
        return images

    def _shard(self, number: int) -> ShardStore:
        rows = int(self._edges[number + 1] - self._edges[number])
        path = self._folder / shard_name(number)
        shard = open_shard(path, (rows, *self.image_shape), self.dtype)
        return ShardStore([shard], self.image_shape, self.dtype)


class UrlStore:
    """Shards behind a URL, read by ranges of bytes."""

    def __init__(self, location: str, record: dict[str, Any]) -> None:
        self.location = location
        channels, height, width = record["image_shape"]
        self._shape = (int(channels), int(height), int(width))
        self.dtype = np.dtype(record["dtype"])
        self._edges = np.cumsum([0, *record["shard_rows"]])
        self._sizes = {name: int(entry["bytes"]) for name, entry in record["files"].items()}
        self._image_bytes = int(np.prod(self._shape)) * self.dtype.itemsize
        self._system, self._root = _file_system(location)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        return self._shape

    def __len__(self) -> int:
        return int(self._edges[-1])

    def read(self, start: int, stop: int) -> Images:
        """Return the rows start to stop - 1.

        Raises
        ------
        DamagedSetError
            If a shard cannot be read or has another size than the record says.
        """
        images = np.empty((stop - start, *self._shape), self.dtype)
        self.read_into(start, stop, images)
        return images

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read the rows start to stop - 1 into `out`; errors as `read`."""
        done = 0
        while done < stop - start:
            number = int(np.searchsorted(self._edges, start + done, side="right")) - 1
            first = start + done - int(self._edges[number])
            rows = int(self._edges[number + 1] - self._edges[number])
            count = min(rows - first, stop - start - done)
            self._read_run(number, rows, first, out[done : done + count])
            done += count

    def read_ahead(self, start: int, stop: int) -> None:
        """Do nothing: a store behind an address is read when it is asked."""

    def take(self, rows: Integers) -> Images:
        """Return the rows in the order given, each run of neighbouring rows at once."""
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        images = np.empty((len(rows), *self._shape), self.dtype)
        breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
        for run in np.split(np.arange(len(rows)), breaks):
            if len(run):
                first = int(wanted[run[0]])
                images[order[run]] = self.read(first, first + len(run))
        return images

    def _read_run(self, number: int, rows: int, first: int, target: NDArray[Any]) -> None:
        name = shard_name(number)
        # What stands before the pixels is the header; writers of another version may pad it.
        offset = self._sizes[name] - rows * self._image_bytes + first * self._image_bytes
        path = f"{self._root}/{name}"
        try:
            content = self._system.cat_file(path, start=offset, end=offset + target.nbytes)
            size = self._system.size(path)
        except (OSError, ValueError) as error:
            msg = f"{self.location}/{name} cannot be read: {error}"
            raise DamagedSetError(msg) from error
        if len(content) != target.nbytes or size != self._sizes[name]:
            msg = (
                f"{self.location}/{name} has {size:,} bytes; the record says "
                f"{self._sizes[name]:,}. Copy the set again."
            )
            raise DamagedSetError(msg)
        target.reshape(-1).view(np.uint8)[:] = np.frombuffer(content, np.uint8)


def _open_url(location: str) -> ImageSet:
    from likeness.datasets.manifest import read_image_table

    system, root = _file_system(location)
    with tempfile.TemporaryDirectory(prefix="likeness-") as name:
        folder = Path(name)
        for file in (RECORD, MANIFEST):
            try:
                (folder / file).write_bytes(system.cat_file(f"{root}/{file}"))
            except (OSError, ValueError) as error:
                msg = f"There is no image set at {location!r}: {file!r} cannot be read ({error})."
                raise InputError(msg) from error
        record = read_record(folder)
        table = read_image_table(folder / MANIFEST)
    store = UrlStore(location, record)
    if len(table.image_ids) != len(store):
        msg = f"The manifest of {location!r} has another number of images than its shards."
        raise DamagedSetError(msg)
    return ImageSet(store, table, tuple(record["channels"]), record=record)


def _file_system(location: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        msg = f"{location!r} needs the package fsspec. Run: pip install 'likeness[cluster]'"
        raise MissingExtraError(msg) from error
    try:
        system, root = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        msg = f"{location!r} cannot be opened: {error}. Install the package that fsspec names."
        raise MissingExtraError(msg) from error
    return system, str(root).rstrip("/")
