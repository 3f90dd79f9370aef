"""Images as they are: a folder, an archive, arrays or volumes become a set without any change.

Nothing is resized, scaled or turned to grey unless asked for. What does not fit together stops the
preparation with a table that says what there is and which option makes it fit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.datasets._pages import pages_of
from likeness.datasets.accounting import LeftOut
from likeness.datasets.building import Prepared
from likeness.datasets.layout import is_image_set
from likeness.datasets.names import image_id, path_text, twins
from likeness.datasets.options import PrepareOptions
from likeness.datasets.patient_ids import PatientIds, PatientRule, assign_patients
from likeness.datasets.scanning import Scan, scan
from likeness.datasets.sequences import ANNOTATIONS, detect_layout, group_sequences
from likeness.datasets.set_plan import SetPlan
from likeness.datasets.splits import SplitRule, prepare
from likeness.datasets.transforms import is_really_grey, luma, rescale_intensity, resize
from likeness.datasets.units import DecodedImage, Unit
from likeness.errors import (
    ImageMismatchError,
    InputError,
    NoImagesError,
    OptionError,
    UnreadableImageError,
)
from likeness.readers import read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness.datasets.walk import SourceFile
    from likeness.readers import Header, Page
    from likeness.types import Image

_STREAMED_BYTES: Final = 256 << 20
"""Decoded size from which a file is not held in memory as a whole."""

_CHANNEL_NAMES: Final = {1: ("grey",), 3: ("red", "green", "blue")}


@dataclass(frozen=True)
class _Decoding:
    """What the decoder has to know; travels to other processes."""

    options: PrepareOptions
    collapse_all: bool
    """RGB and grey images are mixed: every RGB image must turn out to be grey."""
    rule: PatientRule | None
    """For files whose images belong to several patients."""


def prepare_images(
    source: Path | str,
    out: Path | str,
    *,
    options: PrepareOptions | None = None,
    split: SplitRule | None = None,
    progress: Progress = SILENT,
) -> Prepared:
    """Make an image set of images as they are.

    Parameters
    ----------
    source
        A folder, or one file: image, volume, archive, NPY or NPZ.
    out
        Folder for the set; with `split` for the folders ``train`` and ``test``.
    options
        See `PrepareOptions`.
    split
        How the patients are divided; None for one set.

    Raises
    ------
    ImageMismatchError
        If shapes, channels or number types differ; the message has a table and the option to use.
    LikenessError
        As `splits.prepare`.
    """
    options = options or PrepareOptions()
    if is_image_set(Path(source)):
        msg = f"{str(source)!r} is an image set already. Use it as it is."
        raise InputError(msg)
    return prepare(
        Path(source),
        Path(out),
        lambda folder: plan_images(folder, options, progress),
        run=options,
        split=split,
        progress=progress,
    )


def plan_images(source: Path, options: PrepareOptions, progress: Progress = SILENT) -> SetPlan:
    """Read names and headers and decide what the set will hold; no pixel is decoded."""
    rule = options.patient_rule()
    found = scan(source, options.read, progress)
    if not found.files:
        msg = f"No usable image in {str(source)!r}: {found.summary()}."
        raise NoImagesError(msg)
    layout = options.sequences
    if layout == "auto":
        layout = detect_layout(found.files)
    units, left_out, channels = _units(found, layout, options)
    if not units:
        first = next(iter((*left_out, *found.left_out)), None)
        why = f" First: {first.path!r}: {first.reason} [{first.code}]." if first else ""
        msg = f"No usable image in {str(source)!r}: all files were left out.{why}"
        raise NoImagesError(msg)
    collapse_all = _check_shapes(units, found.headers, options)
    patients = assign_patients(rule, *_names_for_patients(units))
    by_member = patients.rule.text != "none" and any(_has_parts(u, found.headers) for u in units)
    if not (by_member and rule.table):  # a table may name the images inside
        patients.refuse_useless()
    units = [
        replace(
            unit,
            patient_id=None
            if unit.is_archive
            else patients.rule.patient_of(unit.key, unit.files[0].text),
        )
        for unit in units
    ]
    if channels is None:
        channels = _channel_names(units[0], found.headers, options, collapse_all=collapse_all)
    decoding = _Decoding(options, collapse_all, patients.rule if by_member else None)
    return SetPlan(
        units=units,
        decoder=partial(decode_unit, decoding=decoding),
        channels=channels,
        settings={"kind": "images", **options.settings(rule)},
        left_out=(*found.left_out, *left_out),
        record=_record(source, layout, options, patients, channels, units, collapse_all),
        scan=(found, options.read),
    )


def decode_unit(unit: Unit, *, decoding: _Decoding) -> Iterator[DecodedImage | LeftOut]:
    """Read the pages of a unit; several files give one page each and become its channels."""
    if len(unit.files) > 1:
        yield from _decode_group(unit, decoding)
        return
    for page in pages_of(unit.files[0], decoding.options.read):
        if isinstance(page, LeftOut):
            yield page
        else:
            yield _image(unit, page, page.pixels, decoding)


def _decode_group(unit: Unit, decoding: _Decoding) -> Iterator[DecodedImage]:
    runs = [
        read_pages(file.path, decoding.options.read, content=file.content) for file in unit.files
    ]
    for pages in zip_longest(*runs):
        if None in pages:
            reason = "its files hold different numbers of images"
            raise UnreadableImageError(unit.files[0].path, "sizes_differ", reason)
        shapes = {page.pixels.shape for page in pages}
        if len(shapes) > 1 or any(page.pixels.shape[0] != 1 for page in pages):
            reason = f"its files have the shapes {sorted(shapes)}; expected one channel each, alike"
            raise UnreadableImageError(unit.files[0].path, "sizes_differ", reason)
        dtype = np.result_type(*(page.pixels.dtype for page in pages))
        stacked = np.concatenate([page.pixels.astype(dtype, copy=False) for page in pages])
        notes = tuple(dict.fromkeys(note for page in pages for note in page.notes))
        yield _image(unit, replace(pages[0], notes=notes), stacked, decoding)


def _image(unit: Unit, page: Page, pixels: Image, decoding: _Decoding) -> DecodedImage:
    name = image_id(unit.key, member=page.member, slice_index=page.slice_index)
    pixels, notes = _transformed(unit, name, pixels, decoding)
    volume = None
    if page.slice_index is not None:
        volume = image_id(unit.key, member=page.member)
    patient = unit.patient_id
    if decoding.rule is not None:
        inside = path_text(page.member) if unit.is_archive and page.member else unit.key
        other = None if unit.is_archive else unit.files[0].text
        patient = decoding.rule.patient_of(inside, other)
        if decoding.rule.table:  # a table may name single images
            patient = decoding.rule.table.get(name, patient)
    return DecodedImage(
        pixels=np.ascontiguousarray(pixels),
        image_id=name,
        patient_id=patient,
        volume=volume,
        slice_index=page.slice_index,
        member=page.member,
        notes=(*page.notes, *notes),
    )


def _transformed(
    unit: Unit, name: str, pixels: Image, decoding: _Decoding
) -> tuple[Image, tuple[str, ...]]:
    options = decoding.options
    notes: tuple[str, ...] = ()
    is_rgb = len(unit.files) == 1 and pixels.shape[0] == 3
    if is_rgb and (options.grey != "keep" or decoding.collapse_all):
        if options.grey != "luma" and not is_really_grey(pixels):
            if options.grey == "collapse":
                reason = "an RGB image that is not grey; --grey luma would take it"
                raise UnreadableImageError(unit.files[0].path, "mixed_colour", reason)
            msg = (
                f"Grey and RGB images are mixed, and {name!r} is really coloured. Choose --grey "
                "collapse to leave coloured images out, or --grey luma to turn them to grey."
            )
            raise ImageMismatchError(msg)
        pixels, notes = luma(pixels), ("RGB turned to grey",)
    if options.size is not None:
        pixels = resize(pixels, *options.size, options.resampling)
    if options.intensity_range is not None:
        pixels = rescale_intensity(pixels, *options.intensity_range)
    return pixels, notes


def _units(
    found: Scan, layout: str | None, options: PrepareOptions
) -> tuple[list[Unit], tuple[LeftOut, ...], tuple[str, ...] | None]:
    if layout is None:
        return [_unit(file, found.headers.get(file.text)) for file in found.files], (), None
    made = group_sequences(found.files, layout=layout, channels=options.channels)
    units = [Unit(group.files, group.key, channels=group.channels) for group in made.groups]
    return units, made.left_out, made.channels


def _unit(file: SourceFile, header: Header | None) -> Unit:
    if header is None:
        return Unit((file,), file.text)
    size = header.num_images * prod(header.shape) * np.dtype(header.dtype).itemsize
    is_archive = header.reader == "zip"
    return Unit((file,), file.text, is_archive=is_archive, streamed=size > _STREAMED_BYTES)


def _has_parts(unit: Unit, headers: dict[str, Header]) -> bool:
    header = headers.get(unit.files[0].text)
    return unit.is_archive or (header is not None and header.num_images > 1)


def _names_for_patients(units: list[Unit]) -> tuple[list[str], list[str]]:
    """Return the names that decide which rule ``auto`` takes, and of each its first file."""
    members = [
        name for unit in units if unit.is_archive for name in _member_names(unit.files[0].path)
    ]
    plain = [unit for unit in units if not unit.is_archive]
    return (
        [*(unit.key for unit in plain), *members],
        [*(unit.files[0].text for unit in plain), *members],
    )


def _member_names(path: Path) -> list[str]:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(path) as archive:
            return [path_text(name) for name in archive.namelist() if not name.endswith("/")]
    except (OSError, BadZipFile, ValueError, NotImplementedError):
        return []  # the reader will say what is wrong with it


def _check_shapes(units: list[Unit], headers: dict[str, Header], options: PrepareOptions) -> bool:
    """Stop where the headers do not fit together.

    Returns
    -------
    bool
        Whether grey and RGB images of one size are mixed, so that all RGB must turn out grey.
    """
    kinds: Counter[tuple[tuple[int, int, int], str]] = Counter()
    for unit in units:
        known = [headers[file.text] for file in unit.files if file.text in headers]
        if len(known) < len(unit.files):
            continue
        channels = sum(header.shape[0] for header in known)
        if options.grey != "keep" and len(unit.files) == 1 and channels == 3:
            channels = 1
        height, width = options.size or known[0].shape[1:]
        dtype = np.result_type(*(header.dtype for header in known)).name
        if options.intensity_range is not None:
            dtype = "uint8"
        kinds[(channels, height, width), dtype] += 1
    if len(kinds) <= 1:
        return False
    mixed = {shape[1:] for shape, _ in kinds}, {dtype for _, dtype in kinds}
    if (
        len(mixed[0]) == len(mixed[1]) == 1
        and {shape[0] for shape, _ in kinds} == {1, 3}
        and options.grey == "keep"
    ):
        return True
    raise ImageMismatchError(_mismatch_message(kinds))


def _mismatch_message(kinds: Counter[tuple[tuple[int, int, int], str]]) -> str:
    shapes = {shape for shape, _ in kinds}
    advice = []
    if len({shape[1:] for shape in shapes}) > 1:
        advice.append("--resize ROWSxCOLUMNS gives them one size")
    if len({shape[0] for shape in shapes}) > 1:
        advice.append("--grey collapse makes grey images of RGB ones that are grey")
    if len({dtype for _, dtype in kinds}) > 1:
        advice.append("--intensity-range LOW,HIGH makes 8-bit images of all")
    rows = [
        f"  {' x '.join(map(str, shape)):<18} {dtype:<8} {count:>9,} files"
        for (shape, dtype), count in kinds.most_common(10)
    ]
    more = f"\n  and {len(kinds) - 10:,} other kinds" if len(kinds) > 10 else ""
    table = "\n".join(rows)
    return (
        f"The images do not fit together (channels x rows x columns):\n{table}{more}\n"
        f"Choose: {'; '.join(advice)}; or prepare them in separate sets."
    )


def _channel_names(
    unit: Unit, headers: dict[str, Header], options: PrepareOptions, *, collapse_all: bool
) -> tuple[str, ...]:
    header = next((headers[f.text] for f in unit.files if f.text in headers), None)
    header = header or next(iter(headers.values()), None)
    if header is None:  # no file can be read, which the account will say
        return options.channels or ("grey",)
    count = header.shape[0]
    if count == 3 and (collapse_all or options.grey != "keep"):
        count = 1
    if options.channels is not None:
        if len(options.channels) != count or len(set(options.channels)) != count:
            msg = f"--channels is {','.join(options.channels)!r}; the images have {count} channels."
            raise OptionError(msg)
        return options.channels
    return _CHANNEL_NAMES.get(count, tuple(f"channel_{number}" for number in range(count)))


def _record(
    source: Path,
    layout: str | None,
    options: PrepareOptions,
    patients: PatientIds,
    channels: tuple[str, ...],
    units: list[Unit],
    collapse_all: bool,  # noqa: FBT001
) -> dict[str, Any]:
    transforms = options.transforms()
    if collapse_all:
        transforms.insert(0, {"name": "grey", "rule": "collapse", "tolerance": 2})
    files = {file.text for unit in units for file in unit.files}
    doubled = sorted(text for text in files if text + ".gz" in files)
    alike = sorted(twins(files))
    return {
        "kind": "images",
        "source": path_text(source.resolve().name),
        "layout": layout,
        "annotation_channels": [name for name in channels if name in ANNOTATIONS],
        "transforms": transforms,
        "patient_rule": patients.rule.text,
        "patients": patients.to_record(),
        "notes": [
            *(f"{name!r} differs from another name only in its Unicode form" for name in alike),
            *(f"{name!r} and {name + '.gz'!r} are both there" for name in doubled),
        ],
    }
