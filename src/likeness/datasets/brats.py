"""BraTS volumes become axial slices of several channels, as in the paper.

For each patient: read the sequences, scale each one to 0..255, cut axial slices, keep those with
enough foreground, pad them with zeros to 256 x 256; the labels 1, 2, 4 of the annotation become 51,
102, 204. The paper does not say which channel the foreground rule looks at, nor how intensities are
scaled; both are options (`brats_options`), and the record holds what was done.

Here the files are grouped by patient and the set is planned; `brats_slices` cuts the slices.

Source: Akbar, Wang, Eklund 2025, section 2.1.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from likeness._progress import SILENT, Progress
from likeness.datasets.brats_options import PAPER_LABELS, BratsOptions
from likeness.datasets.brats_slices import decode_patient
from likeness.datasets.building import Prepared
from likeness.datasets.names import path_text
from likeness.datasets.options import SourceOptions
from likeness.datasets.patient_ids import assign_patients
from likeness.datasets.scanning import scan
from likeness.datasets.sequences import ANNOTATIONS, PAPER_CHANNELS, group_sequences
from likeness.datasets.set_plan import SetPlan
from likeness.datasets.splits import SplitRule, prepare
from likeness.datasets.units import Unit
from likeness.errors import NoImagesError, OptionError


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
        lambda folder: plan_brats(folder, options, progress),
        run=options,
        split=split,
        progress=progress,
    )


def plan_brats(source: Path, options: BratsOptions, progress: Progress = SILENT) -> SetPlan:
    """Group the files by patient and decide what the set will hold; no voxel is decoded."""
    rule = options.patient_rule()
    found = scan(source, options.read, progress)
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
