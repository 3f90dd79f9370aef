"""Say what a source holds before anything is made of it: the first thing to run on new data."""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.datasets import layout
from likeness.datasets._pages import pages_of
from likeness.datasets._table import pixel_hash
from likeness.datasets.accounting import Accounting, LeftOut
from likeness.datasets.image_set import ImageSet
from likeness.datasets.names import image_id, twins
from likeness.datasets.patient_ids import (
    MIN_COVERAGE,
    PatientIds,
    assign_patients,
    parse_patient_rule,
)
from likeness.datasets.scanning import Scan, scan
from likeness.datasets.sequences import PAPER_CHANNELS, detect_layout, group_sequences
from likeness.datasets.source_accounts import read_accounting
from likeness.errors import UnreadableImageError
from likeness.readers import ReadOptions

if TYPE_CHECKING:
    from likeness.datasets.walk import SourceFile

_PREPARED_SIZE = 256
"""Rows and columns that ``prepare brats`` and ``prepare cxr`` make by default."""


@dataclass(frozen=True)
class ImageKind:
    """Images of one shape and number type."""

    shape: tuple[int, int, int]
    """C, H, W."""
    dtype: str
    num_files: int
    num_images: int


@dataclass(frozen=True)
class Inspection:
    """What `inspect_path` found. Plain data."""

    path: str
    layout: str
    """``image set``, ``split``, ``brats``, ``paper``, ``cxr`` or ``images``."""
    accounting: Accounting
    formats: dict[str, int]
    """Name of the reader -> number of files."""
    kinds: tuple[ImageKind, ...]
    """Most frequent first."""
    channels: tuple[str, ...]
    """Where several files make one image: its channels."""
    num_images: int
    """Images in the files; for volumes their slices."""
    minimum: float | None
    maximum: float | None
    mean: float | None
    """Mean over all pixels read; None where nothing was decoded."""
    patient_rule: str
    patient_coverage: float
    patient_examples: tuple[tuple[str, str], ...]
    num_patients: int
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of images with equal pixels (volumes: equal in all slices)."""
    disk_bytes: int
    """What a prepared set would take, at most."""
    memory_bytes: int
    """What preparing it would take in memory, about, per process."""
    suggestion: str
    """The command to run next."""
    notes: tuple[str, ...] = ()
    patient_uncovered: str | None = None
    """A name whose patient the rule does not say."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        content = asdict(self)
        content["accounting"]["summary"] = self.accounting.summary()
        return content


def inspect_path(
    path: Path | str,
    *,
    patient_id: str = "auto",
    manifest: Path | None = None,
    read: ReadOptions | None = None,
    decode: bool = True,
    progress: Progress = SILENT,
) -> Inspection:
    """Look at a source without changing or writing anything.

    Parameters
    ----------
    path
        Folder, file, or image set.
    patient_id, manifest
        Rule that gives the patient; see `parse_patient_rule`.
    read
        Decisions that a file cannot make for itself.
    decode
        Whether every image is decoded, which finds damaged files, the range of intensities and
        duplicates. Otherwise headers only.

    Raises
    ------
    InputError
        If there is nothing to look at.
    OptionError
        If the rule is none.
    """
    path = Path(path)
    rule = parse_patient_rule(patient_id, manifest=manifest)
    if (path / layout.SPLIT_RECORD).is_file():
        return _inspect_set(path, path / "train", "split")
    if layout.is_image_set(path):
        return _inspect_set(path, path, "image set")
    found = scan(path, read or ReadOptions(), progress)
    contents = _Contents()
    if decode:
        contents.read(found, read or ReadOptions(), progress)
    else:
        contents.left_out = [
            LeftOut(name, "read", error.code, error.reason)
            for name, error in found.problems.items()
        ]
    recognised, channels, keys, firsts = _recognise(found)
    patients = assign_patients(rule, keys, firsts)
    if recognised == "images" and patients.rule.text == "cxr":
        recognised = "cxr"
    kinds = _kinds(found, {item.path for item in contents.left_out})
    disk = _disk_bytes(recognised, kinds, len(channels), len(found.files))
    left_out = sorted((*found.left_out, *contents.left_out), key=lambda item: item.path)
    used = found.listing.num_found + contents.num_members - len(left_out)
    notes = _notes_on_names(found)
    notes += [f"{note} ({count:,} images)" for note, count in notes_by_kind(contents.notes)[:20]]
    return Inspection(
        path=str(path),
        layout=recognised,
        accounting=Accounting(used + len(left_out), used, tuple(left_out)),
        formats=dict(Counter(header.reader for header in found.headers.values()).most_common()),
        kinds=kinds,
        channels=channels,
        num_images=sum(kind.num_images for kind in kinds) // max(1, len(channels)),
        minimum=contents.minimum,
        maximum=contents.maximum,
        mean=contents.mean,
        patient_rule=patients.rule.text,
        patient_coverage=patients.coverage,
        patient_examples=patients.examples,
        num_patients=patients.num_patients,
        duplicates=contents.duplicates(),
        disk_bytes=disk,
        memory_bytes=_memory_bytes(kinds),
        suggestion=_suggestion(path, recognised, kinds, channels, patients, (patient_id, manifest)),
        notes=tuple(notes),
        patient_uncovered=patients.uncovered,
    )


