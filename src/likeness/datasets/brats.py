"""BraTS volumes become axial slices of several channels, as in the paper.

For each patient: read the sequences, scale each one to 0..255, cut axial slices, keep those with
enough foreground, pad them with zeros to 256 x 256; the labels 1, 2, 4 of the annotation become 51,
102, 204. The paper does not say which channel the foreground rule looks at, nor how intensities are
scaled; both are options, and the record holds what was done.

Source: Akbar, Wang, Eklund 2025, section 2.1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.datasets.accounting import LeftOut
from likeness.datasets.building import Prepared, SetPlan
from likeness.datasets.names import image_id, path_text
from likeness.datasets.options import SourceOptions
from likeness.datasets.patient_ids import assign_patients
from likeness.datasets.scanning import scan
from likeness.datasets.sequences import ANNOTATIONS, PAPER_CHANNELS, group_sequences
from likeness.datasets.splits import SplitRule, prepare
from likeness.datasets.transforms import (
    Resampling,
    crop_zero_margin,
    pad_to,
    relabel,
    rescale_intensity,
    resize,
    to_uint8,
)
from likeness.datasets.units import DecodedImage, Tally, Unit
from likeness.errors import NoImagesError, OptionError, UnreadableImageError
from likeness.readers import read_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likeness.readers import Volume

Scaling: TypeAlias = Literal["quantile", "maximum", "none"]
Missing: TypeAlias = Literal["skip", "zero"]

PAPER_LABELS: Final = {1: 51, 2: 102, 3: 204, 4: 204}
"""Labels of the annotation -> intensity. The paper has 1, 2, 4; since 2023 the enhancing tumour is
3 instead of 4. A volume with both is refused."""


@dataclass(frozen=True, kw_only=True)
class BratsOptions(SourceOptions):
    """How `prepare_brats` cuts volumes. The defaults are the paper's rules.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    channels: tuple[str, ...] | None = None
    """Sequences in order, for example ``("t1", "flair", "t1ce", "seg")``; None for
    t1, t2, flair, t1ce, and seg if any patient has it."""
    size: int = 256
    """Rows and columns after padding with zeros. At least 1."""
    resize: int | None = None
    """Rows and columns that the padded slices are then resized to; None leaves them. At least 1.
    An annotation takes the nearest label, pictures are resized by `resampling`."""
    resampling: Resampling = "bicubic"
    """Filter for resizing."""
    scaling: Scaling = "quantile"
    """What becomes 255 in each volume of a sequence: the `quantile` of all its voxels, its
    ``maximum``, or nothing changes (``none``: the volume must hold whole numbers 0..255)."""
    quantile: float = 0.999
    """In (0, 1]."""
    foreground_channel: str = "mean"
    """Sequence that the foreground rule looks at, or ``mean`` of all sequences but annotations."""
    foreground_threshold: float = 50.0
    """Intensity that a foreground pixel exceeds."""
    min_foreground: float = 0.15
    """Smallest share of foreground pixels in a slice before padding, in [0, 1]."""
    foreground_on: Literal["scaled", "raw"] = "scaled"
    """Whether the rule sees the intensities after or before scaling."""
    labels: dict[int, int] | None = None
    """Label of the annotation -> intensity 0..255; None for `PAPER_LABELS`."""
    missing_sequence: Missing = "skip"
    """A patient without one of the sequences is left out, or gets zeros with a note."""
    missing_annotation: Missing = "zero"
    """The same for a patient without annotation."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        checks = (
            ("--size", self.size, self.size >= 1, "at least 1"),
            ("--resize", self.resize, self.resize is None or self.resize >= 1, "at least 1"),
            (
                "--resampling",
                self.resampling,
                self.resampling in get_args(Resampling),
                f"one of {', '.join(get_args(Resampling))}",
            ),
            ("--quantile", self.quantile, 0 < self.quantile <= 1, "more than 0 and at most 1"),
            ("--min-foreground", self.min_foreground, 0 <= self.min_foreground <= 1, "0 to 1"),
            (
                "--scaling",
                self.scaling,
                self.scaling in get_args(Scaling),
                "quantile, maximum or none",
            ),
            (
                "--foreground-on",
                self.foreground_on,
                self.foreground_on in ("scaled", "raw"),
                "scaled or raw",
            ),
            (
                "--missing-sequence",
                self.missing_sequence,
                self.missing_sequence in get_args(Missing),
                "skip or zero",
            ),
            (
                "--missing-annotation",
                self.missing_annotation,
                self.missing_annotation in get_args(Missing),
                "skip or zero",
            ),
        )
        for flag, value, fine, expected in checks:
            if not fine:
                msg = f"{flag} is {value!r}; expected {expected}."
                raise OptionError(msg)
        for label, intensity in (self.labels or {}).items():
            if not 0 <= intensity <= 255:
                msg = f"--labels maps {label} to {intensity}; expected 0 to 255."
                raise OptionError(msg)
        if self.channels is not None and self.foreground_channel not in ("mean", *self.channels):
            msg = (
                f"--foreground-channel is {self.foreground_channel!r}; expected 'mean' or one of "
                f"{', '.join(self.channels)}."
            )
            raise OptionError(msg)


def prepare_brats(
    source: Path | str,
    out: Path | str,
    *,
    options: BratsOptions | None = None,
    split: SplitRule | None = None,
    progress: Progress = SILENT,
) -> Prepared:
    """Make an image set of axial slices of NIfTI volumes in the layout of BraTS.

    Parameters
    ----------
    source
        Folder with files such as ``ID/ID_t1.nii.gz`` or ``ID/ID-t2f.nii.gz``.
    out
        Folder for the set; with `split` for the folders ``train`` and ``test``.
    options
        See `BratsOptions`.
    split
        How the patients are divided; None for one set.

    Raises
    ------
    LikenessError
        As `splits.prepare`.
    """
    options = options or BratsOptions()
    return prepare(
        Path(source),
        Path(out),
        lambda folder: plan_brats(folder, options),
        run=options,
        split=split,
        progress=progress,
    )


def plan_brats(source: Path, options: BratsOptions) -> SetPlan:
    """Group the files by patient and decide what the set will hold; no voxel is decoded."""
    rule = options.patient_rule()
    found = scan(source, options.read)
    notes = []
    wanted = options.channels
    if wanted is None:
        present = group_sequences(found.files, layout="brats").channels
        wanted = PAPER_CHANNELS if "seg" in present else PAPER_CHANNELS[:-1]
        if "seg" not in present:
            notes.append("no annotation was found: there is no channel seg")
    optional: set[str] = set()
    if options.missing_annotation == "zero":
        optional.update(ANNOTATIONS)
    if options.missing_sequence == "zero":
        optional.update(set(wanted).difference(ANNOTATIONS))
    groups = group_sequences(found.files, layout="brats", channels=wanted, allow_missing=optional)
    if not groups.groups:
        msg = (
            f"No patient with {', '.join(wanted)} in {str(source)!r}: {found.summary()}. Expected "
            "files such as ID/ID_t1.nii.gz; choose sequences with --channels."
        )
        raise NoImagesError(msg)
    if options.foreground_channel not in ("mean", *wanted):
        msg = f"--foreground-channel is {options.foreground_channel!r}, which is not read."
        raise OptionError(msg)
    patients = assign_patients(
        rule, [group.files[0].text for group in groups.groups], [g.key for g in groups.groups]
    )
    patients.refuse_useless()
    units = [
        Unit(group.files, group.key, patient, channels=group.channels)
        for group, patient in zip(groups.groups, patients.ids, strict=True)
    ]
    own = _own_settings(options, wanted)
    return SetPlan(
        units=units,
        decoder=partial(decode_patient, options=replace(options, channels=wanted)),
        channels=wanted,
        settings={"kind": "brats", **options.source_settings(rule), **own},
        left_out=(*found.left_out, *groups.left_out),
        record={
            "kind": "brats",
            "source": path_text(source.resolve().name),
            "layout": "brats",
            "annotation_channels": [name for name in wanted if name in ANNOTATIONS],
            "transforms": _transforms(own),
            "patient_rule": patients.rule.text,
            "patients": patients.to_record(),
            "notes": notes,
        },
        scan=(found, options.read),
    )


def decode_patient(
    unit: Unit, *, options: BratsOptions
) -> Iterator[DecodedImage | LeftOut | Tally]:
    """Cut the slices of one patient."""
    channels = options.channels or unit.channels
    volumes, notes = _read_volumes(unit, options)
    template = next(iter(volumes.values()))
    scaled: dict[str, Volume] = {}
    for name, volume in volumes.items():
        file = unit.files[unit.channels.index(name)]
        voxels, remark = _scaled(volume.voxels, name, options, file.path)
        scaled[name] = replace(volume, voxels=voxels)
        if remark:
            notes = (*notes, f"{name}: {remark}")
    notes = (*notes, *(f"{name} is missing" for name in channels if name not in scaled))
    judged = scaled if options.foreground_on == "scaled" else volumes
    kept = 0
    for index in range(template.voxels.shape[2]):
        if not _has_foreground(judged, index, options):
            continue
        blank = np.zeros(template.axial_slice(index).shape, np.uint8)
        planes = [scaled[n].axial_slice(index) if n in scaled else blank for n in channels]
        kept += 1
        yield DecodedImage(
            pixels=_resized(_fitted(np.stack(planes), unit, options), channels, options),
            image_id=image_id(unit.key, slice_index=index),
            patient_id=unit.patient_id,
            volume=unit.key,
            slice_index=index,
            notes=notes,
        )
    total = template.voxels.shape[2]
    yield Tally("slices", total)
    yield Tally("slices_below_foreground", total - kept)
    if kept == 0:
        reason = _why_nothing(judged, options)
        for file in unit.files:
            yield LeftOut(file.text, "read", "below_foreground", reason, file.num_bytes)


def _read_volumes(unit: Unit, options: BratsOptions) -> tuple[dict[str, Volume], tuple[str, ...]]:
    volumes: dict[str, Volume] = {}
    for file, name in zip(unit.files, unit.channels, strict=True):
        volume = read_volume(file.path, options.read)
        if volumes:
            first_name, first = next(iter(volumes.items()))
            if volume.voxels.shape != first.voxels.shape:
                reason = (
                    f"{name} has {volume.voxels.shape} voxels, {first_name} {first.voxels.shape}"
                )
                raise UnreadableImageError(file.path, "geometry_differs", reason)
            same_place = np.allclose(volume.affine, first.affine, rtol=0, atol=1e-3)
            if (volume.axcodes is None) != (first.axcodes is None) or not same_place:
                reason = f"{name} and {first_name} do not lie at the same place (affine)"
                raise UnreadableImageError(file.path, "geometry_differs", reason)
        volumes[name] = volume
    return volumes, _joined_notes({name: volume.notes for name, volume in volumes.items()})


def _joined_notes(notes: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the notes of all sequences; one that all share is said once, without their names."""
    shared = [note for note in next(iter(notes.values())) if all(note in n for n in notes.values())]
    single = [
        f"{name}: {note}" for name, own in notes.items() for note in own if note not in shared
    ]
    return tuple(dict.fromkeys([*shared, *single]))


