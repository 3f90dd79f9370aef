"""Artificial brain MRI: whole volumes, or only the slices one needs.

Both ways draw a slice with the same code. `brain_patient` fills whole volumes with the arbitrary
intensities of an MR scanner; `brain_slices` makes single 256 x 256 slices on the 0-255 scale that
`prepare brats` would arrive at, without the volume around them. A slice of a volume divided by
`PhantomBrain.gains` is the same picture, up to the rounding of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likeness.datasets.phantoms.anatomy import HALF_WIDTH, Anatomy, Slice, cut, make_anatomy
from likeness.datasets.phantoms.texture import (
    Array32,
    Fields,
    grid_shape,
    ramp,
    smooth_noise,
)
from likeness.errors import OptionError

BrainSequence = Literal["t1", "t2", "flair", "t1ce", "seg"]
BRAIN_SEQUENCES: Final = ("t1", "t2", "flair", "t1ce")
"""The paper's order of channels."""

NATIVE_SIZE: Final = 240
"""Rows and columns of a BraTS volume, 1 mm each."""
NATIVE_SLICES: Final = 155
PADDED_SIZE: Final = 256
_LOWEST: Final = -74.0
"""Height of the first slice, mm."""
_NOISE: Final = 6.0
"""Standard deviation of the noise, of 255."""


@dataclass(frozen=True)
class _Contrast:
    """Brightness of the tissues in one sequence, 0-255."""

    fluid: float
    grey: float
    white: float
    core: float
    rim: float
    oedema: float


_CONTRASTS: Final = {
    "t1": _Contrast(fluid=8, grey=112, white=226, core=84, rim=150, oedema=132),
    "t2": _Contrast(fluid=250, grey=92, white=56, core=205, rim=130, oedema=178),
    "flair": _Contrast(fluid=8, grey=158, white=100, core=118, rim=190, oedema=228),
    "t1ce": _Contrast(fluid=6, grey=94, white=166, core=58, rim=246, oedema=100),
}


@dataclass(frozen=True)
class PhantomBrain:
    """One artificial patient.

    Volumes have the axes of BraTS: the first index runs to the patient's left, the second
    backwards, the third upwards.
    """

    volumes: dict[str, NDArray[np.int16]]
    """Per sequence (I, J, K), 0 outside the brain."""
    seg: NDArray[np.uint8]
    """(I, J, K): 1 tumour core, 2 oedema, 4 enhancing rim."""
    affine: NDArray[np.float64]
    """Voxel to world, mm, RAS+."""
    gains: dict[str, float]
    """Volume = gain x picture on the 0-255 scale."""


def brain_patient(
    seed: int,
    patient: int,
    *,
    size: int = NATIVE_SIZE,
    num_slices: int = NATIVE_SLICES,
    sequences: Sequence[str] = BRAIN_SEQUENCES,
    tumour: bool = True,
) -> PhantomBrain:
    """Make the volumes of one artificial patient.

    Parameters
    ----------
    seed
        Names the whole collection. At least 0.
    patient
        Number of the patient within it, at least 0. The patient does not depend on the others.
    size
        Rows and columns; the 240 mm field of view is divided among them.
    num_slices
        Slices over the 155 mm of height; fewer are further apart, not thicker.
    sequences
        Any of "t1", "t2", "flair", "t1ce".
    tumour
        Whether the patient has one.

    Raises
    ------
    OptionError
        If a number is out of range or a sequence unknown.
    """
    _check(seed, patient, sequences, BRAIN_SEQUENCES)
    _at_least_one(size=size, num_slices=num_slices)
    subject = _subject(seed, patient, tumour)
    spacing = NATIVE_SIZE / size
    shape = (size, size, num_slices)
    volumes = {name: np.zeros(shape, np.int16) for name in sequences}
    seg = np.zeros(shape, np.uint8)
    for k, position in enumerate(slice_positions(num_slices)):
        wanted = (*sequences, "seg")
        for name, rows, columns, picture in _draw(subject, position, size, spacing, wanted):
            place = (columns, rows, k)
            if name == "seg":
                seg[place] = picture.T
            else:
                volumes[name][place] = np.rint(picture.T * np.float32(subject.gains[name]))
    thickness = NATIVE_SLICES / num_slices
    affine = np.diag([-spacing, -spacing, thickness, 1.0])
    affine[1, 3] = (size - 1) * spacing
    gains = {name: subject.gains[name] for name in sequences}
    return PhantomBrain(volumes, seg, affine, gains)


