"""From files to rows: decode one piece of work, with its hashes and its account.

A `Unit` is the files that together give a run of images: one JPEG, one archive, the volumes of one
patient. It is decoded completely or left out completely, so that half a damaged file never
becomes data; only the members of an archive stand for themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from likeness._files import sha256_of_file
from likeness.datasets._table import pixel_hash
from likeness.datasets.accounting import LeftOut
from likeness.datasets.manifest import ManifestRow
from likeness.datasets.names import path_text
from likeness.errors import SourceChangedError, UnreadableImageError

if TYPE_CHECKING:
    from likeness.datasets.walk import SourceFile
    from likeness.types import Image

_HELD_BYTES: Final = 64 << 20
"""A file of at most so many bytes is read once, to be hashed and decoded in memory; a larger one is
read twice."""


@dataclass(frozen=True)
class Unit:
    """One piece of work."""

    files: tuple[SourceFile, ...]
    """In the order of the channels they give."""
    key: str
    """What the ids of its images start with."""
    patient_id: str | None = None
    class_name: str | None = None
    channels: tuple[str, ...] = ()
    """Name of the channel each file gives, where there are several files."""
    is_archive: bool = False
    """Its members are counted instead of itself."""
    streamed: bool = False
    """Too large to be held decoded: it is decoded twice, once to see that it is sound."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One image of a unit."""

    pixels: Image
    image_id: str
    patient_id: str | None
    volume: str | None = None
    slice_index: int | None = None
    member: str | None = None
    notes: tuple[str, ...] = ()
    class_name: str | None = None
    """Where it is not that of the unit."""


@dataclass(frozen=True)
class Tally:
    """How many images a rule looked at or dropped, for the record."""

    name: str
    count: int


Decoder: TypeAlias = Callable[[Unit], Iterator["DecodedImage | LeftOut | Tally"]]
"""Decodes a unit. `UnreadableImageError` leaves the whole unit out; a yielded `LeftOut` is one
member of an archive, or with a code of `accounting.RULES` a file that a rule drops. Must be
picklable: it may run in another process."""


@dataclass
class UnitReport:
    """The account of one unit, complete once its images have been consumed."""

    index: int
    sha256: list[str | None] = field(default_factory=list)
    """One per file; None for a file that could not be read."""
    num_used: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    tallies: dict[str, int] = field(default_factory=dict)


@dataclass
class UnitResult:
    """The images of a unit with their rows, and its account."""

    report: UnitReport
    images: Any
    """Iterable of (pixels, ManifestRow)."""


def run_unit(decoder: Decoder, unit: Unit, index: int) -> UnitResult:
    """Decode a unit.

    Raises
    ------
    SourceChangedError
        If a file is not what it was when the folder was listed.
    """
    report = UnitReport(index)
    files = []
    for file in unit.files:
        _check_unchanged(file)
        content, sha256 = _read_and_hash(file)
        files.append(file if content is None else replace(file, content=content))
        report.sha256.append(sha256)
    if not unit.streamed:
        return UnitResult(report, list(_rows(decoder, replace(unit, files=tuple(files)), report)))
    sound = UnitReport(index, list(report.sha256))
    for _ in _rows(decoder, unit, sound):
        pass
    if not sound.num_used:
        return UnitResult(sound, [])
    return UnitResult(report, _rows(decoder, unit, report))


def leave_out(unit: Unit, report: UnitReport, error: UnreadableImageError) -> None:
    """Leave all files of a unit out because of one of them."""
    culprits = [file for file in unit.files if str(error.path).startswith(str(file.path))]
    culprit = culprits[0] if culprits else unit.files[0]
    for file, sha256 in zip(unit.files, report.sha256, strict=True):
        code, reason = error.code, error.reason
        if file is not culprit:
            code, reason = "incomplete_group", f"{culprit.text!r} of the same group is left out"
        report.left_out.append(LeftOut(file.text, "read", code, reason, file.num_bytes, sha256))


def _rows(decoder: Decoder, unit: Unit, report: UnitReport) -> Iterator[tuple[Image, ManifestRow]]:
    """Yield the images; a unit that is not streamed yields nothing before it is known sound."""
    held: list[tuple[Image, ManifestRow]] = []
    dropped: list[LeftOut] = []
    members = 0
    last_member: str | None = None
    try:
        for item in decoder(unit):
            if isinstance(item, LeftOut):
                dropped.append(item)
            elif isinstance(item, Tally):
                report.tallies[item.name] = report.tallies.get(item.name, 0) + item.count
            else:
                head = (item.member or "").split("::")[0]
                members += head != last_member
                last_member = head
                made = item.pixels, _manifest_row(item, unit, report)
                if unit.streamed:
                    yield made
                else:
                    held.append(made)
    except UnreadableImageError as error:
        report.tallies.clear()
        leave_out(unit, report, error)
        return
    for file in unit.files:
        _check_unchanged(file)
    report.left_out += dropped
    if unit.is_archive:
        report.num_used = members
        if not members and not dropped:
            report.left_out.append(
                LeftOut(unit.key, "read", "no_images", "the archive holds no image")
            )
    else:
        report.num_used = len(unit.files) - len(dropped)
    yield from held


def _manifest_row(image: DecodedImage, unit: Unit, report: UnitReport) -> ManifestRow:
    pixels = image.pixels
    return ManifestRow(
        image_id=image.image_id,
        patient_id=image.patient_id,
        volume=image.volume,
        slice_index=image.slice_index,
        class_name=image.class_name or unit.class_name,
        sources=tuple(file.text for file in unit.files),
        source_sha256=tuple(sha256 or "" for sha256 in report.sha256),
        member=None if image.member is None else path_text(image.member),
        pixels_sha256=pixel_hash(pixels),
        shard=-1,
        row=-1,
        num_channels=pixels.shape[0],
        height=pixels.shape[1],
        width=pixels.shape[2],
        minimum=float(pixels.min()),
        maximum=float(pixels.max()),
        mean=float(pixels.mean(dtype=np.float64)),
        notes=image.notes,
    )


def _check_unchanged(file: SourceFile) -> None:
    try:
        status = file.path.stat()
        now: tuple[int, int] | None = (status.st_size, status.st_mtime_ns)
    except OSError:
        now = None
    if now != (file.num_bytes, file.mtime_ns):
        what = "is gone" if now is None else "was changed"
        msg = f"{file.text!r} {what} while the folder was being read. Run the command again."
        raise SourceChangedError(msg)


def _read_and_hash(file: SourceFile) -> tuple[bytes | None, str | None]:
    """Return the bytes of a file that is not too large to be held, and the hash of any.

    What is decoded are then the very bytes that were hashed.
    """
    try:
        if file.num_bytes > _HELD_BYTES:
            return None, sha256_of_file(file.path)
        content = file.path.read_bytes()
    except OSError:  # the reader will say why it cannot be read
        return None, None
    return content, hashlib.sha256(content).hexdigest()