def _scaled(
    voxels: NDArray[Any], name: str, options: BratsOptions, path: Path
) -> tuple[NDArray[np.uint8], str]:
    if name in ANNOTATIONS:
        labels = options.labels or PAPER_LABELS
        if options.labels is None and {3, 4} <= set(np.unique(voxels).tolist()):
            reason = "the annotation has both labels 3 and 4; say what they are with --labels"
            raise UnreadableImageError(path, "unknown_label", reason)
        try:
            return relabel(voxels, labels), ""
        except OptionError as error:
            raise UnreadableImageError(path, "unknown_label", str(error)) from error
    if options.scaling == "none":
        low, high = float(voxels.min()), float(voxels.max())
        if low < 0 or high > 255 or (voxels != np.rint(voxels)).any():
            reason = (
                f"its intensities are {low:g} to {high:g}; without scaling they must be whole "
                "numbers from 0 to 255"
            )
            raise UnreadableImageError(path, "not_8_bit", reason)
        return to_uint8(voxels), ""
    share = options.quantile if options.scaling == "quantile" else 1.0
    top = float(np.quantile(voxels.astype(np.float64), share))
    if top <= 0:
        return np.zeros(voxels.shape, np.uint8), "no intensity above zero"
    remark = "negative intensities became 0" if voxels.min() < 0 else ""
    return rescale_intensity(voxels, 0.0, top), remark