def brain_slices(
    seed: int,
    patient: int,
    positions: Sequence[float] | NDArray[np.float64],
    *,
    sequences: Sequence[str] = BRAIN_SEQUENCES,
    image_size: int = PADDED_SIZE,
    tumour: bool = True,
) -> NDArray[np.uint8]:
    """Make single axial slices of one artificial patient, as prepared for the audit.

    Parameters
    ----------
    seed, patient, tumour
        As in `brain_patient`; equal values name the same patient.
    positions
        Heights in native slices, from 0 to 154, not necessarily whole.
    sequences
        Channels, in the order wanted; "seg" is the annotation as 0, 51, 102, 204.
    image_size
        Rows and columns. At 256 the picture is the native slice with 8 pixels of zeros around.

    Returns
    -------
    array (n, C, image_size, image_size) of uint8
        Seen as the NIfTI reader shows a slice: rows run backwards, columns to the patient's left.

    Raises
    ------
    OptionError
        If a number is out of range or a sequence unknown.
    """
    _check(seed, patient, sequences, get_args(BrainSequence))
    _at_least_one(image_size=image_size)
    beyond = [p for p in positions if not 0 <= p <= NATIVE_SLICES - 1]
    if beyond:
        msg = f"The positions {beyond[:5]} must lie from 0 to {NATIVE_SLICES - 1}."
        raise OptionError(msg)
    subject = _subject(seed, patient, tumour)
    images = np.zeros((len(positions), len(sequences), image_size, image_size), np.uint8)
    spacing = PADDED_SIZE / image_size
    for image, position in zip(images, positions, strict=True):
        drawn = _draw(subject, float(position), image_size, spacing, sequences)
        for channel, (name, rows, columns, picture) in zip(image, drawn, strict=False):
            pixels = picture * 51 if name == "seg" else np.rint(picture)
            channel[rows, columns] = pixels
    return images


def slice_positions(num_slices: int) -> list[float]:
    """Return the heights, in native slices, of slices that share 155 mm evenly."""
    step = NATIVE_SLICES / num_slices
    return [(k + 0.5) * step - 0.5 for k in range(num_slices)]


@dataclass(frozen=True)
class _Subject:
    """A patient in the scanner: shape, and all that makes the intensities particular."""

    seed: int
    patient: int
    anatomy: Anatomy
    contrasts: dict[str, _Contrast]
    shading: Fields
    """Uneven coil sensitivity, one field per sequence."""
    texture: Fields
    """Two fields of fine texture."""
    lumps: Fields
    """Two fields that make tumours irregular; the second decides where vessels are."""
    gains: dict[str, float]


@lru_cache(maxsize=4)
def _subject(seed: int, patient: int, tumour: bool) -> _Subject:  # noqa: FBT001
    rng = np.random.default_rng([seed, patient, 1])
    anatomy = make_anatomy(rng, tumour=tumour)
    rng = np.random.default_rng([seed, patient, 2])
    x, y, z = (half + 5.0 for half in HALF_WIDTH)
    extent = (2 * x, 2 * y, 2 * z)

    def fields(count: int, spacing: float) -> Fields:
        noise = smooth_noise(rng, count, grid_shape(extent, spacing))
        return Fields(noise, spacing, (-x, -y, -z))

    contrasts = {}
    for name, mean in _CONTRASTS.items():
        factors = np.clip(rng.normal(1.0, 0.05, 6), 0.85, 1.15)
        values = np.array(list(vars(mean).values())) * factors
        contrasts[name] = _Contrast(*(float(value) for value in values))
    gains = {name: float(np.exp(rng.uniform(np.log(1.2), np.log(9.0)))) for name in _CONTRASTS}
    return _Subject(
        seed=seed,
        patient=patient,
        anatomy=anatomy,
        contrasts=contrasts,
        shading=fields(len(BRAIN_SEQUENCES), 55.0),
        texture=fields(2, 3.5),
        lumps=fields(2, 9.0),
        gains=gains,
    )


