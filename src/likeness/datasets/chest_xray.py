"""Chest X-rays of mixed sizes become grey 8-bit images of one size, as in the paper.

The class is the folder (``NORMAL``, ``PNEUMONIA``), the patient is in the file name. Images are
resized to a square without regard to their proportions, as the paper's were.

Source: Akbar, Wang, Eklund 2025, section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.datasets.building import Prepared
from likeness.datasets.names import image_id, path_text
from likeness.datasets.options import SourceOptions
from likeness.datasets.patient_ids import assign_patients
from likeness.datasets.scanning import scan
from likeness.datasets.set_plan import SetPlan
from likeness.datasets.splits import SplitRule, prepare
from likeness.datasets.transforms import (
    GREY_TOLERANCE,
    Resampling,
    is_really_grey,
    luma,
    resize,
)
from likeness.datasets.units import DecodedImage, Unit
from likeness.errors import NoImagesError, OptionError, UnreadableImageError
from likeness.readers import read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES: Final = ("NORMAL", "PNEUMONIA")


@dataclass(frozen=True, kw_only=True)
class ChestXrayOptions(SourceOptions):
    """How `prepare_chest_xray` reads.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    patient_id: str = "cxr"
    """Rule that gives the patient; see `likeness.datasets.patient_ids`."""
    size: int = 256
    """Rows and columns. At least 1."""
    resampling: Resampling = "bicubic"
    """Pillow's filter. The paper names none."""
    grey: Literal["collapse", "luma"] = "collapse"
    """RGB images: take those that are really grey and leave coloured ones out, or turn all to
    grey."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.size < 1:
            msg = f"--size is {self.size}; expected at least 1."
            raise OptionError(msg)
        if self.grey not in ("collapse", "luma"):
            msg = f"--grey is {self.grey!r}; expected 'collapse' or 'luma'."
            raise OptionError(msg)
        if self.resampling not in get_args(Resampling):
            allowed = ", ".join(get_args(Resampling))
            msg = f"--resampling is {self.resampling!r}; expected one of {allowed}."
            raise OptionError(msg)


def prepare_chest_xray(
    source: Path | str,
    out: Path | str,
    *,
    options: ChestXrayOptions | None = None,
    split: SplitRule | None = None,
    progress: Progress = SILENT,
) -> Prepared:
    """Make an image set of chest X-rays in JPEG or PNG files.

    Parameters
    ----------
    source
        Folder, for example with ``NORMAL/*.jpeg`` and ``PNEUMONIA/*.jpeg``.
    out
        Folder for the set; with `split` for the folders ``train`` and ``test``.
    options
        See `ChestXrayOptions`.
    split
        How the patients are divided; None for one set.

    Raises
    ------
    LikenessError
        As `splits.prepare`.
    """
    options = options or ChestXrayOptions()
    return prepare(
        Path(source),
        Path(out),
        lambda folder: plan_chest_xray(folder, options, progress),
        run=options,
        split=split,
        progress=progress,
    )


def plan_chest_xray(
    source: Path, options: ChestXrayOptions, progress: Progress = SILENT
) -> SetPlan:
    """List the images with their patients and classes; no pixel is decoded."""
    rule = options.patient_rule()
    found = scan(source, options.read, progress)
    if not found.files:
        msg = f"No usable image in {str(source)!r}: {found.summary()}."
        raise NoImagesError(msg)
    patients = assign_patients(rule, [file.text for file in found.files])
    if rule.text != "cxr":  # the default, which may find nobody
        patients.refuse_useless()
    units = [
        Unit((file,), file.text, patient, class_of(file.text))
        for file, patient in zip(found.files, patients.ids, strict=True)
    ]
    own = {"size": options.size, "resampling": options.resampling, "grey": options.grey}
    return SetPlan(
        units=units,
        decoder=partial(decode_chest_xray, options=options),
        channels=("grey",),
        settings={"kind": "cxr", **options.source_settings(rule), **own},
        left_out=found.left_out,
        record={
            "kind": "cxr",
            "source": path_text(source.resolve().name),
            "layout": "cxr",
            "transforms": _transforms(options),
            "patient_rule": patients.rule.text,
            "patients": patients.to_record(),
            "notes": [],
        },
        scan=(found, options.read),
    )


def class_of(text: str) -> str | None:
    """Return the class of an image: the folder named like one, nearest to the file, or None."""
    for folder in reversed(text.split("/")[:-1]):
        if folder.upper() in CLASSES:
            return folder.upper()
    return None


def decode_chest_xray(unit: Unit, *, options: ChestXrayOptions) -> Iterator[DecodedImage]:
    """Read one X-ray."""
    path, content = unit.files[0].path, unit.files[0].content
    for page in read_pages(path, options.read, content=content):
        pixels, notes = page.pixels, page.notes
        if pixels.dtype != np.uint8:
            reason = f"its pixels are {pixels.dtype}; expected 8 bits"
            raise UnreadableImageError(path, "not_8_bit", reason)
        if pixels.shape[0] == 3:
            if options.grey == "collapse" and not is_really_grey(pixels):
                reason = "an RGB image that is not grey; --grey luma would take it"
                raise UnreadableImageError(path, "mixed_colour", reason)
            pixels, notes = luma(pixels), (*notes, "RGB turned to grey")
        if pixels.shape[0] != 1:
            reason = f"it has {pixels.shape[0]} channels; expected 1 or 3"
            raise UnreadableImageError(path, "channels", reason)
        yield DecodedImage(
            pixels=resize(pixels, options.size, options.size, options.resampling),
            image_id=image_id(unit.key, member=page.member, slice_index=page.slice_index),
            patient_id=unit.patient_id,
            slice_index=page.slice_index,
            member=page.member,
            notes=notes,
        )


def _transforms(options: ChestXrayOptions) -> list[dict[str, Any]]:
    grey: dict[str, Any] = {"name": "grey", "rule": options.grey, "weights": [0.299, 0.587, 0.114]}
    if options.grey == "collapse":
        grey["tolerance"] = GREY_TOLERANCE
    size = [options.size, options.size]
    return [grey, {"name": "resize", "size": size, "resampling": options.resampling}]