def _has_foreground(volumes: dict[str, Volume], index: int, options: BratsOptions) -> bool:
    names = _judged_names(volumes, options)
    if not names:
        return False
    total = sum(volumes[name].voxels[:, :, index].astype(np.float64) for name in names)
    foreground = np.count_nonzero(total > options.foreground_threshold * len(names))
    # Decimal, not binary: 15 % of 57,600 pixels is 8,640 and not a little less.
    return int(foreground) >= Fraction(str(options.min_foreground)) * int(np.size(total))


def _judged_names(volumes: dict[str, Volume], options: BratsOptions) -> list[str]:
    if options.foreground_channel == "mean":
        return [name for name in volumes if name not in ANNOTATIONS]
    return [name for name in volumes if name == options.foreground_channel]


def _why_nothing(volumes: dict[str, Volume], options: BratsOptions) -> str:
    names = _judged_names(volumes, options)
    highest = max((float(volumes[name].voxels.max()) for name in names), default=0.0)
    return (
        f"no slice has {options.min_foreground:.0%} of its pixels above "
        f"{options.foreground_threshold:g} (the highest intensity is {highest:g})"
    )


def _fitted(planes: NDArray[np.uint8], unit: Unit, options: BratsOptions) -> NDArray[np.uint8]:
    cropped = crop_zero_margin(planes, options.size, options.size)
    if cropped is None:
        rows, columns = planes.shape[1:]
        reason = (
            f"its slices have {rows} x {columns} pixels and are not empty outside the middle "
            f"{options.size} x {options.size}; choose a larger --size"
        )
        raise UnreadableImageError(unit.files[0].path, "larger_than_size", reason)
    return pad_to(cropped, options.size, options.size)