def _draw(
    subject: _Subject, position: float, size: int, spacing: float, sequences: Sequence[str]
) -> Iterator[tuple[str, slice, slice, Array32]]:
    """Yield name, rows, columns and picture (0-255; labels for "seg") of a slice's sequences.

    Only the window that can hold brain is drawn; nothing is yielded where there is none.
    """
    columns, x = _window(size, spacing, subject.anatomy.half_width[0])
    rows, y = _window(size, spacing, subject.anatomy.half_width[1])
    z = position + _LOWEST
    lumps = subject.lumps.at(x, y, z)
    tissue = cut(subject.anatomy, x, y, z, lumps)
    if tissue is None:
        return
    texture = subject.texture.at(x, y, z)
    shading = subject.shading.at(x, y, z)
    for name in sequences:
        if name == "seg":
            picture = _labels(tissue)
        else:
            order = BRAIN_SEQUENCES.index(name)
            picture = _shade(tissue, subject.contrasts[name], texture[order % 2])
            if name == "t1ce":
                _add_vessels(picture, tissue, lumps[1])
            picture *= 1.0 + np.float32(0.07) * shading[order]
            key = [subject.seed, subject.patient, 3 + order, round((position + 1000.0) * 1000.0)]
            noise = np.random.default_rng(key).standard_normal(picture.shape, dtype=np.float32)
            picture += np.float32(_NOISE) * noise
            picture *= tissue.head
            np.clip(picture, 0.0, 255.0, out=picture)
        yield name, rows, columns, picture


def _window(size: int, spacing: float, reach: float) -> tuple[slice, tuple[float, float, int]]:
    """Return the pixels within `reach` of the middle: their slice; first, step and number."""
    middle = (size - 1) / 2
    first = max(0, int(np.ceil(middle - reach / spacing)))
    stop = size - first
    return slice(first, stop), ((first - middle) * spacing, spacing, stop - first)


def _shade(tissue: Slice, contrast: _Contrast, texture: Array32) -> Array32:
    """Mix the brightness of the tissues by their shares."""
    picture = contrast.fluid + np.float32(contrast.grey - contrast.fluid) * tissue.brain
    picture += np.float32(contrast.white - contrast.grey) * tissue.white
    picture += tissue.oedema * tissue.brain * (np.float32(contrast.oedema) - picture)
    picture += tissue.core * (np.float32(contrast.core) - picture)
    picture += tissue.rim * (np.float32(contrast.rim) - picture)
    rough = np.float32(0.075) + np.float32(0.08) * (tissue.core + tissue.rim + tissue.oedema)
    picture *= 1.0 + rough * texture
    return picture


def _add_vessels(picture: Array32, tissue: Slice, where: Array32) -> None:
    """Vessels run in the sulci and light up with contrast agent."""
    vessel = ramp(0.8 - tissue.fold, 1.0) * ramp(where - np.float32(0.9), 0.4)
    vessel *= ramp(14.0 - tissue.depth, 4.0) * (1.0 - tissue.brain)
    picture += vessel * (np.float32(250.0) - picture)


def _labels(tissue: Slice) -> Array32:
    labels = np.where(tissue.oedema > 0.35, np.float32(2), np.float32(0))
    labels[tissue.rim > 0.5] = 4
    labels[tissue.core >= 0.5] = 1
    return labels * (tissue.head > 0)


def _check(seed: int, patient: int, sequences: Sequence[str], known: Sequence[str]) -> None:
    if seed < 0 or patient < 0:
        msg = f"seed {seed} and patient {patient} must both be 0 or more."
        raise OptionError(msg)
    unknown = [name for name in sequences if name not in known]
    if unknown or len(set(sequences)) < len(sequences):
        msg = f"The sequences {list(sequences)} must be different ones of {list(known)}."
        raise OptionError(msg)


def _at_least_one(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            msg = f"{name} is {value}; it must be at least 1."
            raise OptionError(msg)
