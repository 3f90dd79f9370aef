"""Keep what lies above the sets of a split true when one of them changes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness._files import write_json, write_text
from likeness.datasets.accounting import left_out_lines
from likeness.datasets.layout import LEFT_OUT, SPLIT_RECORD
from likeness.errors import SplitOverlapError

if TYPE_CHECKING:
    from likeness.datasets._mentions import Mentions
    from likeness.datasets.image_set import ImageSet


def refuse_patients_of_other_parts(folder: Path, patients: set[str]) -> None:
    """Raise if one of the patients is in another part of the split that a set belongs to.

    Raises
    ------
    SplitOverlapError
        With the patient and the part.
    """
    parts = _read(folder).get("sets", {})
    if folder.resolve().name not in parts:
        return
    for name, part in parts.items():
        shared = patients.intersection(part["patients"])
        if name != folder.resolve().name and shared:
            msg = (
                f"The patient {min(shared)!r} is in {name!r}, another part of the split that "
                f"{str(folder)!r} belongs to. Put all images of a patient on one side."
            )
            raise SplitOverlapError(msg)


def part_of_split(images: ImageSet) -> dict[str, Any]:
    """Return what ``split.json`` says about one of its sets."""
    return {
        "num_images": len(images),
        "num_patients": images.num_patients,
        "fingerprint": images.fingerprint,
        "patients": sorted(images.patient_names),
    }


def update_split(folder: Path, part: dict[str, Any]) -> None:
    """Write what the set in a folder holds now, if it belongs to a split."""
    record, name = _read(folder), folder.resolve().name
    if name in record.get("sets", {}):
        record["sets"][name] = part
        write_json(folder.resolve().parent / SPLIT_RECORD, record, private=True)


def scrub_split(folder: Path, mentions: Mentions) -> None:
    """Take the patients' files out of the account of the whole split, but for their number."""
    path = folder.resolve().parent / LEFT_OUT
    if folder.resolve().name not in _read(folder).get("sets", {}) or not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as stream:
        head, *lines = csv.reader(stream)
    scrubbed = [
        ["removed", stage, code, "its name was removed on request", "", sha256]
        if mentions(where) or mentions(reason)
        else [where, stage, code, reason, num_bytes, sha256]
        for where, stage, code, reason, num_bytes, sha256 in lines
    ]
    if scrubbed != lines:
        write_text(path, left_out_lines([head, *scrubbed]), private=True)


def _read(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder.resolve().parent / SPLIT_RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