class _Contents:
    """What decoding brings to light."""

    def __init__(self) -> None:
        self.minimum: float | None = None
        self.maximum: float | None = None
        self.left_out: list[LeftOut] = []
        self.notes: Counter[str] = Counter()
        self.num_members = 0
        """Members of archives that cannot be read: they are counted besides their archive."""
        self._sum = 0.0
        self._pixels = 0
        self._by_hash: defaultdict[str, list[str]] = defaultdict(list)

    @property
    def mean(self) -> float | None:
        return self._sum / self._pixels if self._pixels else None

    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        return tuple(sorted(tuple(names) for names in self._by_hash.values() if len(names) > 1))

    def read(self, found: Scan, options: ReadOptions, progress: Progress) -> None:
        with progress.task("inspect", len(found.files), unit="files") as task:
            for file in found.files:
                try:
                    self._read_file(file, options)
                except UnreadableImageError as error:
                    self.left_out.append(
                        LeftOut(file.text, "read", error.code, error.reason, file.num_bytes)
                    )
                task.advance()

    def _read_file(self, file: SourceFile, options: ReadOptions) -> None:
        volume: list[str] = []
        hashes: list[tuple[str, str]] = []
        for page in pages_of(file, options):
            if isinstance(page, LeftOut):
                self.left_out.append(page)
                self.num_members += 1
                continue
            pixels = page.pixels
            low, high = float(pixels.min()), float(pixels.max())
            self.minimum = low if self.minimum is None else min(low, self.minimum)
            self.maximum = high if self.maximum is None else max(high, self.maximum)
            self._sum += float(pixels.sum(dtype=np.float64))
            self._pixels += pixels.size
            name = image_id(file.text, member=page.member)
            if low == high:
                self.notes["all pixels equal: such an image has no correlation"] += 1
            self.notes.update(page.notes)
            if page.slice_index is not None:
                volume.append(pixel_hash(pixels))
            else:
                hashes.append((pixel_hash(pixels), name))
        if volume:
            hashes.append(("/".join(volume), file.text))
        for digest, name in hashes:
            self._by_hash[digest].append(name)


def _recognise(found: Scan) -> tuple[str, tuple[str, ...], list[str], list[str]]:
    """Return the layout, its channels, and the two names per image that the patient rule sees."""
    name = detect_layout(found.files)
    if name is None:
        names = [file.text for file in found.files]
        return "images", (), names, names
    groups = group_sequences(found.files, layout=name)
    everything = group_sequences(found.files, layout=name, allow_missing=groups.channels)
    keys = [group.key for group in everything.groups]
    return name, groups.channels, keys, [group.files[0].text for group in everything.groups]


def notes_by_kind(notes: Counter[str]) -> list[tuple[str, int]]:
    """Put remarks together that differ in their numbers only; most frequent first."""
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for note, count in notes.items():
        kinds[re.sub(r"[0-9][0-9,.]*", "N", note)][note] += count
    merged = Counter(
        {next(iter(some)) if len(some) == 1 else kind: some.total() for kind, some in kinds.items()}
    )
    return merged.most_common()


def _notes_on_names(found: Scan) -> list[str]:
    names = {file.text for file in found.files}
    notes = [
        f"{name!a} and {other!a} are one name in two Unicode forms: two files"
        for name, other in sorted(twins(names).items())
        if name < other
    ]
    doubled = sorted(name for name in names if name + ".gz" in names)
    return notes + [f"{name!r} and {name + '.gz'!r} are both there" for name in doubled]


def _kinds(found: Scan, left_out: set[str]) -> tuple[ImageKind, ...]:
    """Count the images of the files that can be read."""
    files: Counter[tuple[tuple[int, int, int], str]] = Counter()
    images: Counter[tuple[tuple[int, int, int], str]] = Counter()
    for name, header in found.headers.items():
        if name in left_out:
            continue
        files[header.shape, header.dtype] += 1
        images[header.shape, header.dtype] += header.num_images
    return tuple(
        ImageKind(shape, dtype, count, images[shape, dtype])
        for (shape, dtype), count in files.most_common()
    )


