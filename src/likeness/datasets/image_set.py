"""`ImageSet`: images of equal shape with ids, patients and slice positions.

One class for a prepared set on disk, a part of one, and arrays in memory: the search, the
calibration and the audit see no difference.
"""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._files import hash_of_json
from likeness.datasets._arrays import checked_images, column, numbered
from likeness.datasets._store import ArrayStore, PixelStore, Stored
from likeness.datasets._table import ImageTable, code_patients, pixel_hash
from likeness.datasets.sequences import ANNOTATIONS
from likeness.errors import NoImagesError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from likeness.types import Images, Integers

_BLOCK_BYTES = 32 << 20
"""Pixels read at once where hashes have to be computed."""


class ImageSet:
    """N images (C, H, W) of one number type, with what is known about each.

    Made by `ImageSet.open`, `ImageSet.from_arrays`, `subset` and `select_channels`; it never
    changes. Pixels are read when asked for, as fresh arrays, with ordinary reads.
    """

    def __init__(
        self,
        store: PixelStore,
        table: ImageTable,
        channels: tuple[str, ...],
        *,
        path: Path | None = None,
        record: dict[str, Any] | None = None,
        rows: Integers | None = None,
        channel_rows: tuple[int, ...] | None = None,
    ) -> None:
        self._store = store
        self._table = table
        self._rows = rows
        self._channel_rows = channel_rows
        self._record = record or {}
        self._path = path
        self._channels = channels
        if len(table.image_ids) == 0:
            msg = "An image set needs at least one image."
            raise NoImagesError(msg)

    @classmethod
    def open(cls, path: Path | str) -> ImageSet:
        """Open a prepared set.

        Only sizes are checked here, which is quick; `verify` reads every byte.

        Parameters
        ----------
        path
            The folder that `likeness prepare` wrote.

        Raises
        ------
        InputError
            If there is no image set, or it was not finished.
        FormatVersionError
            If another version of Likeness wrote it in another format.
        DamagedSetError
            If a file of it is missing or has the wrong size.
        """
        from likeness.datasets.layout import open_parts  # here: it needs this class's parts

        parts = open_parts(Path(path))
        return cls(parts.store, parts.table, parts.channels, path=Path(path), record=parts.record)

    @classmethod
    def from_arrays(
        cls,
        images: Images,
        *,
        image_ids: Sequence[str] | None = None,
        patient_ids: Sequence[str | None] | None = None,
        channels: Sequence[str] | None = None,
        volumes: Sequence[str | None] | None = None,
        slice_indices: ArrayLike | None = None,
        classes: Sequence[str | None] | None = None,
    ) -> ImageSet:
        """Make a set of arrays in memory.

        Parameters
        ----------
        images
            (N, C, H, W), integers or floating point numbers. Not copied: do not change it later.
        image_ids
            N unique names; None for ``image-00000`` and so on.
        patient_ids
            N names, None for an image whose patient is not known; None for none known.
        channels
            C unique names; None for ``channel_0`` and so on.
        volumes, slice_indices
            The volume of each slice and its position from 0 (-1 for none).
        classes
            N names of classes, or None.

        Raises
        ------
        OptionError
            If a length does not fit, or an id occurs twice.
        ImageMismatchError
            If the array is not four-dimensional, or holds neither integers nor real numbers.
        NoImagesError
            If there is no image.
        """
        images = checked_images(images)
        count, num_channels = images.shape[:2]
        positions = (
            np.full(count, -1, np.int32)
            if slice_indices is None
            else np.asarray(slice_indices, dtype=np.int32)
        )
        if positions.shape != (count,):
            msg = f"slice_indices has shape {positions.shape}; expected ({count},)."
            raise OptionError(msg)
        names = column("image_ids", image_ids, count)
        table = ImageTable(
            image_ids=tuple(str(n) for n in names) if image_ids is not None else numbered(count),
            patient_ids=column("patient_ids", patient_ids, count),
            volumes=column("volumes", volumes, count),
            slice_indices=positions,
            classes=column("classes", classes, count),
            pixel_hashes=None,
        )
        if channels is None:
            channels = [f"channel_{number}" for number in range(num_channels)]
        if len(channels) != num_channels or len(set(channels)) != num_channels:
            msg = f"channels is {list(channels)}; expected {num_channels} different names."
            raise OptionError(msg)
        return cls(ArrayStore(images), table, tuple(channels))

    @property
    def path(self) -> Path | None:
        """The folder, or None for arrays in memory."""
        return self._path

    @property
    def stored(self) -> Stored:
        """Where the images lie: what `likeness.datasets.derived` needs to find their rows."""
        return Stored(self._store, self._rows, self._channel_rows)

    @property
    def record(self) -> dict[str, Any]:
        """What ``dataset.json`` says: how the set was made. Empty for arrays in memory."""
        return copy.deepcopy(self._record)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the pixels."""
        return self._channels

    @property
    def annotation_channels(self) -> tuple[str, ...]:
        """Those channels that hold annotations (labels), not intensities.

        A prepared set says which; of other sets those that are named like one (``seg``).
        """
        marked = self._record.get("annotation_channels", ANNOTATIONS)
        return tuple(name for name in self._channels if name in marked)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        return (len(self._channels), *self._store.image_shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels."""
        return self._store.dtype

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Unique names of the images."""
        return self._table.image_ids

    @property
    def patient_ids(self) -> tuple[str | None, ...]:
        """Patient of each image; None where it is not known."""
        return self._table.patient_ids

    @property
    def has_patient_ids(self) -> bool:
        """Whether the patient of at least one image is known."""
        return any(patient is not None for patient in self._table.patient_ids)

    @property
    def patient_names(self) -> tuple[str, ...]:
        """Distinct patients in order of first appearance.

        An image without a patient is a patient of its own, named by its image id.
        """
        return self._coded_patients[0]

    @property
    def patient_codes(self) -> NDArray[np.int32]:
        """(n,) index of each image's patient in `patient_names`."""
        return self._coded_patients[1]

    @property
    def num_patients(self) -> int:
        """Number of distinct patients."""
        return len(self._coded_patients[0])

    @property
    def volumes(self) -> tuple[str | None, ...]:
        """Volume of each slice; None for an image that is no slice."""
        return self._table.volumes

    @property
    def slice_indices(self) -> NDArray[np.int32]:
        """(n,) position in the volume, from 0; -1 for an image that is no slice."""
        return self._table.slice_indices

    @property
    def classes(self) -> tuple[str | None, ...]:
        """Class of each image (for example the folder NORMAL); None where there is none."""
        return self._table.classes

    @cached_property
    def pixel_hashes(self) -> tuple[str, ...]:
        """SHA-256 of the decoded pixels of each image: equal images have equal hashes."""
        if self._table.pixel_hashes is not None:
            return self._table.pixel_hashes
        block = max(1, _BLOCK_BYTES // (int(np.prod(self.image_shape)) * self.dtype.itemsize))
        return tuple(
            pixel_hash(image)
            for start in range(0, len(self), block)
            for image in self.read(start, min(start + block, len(self)))
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that is in the set; equal sets have equal fingerprints, wherever they lie."""
        return hash_of_json(
            {
                "channels": self.channels,
                "shape": self.image_shape,
                "dtype": self.dtype.name,
                "image_ids": self.image_ids,
                "patient_ids": self.patient_ids,
                "volumes": self.volumes,
                "slice_indices": self.slice_indices.tolist(),
                "classes": self.classes,
                "pixels": self.pixel_hashes,
            }
        )

    def __len__(self) -> int:
        return len(self._table.image_ids)

    def __repr__(self) -> str:
        where = "memory" if self._path is None else repr(str(self._path))
        return f"<ImageSet: {len(self)} images {self.image_shape} {self.dtype}, {where}>"

    def read(self, start: int, stop: int) -> Images:
        """Return the images start to stop - 1 as a fresh array (stop - start, C, H, W).

        Raises
        ------
        IndexError
            If not 0 <= start <= stop <= len.
        DamagedSetError
            If the set has changed since it was opened.
        """
        if not 0 <= start <= stop <= len(self):
            msg = f"images {start} to {stop} of a set of {len(self)}"
            raise IndexError(msg)
        if self._rows is None:
            return self._select(self._store.read(start, stop))
        return self._select(self._store.take(self._rows[start:stop]))

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read the images start to stop - 1 into `out`, (stop - start, C, H, W), contiguous.

        As `read`, without fresh memory for every piece.

        Raises
        ------
        IndexError
            If not 0 <= start <= stop <= len.
        DamagedSetError
            If the set has changed since it was opened.
        """
        if self._channel_rows is None and 0 <= start < stop <= len(self):
            first = start if self._rows is None else int(self._rows[start])
            last = stop - 1 if self._rows is None else int(self._rows[stop - 1])
            rows = None if self._rows is None else self._rows[start:stop]
            if last - first == stop - start - 1 and (
                rows is None or bool((np.diff(rows) == 1).all())
            ):
                self._store.read_into(first, last + 1, out)
                return
        out[...] = self.read(start, stop)

    def read_ahead(self, start: int, stop: int) -> None:
        """Say that the images start to stop - 1 will be read soon; those that lie side by side.

        Where the system can, it reads them while something else is computed. Changes no result.
        """
        start, stop = max(start, 0), min(stop, len(self))
        if start >= stop:
            return
        if self._rows is None:
            self._store.read_ahead(start, stop)
        elif int(self._rows[stop - 1]) - int(self._rows[start]) == stop - start - 1:
            self._store.read_ahead(int(self._rows[start]), int(self._rows[stop - 1]) + 1)

    def take(self, indices: ArrayLike) -> Images:
        """Return the images with these indices, in this order, as a fresh array (n, C, H, W).

        Raises
        ------
        IndexError
            If an index is negative or too large.
        DamagedSetError
            If the set has changed since it was opened.
        """
        rows = self._checked_rows(indices)
        return self._select(self._store.take(rows if self._rows is None else self._rows[rows]))

    def subset(self, indices: ArrayLike) -> ImageSet:
        """Return the set of these images in this order; no pixel is read.

        Parameters
        ----------
        indices
            Distinct indices, or a mask (N,) of truth values.
        """
        wanted = np.asarray(indices)
        if wanted.dtype == bool and wanted.shape == (len(self),):
            wanted = np.flatnonzero(wanted)
        rows = self._checked_rows(wanted)
        return ImageSet(
            self._store,
            self._table.take(rows),
            self._channels,
            path=self._path,
            record=self._record,
            rows=rows if self._rows is None else self._rows[rows],
            channel_rows=self._channel_rows,
        )

    def select_channels(self, names: Sequence[str]) -> ImageSet:
        """Return the same images with these channels only, in this order; no pixel is read.

        Raises
        ------
        OptionError
            If a channel is not there, or named twice.
        """
        if tuple(names) == self._channels:
            return self
        missing = [name for name in names if name not in self._channels]
        if missing or len(set(names)) != len(names) or not names:
            msg = f"Channels {list(names)} cannot be chosen from {list(self._channels)}."
            raise OptionError(msg)
        chosen = tuple(self._channels.index(name) for name in names)
        if self._channel_rows is not None:
            chosen = tuple(self._channel_rows[row] for row in chosen)
        return ImageSet(
            self._store,
            self._table.take(np.arange(len(self)), keep_hashes=False),
            tuple(names),
            path=self._path,
            record=self._record,
            rows=self._rows,
            channel_rows=chosen,
        )

    def rename_channels(self, names: Sequence[str]) -> ImageSet:
        """Return the same images with other names for their channels; no pixel is read.

        Parameters
        ----------
        names
            C unique names, for files that do not name their channels.

        Raises
        ------
        OptionError
            If the number of names is not that of the channels, or a name comes twice.
        """
        if len(names) != len(self._channels) or len(set(names)) != len(names):
            msg = f"Names {list(names)} do not fit the channels {list(self._channels)}."
            raise OptionError(msg)
        return ImageSet(
            self._store,
            self._table,
            tuple(names),
            path=self._path,
            record=self._record,
            rows=self._rows,
            channel_rows=self._channel_rows,
        )

    def neighbours(self, index: int) -> tuple[int | None, int | None]:
        """Return the indices of the slices just below and just above in the same volume.

        None where the image is no slice, or the neighbour is not in this set.
        """
        place = self._places.get(index)
        if place is None:
            return None, None
        volume, position = place
        return (
            self._by_place.get((volume, position - 1)),
            self._by_place.get((volume, position + 1)),
        )

    @cached_property
    def _places(self) -> dict[int, tuple[str, int]]:
        positions = self.slice_indices.tolist()
        return {
            row: (volume, position)
            for row, (volume, position) in enumerate(zip(self.volumes, positions, strict=True))
            if volume is not None and position >= 0
        }

    @cached_property
    def _by_place(self) -> dict[tuple[str, int], int]:
        return {place: row for row, place in self._places.items()}

    @cached_property
    def _coded_patients(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        names, codes = code_patients(self.patient_ids, self.image_ids)
        codes.flags.writeable = False
        return names, codes

    def _select(self, images: Images) -> Images:
        if self._channel_rows is None:
            return images
        return np.ascontiguousarray(images[:, list(self._channel_rows)])

    def _checked_rows(self, indices: ArrayLike) -> Integers:
        rows = np.asarray(indices)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            msg = f"indices must be a one-dimensional list of integers, not {rows.dtype}"
            raise IndexError(msg)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            msg = f"index {rows.min()} or {rows.max()} in a set of {len(self)} images"
            raise IndexError(msg)
        return rows.astype(np.int64, copy=False)
