"""The two sides of a comparison as plain data: what a task holds instead of images.

`describe` takes any source of the search apart, in the process that plans: where the set lies,
which of its rows, which channels, which patient each image counts as. What is long goes into one
file per source in the shared folder, named by its content. `restore` puts the source together
again, in a worker. Images that are only in memory are written to the shared folder first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._cluster.locations import Pixels, location_of, open_place
from likeness._files import atomic_write, hash_of_json, make_folder
from likeness.datasets import ImageSet
from likeness.datasets._store import ShardStore, open_shard
from likeness.datasets.layout import shard_name
from likeness.errors import ClusterError, DamagedSetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likeness.search.parts import Range
    from likeness.search.source import ImageSource
    from likeness.types import Images, Integers

_PIECE_BYTES = 64 << 20


@dataclass(frozen=True)
class SourcePlace:
    """A source as JSON values."""

    location: str
    """Folder or URL of an image set, or an NPY file of images that were in memory."""
    checksum: str
    """Of the record of the image set; empty for an NPY file."""
    length: int
    image_shape: tuple[int, int, int]
    """(C, H, W) as the source gives them."""
    dtype: str
    channels: tuple[str, ...] | None
    """Names as the source has them."""
    channel_rows: tuple[int, ...] | None
    """Channels of the stored images; None for all."""
    table: str
    """NPZ file with `rows` (n,) of the stored images, empty for all, and patient `codes` (n,)."""
    num_patients: int
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> SourcePlace:
        """Take JSON values back."""
        tuples = {
            name: None if values[name] is None else tuple(values[name])
            for name in ("image_shape", "channels", "channel_rows")
        }
        return SourcePlace(**{**values, **tuples})


def describe(source: ImageSource, folder: Path) -> SourcePlace:
    """Write down what a source is.

    Parameters
    ----------
    folder
        In shared storage, for what is too long for a task.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    make_folder(folder, private=True)
    whole, rows = _resolved(source)
    images = whole if isinstance(whole, ImageSet) else None
    location = None if images is None else location_of(images)
    if images is None or location is None:
        location, checksum = _written(source, folder), ""
        rows = channel_rows = None
    else:
        checksum = str(images.record["checksum"])
        channel_rows = images.stored.channel_rows
    names = getattr(source, "channels", None)
    return SourcePlace(
        location=location,
        checksum=checksum,
        length=len(source),
        image_shape=source.image_shape,
        dtype=source.dtype.str,
        channels=None if names is None else tuple(names),
        channel_rows=None if channel_rows is None else tuple(int(row) for row in channel_rows),
        table=str(_table(source, rows, folder)),
        num_patients=source.num_patients,
        fingerprint=source.fingerprint,
    )


def edges_of(source: ImageSource) -> list[int] | None:
    """Return where the shards of a source begin and end, where it is a whole set of shards."""
    whole, rows = _resolved(source)
    if rows is not None or not isinstance(whole, ImageSet) or not whole.record.get("shard_rows"):
        return None
    return [0, *(int(edge) for edge in np.cumsum(whole.record["shard_rows"]))]


def restore(place: SourcePlace) -> ImageSource:
    """Put a source together.

    Raises
    ------
    ClusterError
        If this machine does not see the set, or another one.
    DamagedSetError
        If the images of an NPY file are damaged.
    """
    stored: Pixels | ShardStore
    if place.checksum:
        stored = open_place(place.location, place.checksum)
    else:
        stored = _loose(place.location, (place.length, *place.image_shape), place.dtype)
    rows, codes = _read_table(place.table)
    return RestoredSource(place, stored, rows if len(rows) else None, codes)


