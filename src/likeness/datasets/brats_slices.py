"""The slices of one BraTS patient: read the volumes, scale, choose, pad and resize.

What cannot be used is refused with the file and the reason: volumes that do not lie at the same
place, labels nobody has explained, slices that are larger than the images shall be.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.datasets.accounting import LeftOut
from likeness.datasets.brats_options import PAPER_LABELS, BratsOptions
from likeness.datasets.names import image_id
from likeness.datasets.sequences import ANNOTATIONS
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
from likeness.errors import OptionError, UnreadableImageError
from likeness.readers import read_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likeness.readers import Volume


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
        volume = read_volume(file.path, options.read, content=file.content)
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