def _resized(
    planes: NDArray[np.uint8], channels: tuple[str, ...], options: BratsOptions
) -> NDArray[np.uint8]:
    if options.resize is None:
        return planes
    side = options.resize
    made = np.empty((len(planes), side, side), np.uint8)
    for number, name in enumerate(channels):
        # Between two labels there is none: an annotation is never interpolated.
        method: Resampling = "nearest" if name in ANNOTATIONS else options.resampling
        made[number] = resize(planes[number : number + 1], side, side, method)[0]
    return made


def _own_settings(options: BratsOptions, channels: tuple[str, ...]) -> dict[str, Any]:
    shared = {*SourceOptions.__dataclass_fields__, "channels", "labels"}
    own = {name: value for name, value in asdict(options).items() if name not in shared}
    labels = options.labels or PAPER_LABELS
    if options.resize is None:  # as sets were described before there was a choice
        del own["resize"], own["resampling"]
    return {
        **own,
        "channels": list(channels),
        "labels": {str(label): labels[label] for label in sorted(labels)},
    }


def _transforms(own: dict[str, Any]) -> list[dict[str, Any]]:
    foreground = {key: own[key] for key in own if "foreground" in key}
    scaling: dict[str, Any] = {"name": "rescale_intensity", "to_255": own["scaling"]}
    if own["scaling"] == "quantile":
        scaling["quantile"] = own["quantile"]
    resizing = []
    if "resize" in own:
        resizing = [{"name": "resize", "size": own["resize"], "resampling": own["resampling"]}]
    return [
        scaling,
        {"name": "relabel", "labels": own["labels"]},
        {"name": "axial_slices", "orientation": "anterior at the top, patient's right on the left"},
        {"name": "keep_foreground", **foreground},
        {"name": "pad_to", "size": own["size"], "value": 0},
        *resizing,
    ]
