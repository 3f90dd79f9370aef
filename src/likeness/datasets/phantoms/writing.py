"""Phantoms as files, in the layouts of the real collections."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import make_folder, write_bytes
from likeness._progress import SilentTask, Task
from likeness.datasets.phantoms.brain import (
    BRAIN_SEQUENCES,
    NATIVE_SIZE,
    NATIVE_SLICES,
    brain_patient,
)
from likeness.datasets.phantoms.chest import chest_image, chest_patient
from likeness.errors import OptionError

_JPEG_QUALITY: Final = 90
_COLOUR_SHARE: Final = 0.7
"""Share of the chest images stored as RGB though they are grey, about as in the real set."""


def write_brats(
    folder: Path,
    *,
    seed: int,
    patients: int | Iterable[int],
    size: int = NATIVE_SIZE,
    num_slices: int = NATIVE_SLICES,
    sequences: tuple[str, ...] = BRAIN_SEQUENCES,
    tumour: bool = True,
    task: Task | None = None,
) -> list[Path]:
    """Write artificial patients as NIfTI volumes in the layout of BraTS.

    Parameters
    ----------
    folder
        Gets ``BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz`` and so on; made if absent.
    seed
        Names the collection, see `brain_patient`.
    patients
        How many, from patient 0, or which ones. Patient p has the number p + 1 in its name.
    size, num_slices, sequences, tumour
        As in `brain_patient`. ``seg`` is always written, as uint8; the sequences are int16.
    task
        Advances by 1 per patient.

    Returns
    -------
    list of Path
        The patients' folders.

    Raises
    ------
    OptionError
        If a number is out of range, a patient given twice, or a sequence unknown.
    OutputError
        If the files cannot be written.
    """
    written = []
    for patient in _numbers(patients):
        brain = brain_patient(
            seed, patient, size=size, num_slices=num_slices, sequences=sequences, tumour=tumour
        )
        name = f"BraTS20_Training_{patient + 1:03d}"
        make_folder(folder / name)
        for sequence, volume in {**brain.volumes, "seg": brain.seg}.items():
            path = folder / name / f"{name}_{sequence}.nii.gz"
            write_bytes(path, _nifti_bytes(volume, brain.affine))
        written.append(folder / name)
        (task or SilentTask()).advance()
    return written


def write_chest(
    folder: Path,
    *,
    seed: int,
    patients: int | Iterable[int],
    task: Task | None = None,
) -> list[Path]:
    """Write artificial chest radiographs as JPEG files in the layout of the real collection.

    Half of the patients are in ``NORMAL``, half in ``PNEUMONIA``; a few have several images. Sizes
    are mixed; most files are RGB though grey, the others grey.

    Parameters
    ----------
    folder
        Gets ``NORMAL/IM-0001-0001.jpeg``, ``PNEUMONIA/person2_bacteria_1.jpeg`` and so on.
    seed
        Names the collection, see `chest_image`.
    patients
        How many, from patient 0, or which ones. Patient p has the number p + 1 in its name.
    task
        Advances by 1 per patient.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OptionError
        If a number is out of range or a patient given twice.
    OutputError
        If the files cannot be written.
    """
    written = []
    for patient in _numbers(patients):
        about = chest_patient(seed, patient)
        make_folder(folder / about.group)
        for view in range(about.num_views):
            if about.group == "NORMAL":
                name = f"IM-{patient + 1:04d}-{view + 1:04d}.jpeg"
            else:
                name = f"person{patient + 1}_{about.cause}_{view + 1}.jpeg"
            picture = chest_image(seed, patient, view)
            colour = np.random.default_rng([seed, patient, 100, view]).uniform() < _COLOUR_SHARE
            path = folder / about.group / name
            write_bytes(path, _jpeg_bytes(picture, colour=bool(colour)))
            written.append(path)
        (task or SilentTask()).advance()
    return written


def _numbers(patients: int | Iterable[int]) -> list[int]:
    numbers = list(range(patients) if isinstance(patients, int) else patients)
    if len(set(numbers)) < len(numbers):
        msg = f"The patients {numbers} must differ from each other."
        raise OptionError(msg)
    return numbers


def _nifti_bytes(volume: Any, affine: Any) -> bytes:  # noqa: ANN401
    import gzip

    import nibabel  # here, so that importing Likeness stays cheap

    image = nibabel.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm", "sec")
    # No time stamp, so that equal phantoms are equal files.
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _jpeg_bytes(picture: Any, *, colour: bool) -> bytes:  # noqa: ANN401
    import io

    from PIL import Image

    image = Image.fromarray(picture)
    stream = io.BytesIO()
    (image.convert("RGB") if colour else image).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()