class RestoredSource:
    """A source of the search, made of a stored set and a table."""

    def __init__(
        self,
        place: SourcePlace,
        stored: Pixels | ShardStore,
        rows: Integers | None,
        codes: NDArray[np.int32],
    ) -> None:
        self._stored, self._rows, self._channel_rows = stored, rows, place.channel_rows
        self._length = place.length
        self.image_shape, self.dtype = place.image_shape, np.dtype(place.dtype)
        self.channels = place.channels
        self.patient_codes, self.num_patients = codes, place.num_patients
        self.fingerprint = place.fingerprint
        if isinstance(stored, ImageSet):
            # Rows that were derived from the whole set serve this part of it too; what can be read
            # of a damaged set derives its own.
            self.derived_from = self._derived_from

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop`."""
        if self._rows is None:
            images = self._stored.read(start, stop)
        else:
            images = self._stored.take(self._rows[start:stop])
        if self._channel_rows is None:
            return images
        return np.ascontiguousarray(images[:, list(self._channel_rows)])

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read images `start` to `stop` into `out`."""
        if self._rows is None and self._channel_rows is None and hasattr(self._stored, "read_into"):
            self._stored.read_into(start, stop, out)
        else:
            out[...] = self.read(start, stop)

    def _derived_from(self) -> tuple[Any, Integers | None]:
        whole = self._stored
        if self._channel_rows is not None and isinstance(whole, ImageSet):
            whole = whole.select_channels([whole.channels[row] for row in self._channel_rows])
        return whole, self._rows


def files_behind(place: SourcePlace, wanted: Range) -> tuple[str, ...]:
    """Return the files that hold some images of a source."""
    if not place.checksum:
        return (place.location,)
    try:
        stored = open_place(place.location, place.checksum)
        rows, _ = _read_table(place.table)
    except (ClusterError, DamagedSetError):
        return (place.location,)
    shard_rows = getattr(stored, "record", {}).get("shard_rows")
    if not shard_rows:
        return (place.location,)
    here = rows[slice(*wanted)] if len(rows) else np.arange(*wanted)
    numbers = np.unique(np.searchsorted(np.cumsum(shard_rows), here, side="right"))
    return tuple(f"{place.location}/{shard_name(int(number))}" for number in numbers)


def _resolved(source: Any) -> tuple[Any, Integers | None]:  # noqa: ANN401
    """Return the set that a source shows a part of, and which of its rows; None for all."""
    rows: Integers | None = None
    while not isinstance(source, ImageSet):
        hook = getattr(source, "derived_from", None)
        if hook is None:
            return source, rows
        source, inner = hook()
        if inner is not None:
            rows = inner if rows is None else inner[rows]
    inner = source.stored.rows
    if inner is not None:
        rows = inner if rows is None else inner[rows]
    return source, rows


def _table(source: ImageSource, rows: Integers | None, folder: Path) -> Path:
    rows = np.empty(0, dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
    codes = np.asarray(source.patient_codes, dtype=np.int32)
    path = folder / f"table-{hash_of_json([rows.tolist(), codes.tolist()])[:32]}.npz"
    if not path.exists():
        with atomic_write(path, private=True) as stream:
            np.savez(stream, allow_pickle=False, rows=rows, codes=codes)
    return path.resolve()


@lru_cache(maxsize=8)
def _read_table(path: str) -> tuple[Integers, NDArray[np.int32]]:
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            return content["rows"], content["codes"]
    except (OSError, ValueError, KeyError) as error:
        msg = f"{path!r} cannot be read here ({error}): all machines must see the folder --out."
        raise ClusterError(msg) from error


def _written(source: ImageSource, folder: Path) -> str:
    """Write images that lie nowhere, piece by piece; return the file."""
    path = folder / f"images-{source.fingerprint[:32]}.npy"
    if path.exists():
        return str(path.resolve())
    shape = (len(source), *source.image_shape)
    header = {
        "descr": np.lib.format.dtype_to_descr(source.dtype),
        "fortran_order": False,
        "shape": shape,
    }
    step = max(1, _PIECE_BYTES // (int(np.prod(shape[1:])) * source.dtype.itemsize))
    with atomic_write(path, private=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(source), step):
            piece = source.read(start, min(start + step, len(source)))
            stream.write(np.ascontiguousarray(piece).data)
    return str(path.resolve())


@lru_cache(maxsize=8)
def _loose(location: str, shape: tuple[int, ...], dtype: str) -> ShardStore:
    kind = np.dtype(dtype)
    return ShardStore([open_shard(Path(location), shape, kind)], shape[1:], kind)
