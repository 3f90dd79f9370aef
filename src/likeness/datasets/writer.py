"""Write an image set shard by shard, so that a kill loses one shard at most.

After each shard a checkpoint ``progress/00000.json`` records its checksum, its manifest rows, the
accounts of the units finished since the shard before, and where to go on. ``dataset.json``, written
last, commits the set; then ``progress/`` is removed. The result of a run that was killed and
resumed equals, byte for byte, that of a run that was not.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._files import (
    atomic_write,
    make_folder,
    sha256_of_file,
    write_bytes,
    write_json,
    write_text,
    writing_to,
)
from likeness.datasets import layout
from likeness.datasets.accounting import Accounting, LeftOut
from likeness.datasets.manifest import ManifestRow, SourceRow, write_table
from likeness.datasets.units import UnitReport
from likeness.errors import ImageMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likeness.types import Image


@dataclass
class Checkpoint:
    """How far the writing has come."""

    rows: list[ManifestRow] = field(default_factory=list)
    reports: list[UnitReport] = field(default_factory=list)
    shard_rows: list[int] = field(default_factory=list)
    shard_sha256: list[str] = field(default_factory=list)
    next_unit: int = 0
    images_done: int = 0
    """Images of unit `next_unit` that are in a shard already."""
    image_type: tuple[int | str, ...] | None = None
    """C, H, W and the name of the number type."""


class SetWriter:
    """Collects images into shards and makes them durable."""

    def __init__(self, folder: Path, checkpoint: Checkpoint) -> None:
        self._folder = folder
        self.checkpoint = checkpoint
        self._pending: list[tuple[Image, ManifestRow]] = []
        self._new_reports: list[UnitReport] = []
        make_folder(folder / layout.IMAGES, private=True)
        make_folder(folder / layout.PROGRESS, private=True)

    def add(self, unit: int, position: int, pixels: Image, row: ManifestRow) -> None:
        """Add image number `position` of a unit.

        Raises
        ------
        ImageMismatchError
            If it has another shape or number type than the images before.
        """
        found = (*pixels.shape, pixels.dtype.name)
        if self.checkpoint.image_type is None:
            self.checkpoint.image_type = found
        if found != self.checkpoint.image_type:
            msg = (
                f"Image {row.image_id!r} is {found}; the images before it are "
                f"{self.checkpoint.image_type} (channels, rows, columns, number type). All images "
                "of a set must agree."
            )
            raise ImageMismatchError(msg)
        shard = len(self.checkpoint.shard_rows)
        placed = replace(row, shard=shard, row=len(self._pending))
        self._pending.append((pixels, placed))
        if len(self._pending) == layout.shard_capacity(pixels.nbytes):
            self._flush(unit, position + 1)

    def finish_unit(self, report: UnitReport) -> None:
        """Take the account of a unit whose images have all been added."""
        self._new_reports.append(report)

    def finish(self, num_units: int) -> None:
        """Make the last, shorter shard durable."""
        if self._pending or self._new_reports:
            self._flush(num_units, 0)

    def _flush(self, next_unit: int, images_done: int) -> None:
        state = self.checkpoint
        number = len(state.shard_rows)
        rows = [row for _, row in self._pending]
        digest = ""
        if rows:
            name = self._folder / layout.shard_name(number)
            digest = _write_shard(name, [pixels for pixels, _ in self._pending])
            state.shard_rows.append(len(rows))
            state.shard_sha256.append(digest)
        content = {
            "rows": [asdict(row) for row in rows],
            "reports": [asdict(report) for report in self._new_reports],
            "sha256": digest,
            "next_unit": next_unit,
            "images_done": images_done,
            "image_type": state.image_type,
        }
        write_json(_checkpoint_path(self._folder, number), content, private=True)
        state.rows += rows
        state.reports += self._new_reports
        state.next_unit, state.images_done = next_unit, images_done
        self._pending = []
        self._new_reports = []


def load_checkpoint(folder: Path) -> Checkpoint:
    """Bring back how far an interrupted run had come, and drop what it left half done.

    A shard whose bytes do not fit its checksum ends the part that is kept.
    """
    state = Checkpoint()
    remove_partial_files(folder)
    number = 0
    while (path := _checkpoint_path(folder, number)).is_file():
        try:
            content = json.loads(path.read_bytes())
            rows = [_manifest_row(entry) for entry in content["rows"]]
            reports = [_unit_report(entry) for entry in content["reports"]]
            where = int(content["next_unit"]), int(content["images_done"])
            digest = str(content["sha256"])
            image_type = content["image_type"]
        except (ValueError, KeyError, TypeError):
            break
        shard = folder / layout.shard_name(number)
        if rows and (not shard.is_file() or sha256_of_file(shard) != digest):
            break
        state.rows += rows
        state.reports += reports
        state.next_unit, state.images_done = where
        state.image_type = None if image_type is None else tuple(image_type)
        if rows:
            state.shard_rows.append(len(rows))
            state.shard_sha256.append(digest)
        number += 1
        if not rows:
            break
    return state


def commit(
    folder: Path,
    state: Checkpoint,
    *,
    sources: Sequence[SourceRow],
    accounting: Accounting,
    record: dict[str, Any],
) -> None:
    """Write the tables, the checksums and, last of all, ``dataset.json``."""
    write_table(folder / layout.MANIFEST, state.rows, ManifestRow)
    write_table(folder / layout.SOURCES, sources, SourceRow)
    accounting.write_csv(folder / layout.LEFT_OUT)
    names = [layout.shard_name(number) for number in range(len(state.shard_rows))]
    sums = dict(zip(names, state.shard_sha256, strict=True))
    sums.update({name: sha256_of_file(folder / name) for name in layout.TABLES})
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums)]
    write_text(folder / layout.CHECKSUMS, "".join(lines), private=True)
    sums[layout.CHECKSUMS] = sha256_of_file(folder / layout.CHECKSUMS)
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": digest}
        for name, digest in sums.items()
    }
    *shape, dtype = state.image_type or ()
    content = {
        **record,
        "format_name": layout.FORMAT_NAME,
        "format_version": layout.FORMAT_VERSION,
        "files": files,
        "dtype": dtype,
        "image_shape": shape,
        "num_images": len(state.rows),
        "shard_rows": state.shard_rows,
    }
    sealed = layout.sealed(content)
    write_bytes(folder / layout.RECORD, layout.record_bytes(sealed), private=True)
    remove_progress(folder)


def remove_partial_files(folder: Path) -> None:
    """Remove the files that a killed run was writing; `folder` holds nothing but an image set."""
    with writing_to(folder):
        for leftover in (*folder.glob("*.partial"), *folder.glob("*/*.partial")):
            leftover.unlink()


def remove_progress(folder: Path) -> None:
    """Remove what only an interrupted run needs."""
    with writing_to(folder):
        if (folder / layout.PROGRESS).is_dir():
            shutil.rmtree(folder / layout.PROGRESS)


def remove_set(folder: Path) -> None:
    """Remove an image set, finished or not, ``dataset.json`` first."""
    with writing_to(folder):
        for name in (layout.RECORD, layout.CHECKSUMS, *layout.TABLES):
            (folder / name).unlink(missing_ok=True)
        for name in (layout.IMAGES, layout.PROGRESS):
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
    remove_partial_files(folder)


def _write_shard(path: Path, images: list[Image]) -> str:
    first = images[0]
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (len(images), *first.shape),
    }
    with atomic_write(path, private=True) as stream:
        hashing = _HashingStream(stream)
        np.lib.format.write_array_header_1_0(hashing, header)
        for image in images:
            hashing.write(np.ascontiguousarray(image).data)
    return hashing.digest.hexdigest()


class _HashingStream:
    def __init__(self, stream: Any) -> None:  # noqa: ANN401
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, content: Any) -> None:  # noqa: ANN401
        self.digest.update(content)
        self._stream.write(content)


def _checkpoint_path(folder: Path, number: int) -> Path:
    return folder / layout.PROGRESS / f"{number:05d}.json"


def _manifest_row(entry: dict[str, Any]) -> ManifestRow:
    lists = {name: tuple(entry[name]) for name in ("sources", "source_sha256", "notes")}
    return ManifestRow(**{**entry, **lists})


def _unit_report(entry: dict[str, Any]) -> UnitReport:
    left_out = [LeftOut(**item) for item in entry["left_out"]]
    return UnitReport(**{**entry, "left_out": left_out})
