"""`likeness inspect`."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from likeness.cli._console import say
from likeness.cli._options import Output, readable_bytes
from likeness.datasets import Inspection, inspect_path
from likeness.errors import NoImagesError

SOME_LEFT_OUT = 5
SHOWN = 5


def inspect(
    path: Path,
    /,
    *,
    patient_id: str = "auto",
    manifest: Path | None = None,
    decode: bool = True,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Say what would be read from a folder: formats, shapes, patients, problems.

    Nothing is changed or written.

    Parameters
    ----------
    path
        A folder, a file or an image set.
    patient_id
        Rule for the patient: auto, none, parent-folder, bids, brats, cxr,
        regex:(...), column:NAME.
    manifest
        CSV file for column:NAME.
    decode
        Decode every image, which finds damaged files and duplicates; otherwise headers only.
    """
    found = inspect_path(
        path,
        patient_id=patient_id,
        manifest=manifest,
        decode=decode,
        progress=output.make_progress(),
    )
    if output.json:
        say(json_module.dumps(found.to_dict(), indent=2, sort_keys=True, default=str))
    else:
        say(*_describe(found))
    if not found.num_images:
        msg = f"0 usable images in {str(path)!r}: {found.accounting.summary()}."
        raise NoImagesError(msg)
    return SOME_LEFT_OUT if found.accounting.num_skipped else 0


def _describe(found: Inspection) -> list[str]:
    lines = [f"{found.path}: {found.layout}", found.accounting.summary()]
    if found.formats:
        formats = (f"{name} {count}" for name, count in found.formats.items())
        lines.append("formats    " + ", ".join(formats))
    for kind in found.kinds[:SHOWN]:
        shape = " x ".join(map(str, kind.shape))
        lines.append(
            f"images     {kind.num_images} of {shape} {kind.dtype} in {kind.num_files} files"
        )
    if len(found.kinds) > SHOWN:
        lines.append(f"           and {len(found.kinds) - SHOWN} other shapes")
    if found.channels:
        lines.append("channels   " + ", ".join(found.channels))
    if found.mean is not None:
        lines.append(f"intensity  {found.minimum:g} to {found.maximum:g}, mean {found.mean:.4g}")
    lines += _patients(found)
    if found.duplicates:
        extra = sum(len(group) - 1 for group in found.duplicates)
        lines.append(
            f"duplicates {len(found.duplicates)} "
            f"{'group' if len(found.duplicates) == 1 else 'groups'} of equal images, {extra} extra"
        )
        lines += [f"           {' = '.join(group[:4])}" for group in found.duplicates[:SHOWN]]
    skipped = [item for item in found.accounting.left_out if not item.by_rule]
    lines += [f"left out   {item.path}: {item.reason} [{item.code}]" for item in skipped[:SHOWN]]
    if len(skipped) > SHOWN:
        lines.append(f"           and {len(skipped) - SHOWN} more")
    lines += [f"note       {note}" for note in found.notes[:SHOWN]]
    if found.kinds:
        lines.append(_forecast(found))
    lines.append(f"next       {found.suggestion}")
    return lines


def _patients(found: Inspection) -> list[str]:
    if found.patient_rule == "none":
        return [
            "patients   not known: no rule was recognised, every image counts as a patient of its "
            "own",
            "           say who is who with --patient-id, for example parent-folder or "
            "'regex:(P[0-9]+)_'",
        ]
    lines = [
        f"patients   {found.num_patients} by rule {found.patient_rule}, "
        f"{found.patient_coverage:.0%} of the images covered"
    ]
    lines += [f"           {patient} from {key}" for key, patient in found.patient_examples]
    if found.patient_uncovered is not None:
        lines.append(f"           nobody from {found.patient_uncovered}: the rule does not fit")
    return lines


def _forecast(found: Inspection) -> str:
    return (
        f"forecast   {readable_bytes(found.disk_bytes)} on disk when prepared, "
        f"{readable_bytes(found.memory_bytes)} memory"
    )