def _disk_bytes(
    recognised: str, kinds: tuple[ImageKind, ...], num_channels: int, num_files: int
) -> int:
    if recognised == "cxr":
        return num_files * _PREPARED_SIZE**2
    if recognised == "brats" and num_channels and _has_volumes(kinds):
        slices = sum(kind.num_images for kind in kinds) // num_channels
        return slices * num_channels * _PREPARED_SIZE**2
    return sum(
        kind.num_images * int(np.prod(kind.shape)) * np.dtype(kind.dtype).itemsize for kind in kinds
    )


def _has_volumes(kinds: tuple[ImageKind, ...]) -> bool:
    return any(kind.num_images > kind.num_files for kind in kinds)


def _memory_bytes(kinds: tuple[ImageKind, ...]) -> int:
    """One shard, and the largest kind of image a few times over while it is decoded."""
    largest = max((int(np.prod(k.shape)) * np.dtype(k.dtype).itemsize for k in kinds), default=0)
    return layout.MAX_SHARD_BYTES + 8 * largest + (100 << 20)


def _suggestion(
    path: Path,
    recognised: str,
    kinds: tuple[ImageKind, ...],
    channels: tuple[str, ...],
    patients: PatientIds,
    given: tuple[str, Path | None],
) -> str:
    where = shlex.quote(str(path))
    if not kinds:
        return "mend the files, or name the folder that holds the images: likeness inspect FOLDER"
    rule = _rule_flags(patients, *given)
    if recognised == "brats" and _has_volumes(kinds):
        paper = set(PAPER_CHANNELS[:-1])
        chosen = "" if paper <= set(channels) else f" --channels {','.join(channels)}"
        return f"likeness prepare brats {where} --out SETS --test-patients 0.15{chosen}{rule}"
    if recognised == "cxr":
        return f"likeness prepare cxr {where} --out SETS --test-patients 0.2{rule}"
    if len(kinds) > 1 and recognised == "images":
        sizes = {kind.shape[1:] for kind in kinds}
        size = f" --resize {_common_size(kinds)}" if len(sizes) > 1 else ""
        grey = " --grey collapse" if len({kind.shape[0] for kind in kinds}) > 1 else ""
        deep = len({kind.dtype for kind in kinds}) > 1
        values = " --intensity-range LOW,HIGH" if deep else ""
        return f"likeness prepare images {where} --out SET{size}{grey}{values}{rule}"
    return f"likeness audit --train {where} --synthetic SYNTHETIC --test TEST --out AUDIT{rule}"


def _rule_flags(patients: PatientIds, patient_id: str, manifest: Path | None) -> str:
    """Return the flags that find the patients again, or a gap to be filled."""
    if patients.coverage < MIN_COVERAGE:
        return " --patient-id RULE"
    if patient_id == "auto":
        return ""
    flags = f" --patient-id {shlex.quote(patient_id)}"
    return flags if manifest is None else f"{flags} --manifest {shlex.quote(str(manifest))}"


def _common_size(kinds: tuple[ImageKind, ...]) -> str:
    """Return the size of most images, or the usual one where there is no such size."""
    first = kinds[0]
    if 2 * first.num_images > sum(kind.num_images for kind in kinds):
        return "x".join(map(str, first.shape[1:]))
    return str(_PREPARED_SIZE)


def _inspect_set(path: Path, folder: Path, name: str) -> Inspection:
    images = ImageSet.open(folder)
    record = images.record
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for image, digest in zip(images.image_ids, images.pixel_hashes, strict=True):
        groups[digest].append(image)
    where = shlex.quote(str(folder))
    test = shlex.quote(str(path / "test")) if name == "split" else "TEST"
    kind = ImageKind(images.image_shape, images.dtype.name, len(record["shard_rows"]), len(images))
    known = sum(patient is not None for patient in images.patient_ids)
    # A set need not have been made by a verb that records where its patients come from.
    patients = {
        "rule": "as recorded" if known else "none",
        "coverage": known / len(images) if len(images) else 0.0,
        "examples": [],
        **record.get("patients", {}),
    }
    return Inspection(
        path=str(path),
        layout=name,
        accounting=read_accounting(folder),
        formats={"image set": 1},
        kinds=(kind,),
        channels=images.channels,
        num_images=len(images),
        minimum=record["intensity"]["minimum"],
        maximum=record["intensity"]["maximum"],
        mean=record["intensity"]["mean"],
        patient_rule=patients["rule"],
        patient_coverage=patients["coverage"],
        patient_examples=tuple((p, i) for p, i in patients["examples"]),
        num_patients=record["num_patients"],
        duplicates=tuple(sorted(tuple(g) for g in groups.values() if len(g) > 1)),
        disk_bytes=sum(entry["bytes"] for entry in record["files"].values()),
        memory_bytes=layout.MAX_SHARD_BYTES,
        suggestion=(
            f"likeness audit --train {where} --synthetic SYNTHETIC --test {test} --out AUDIT"
        ),
        notes=tuple(record.get("notes", ())),
    )
