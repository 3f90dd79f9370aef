"""Rows derived from the images of a set (small versions, features, coefficients), made once.

For a prepared set they are stored with it, see `_derived_files`; a subset, or a source that says
with `derived_from` what it is a part of, reads through the rows of the whole. Where the set's
folder cannot be written they go below a work folder; for arrays, and where there is no other
place, into memory or a temporary folder. They are read with ordinary reads and belong to no
checksum of the set: adding, losing or removing them changes nothing but time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from likeness._progress import SILENT, Progress
from likeness.datasets._derived_inputs import Pixels, whole_of
from likeness.datasets._derived_request import Make, Request, Step
from likeness.datasets._derived_stored import stored_rows
from likeness.datasets._derived_unstored import unstored_rows
from likeness.datasets._rows import Rows, SelectedRows
from likeness.datasets._shared_arrays import SharedArrays
from likeness.datasets.image_set import ImageSet

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.types import Images

__all__ = ["Rows", "SharedArrays", "Source", "Step", "derived_rows"]


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
    whole, rows = whole_of(images)
    request = Request(name, settings, make, through, shared, work, progress, keep_in_memory_bytes)
    found = _of_all(whole, request)
    if rows is None:
        return found
    return {field: SelectedRows(all_rows, rows) for field, all_rows in found.items()}


def _of_all(whole: Any, request: Request) -> dict[str, Rows]:  # noqa: ANN401
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
    pixels = Pixels(whole, channels, before)
    found = stored_rows(pixels, full, request)
    return unstored_rows(pixels, full, request) if found is None else found
