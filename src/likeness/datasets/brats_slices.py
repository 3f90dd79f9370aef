"""The slices of one BraTS patient: read the volumes, scale, choose, pad and resize.

What cannot be used is refused with the file and the reason: volumes that do not lie at the same
place, labels nobody has explained, slices that are larger than the images shall be.
"""

from __future__ import annotations

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
    resize,
)
from likeness.datasets.units import DecodedImage, Tally, Unit
from likeness.datasets.volume_intensities import (
    ToBytes,
    as_they_are,
    labels_of,
    relabelled,
    scaled_to_quantile,
)
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
    to_bytes: dict[str, ToBytes] = {}
    for name, volume in volumes.items():
        file = unit.files[unit.channels.index(name)]
        to_bytes[name], remark = _to_bytes(volume.voxels, name, options, file.path)
        if remark:
            notes = (*notes, f"{name}: {remark}")
    notes = (*notes, *(f"{name} is missing" for name in channels if name not in volumes))
    judged = _judged_names(volumes, options)
    kept, depth = 0, template.voxels.shape[2]
    for index in range(depth):
        planes = {name: volumes[name].axial_view(index) for name in judged}
        if options.foreground_on == "scaled":
            planes = {name: to_bytes[name](plane) for name, plane in planes.items()}
        if not _has_foreground(list(planes.values()), options):
            continue
        for name in channels:
            if name not in volumes:
                planes[name] = np.zeros(template.axial_view(index).shape, np.uint8)
            elif name not in planes or options.foreground_on != "scaled":
                planes[name] = to_bytes[name](volumes[name].axial_view(index))
        kept += 1
        pixels = _fitted(np.stack([planes[name] for name in channels]), unit, options)
        yield DecodedImage(
            pixels=_resized(pixels, channels, options),
            image_id=image_id(unit.key, slice_index=index),
            patient_id=unit.patient_id,
            volume=unit.key,
            slice_index=index,
            notes=notes,
        )
    yield Tally("slices", depth)
    yield Tally("slices_below_foreground", depth - kept)
    if kept == 0:
        voxels = [volumes[name].voxels for name in judged]
        if options.foreground_on == "scaled":
            voxels = [to_bytes[name](each) for name, each in zip(judged, voxels, strict=True)]
        reason = _why_nothing(voxels, options)
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


def _to_bytes(
    voxels: NDArray[Any], name: str, options: BratsOptions, path: Path
) -> tuple[ToBytes, str]:
    """Decide how a sequence's intensities or labels become bytes; the second is a remark."""
    if name in ANNOTATIONS:
        labels = options.labels or PAPER_LABELS
        found = labels_of(voxels)
        if options.labels is None and {3, 4} <= set(found.tolist()):
            reason = "the annotation has both labels 3 and 4; say what they are with --labels"
            raise UnreadableImageError(path, "unknown_label", reason)
        try:
            return relabelled(voxels, found, labels), ""
        except OptionError as error:
            raise UnreadableImageError(path, "unknown_label", str(error)) from error
    if options.scaling == "none":
        kept = as_they_are(voxels)
        if isinstance(kept, tuple):
            low, high = kept
            reason = (
                f"its intensities are {low:g} to {high:g}; without scaling they must be whole "
                "numbers from 0 to 255"
            )
            raise UnreadableImageError(path, "not_8_bit", reason)
        return kept, ""
    return scaled_to_quantile(voxels, options.quantile if options.scaling == "quantile" else 1.0)


def _judged_names(volumes: dict[str, Volume], options: BratsOptions) -> list[str]:
    if options.foreground_channel == "mean":
        return [name for name in volumes if name not in ANNOTATIONS]
    return [name for name in volumes if name == options.foreground_channel]


def _has_foreground(planes: list[NDArray[Any]], options: BratsOptions) -> bool:
    """Tell whether enough pixels of some channels of a slice exceed the threshold on average."""
    if not planes:
        return False
    small = all(plane.dtype.kind in "iu" and plane.dtype.itemsize <= 2 for plane in planes)
    total = np.zeros(planes[0].shape, np.int32 if small else np.float64)
    for plane in planes:
        total += plane
    foreground = np.count_nonzero(total > options.foreground_threshold * len(planes))
    # Decimal, not binary: 15 % of 57,600 pixels is 8,640 and not a little less.
    return int(foreground) >= Fraction(str(options.min_foreground)) * int(total.size)


def _why_nothing(judged: list[NDArray[Any]], options: BratsOptions) -> str:
    highest = max((float(voxels.max()) for voxels in judged), default=0.0)
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
