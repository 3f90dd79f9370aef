"""What the `likeness prepare` verbs share: flags, the dry run, and what is said at the end."""

from __future__ import annotations

import json as json_module
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from likeness.cli._console import say
from likeness.cli._options import Output, readable_bytes, share_from
from likeness.datasets import Prepared, SplitRule
from likeness.datasets.inspection import notes_by_kind
from likeness.datasets.layout import MANIFEST, place
from likeness.datasets.manifest import read_table
from likeness.datasets.output_folder import check_out
from likeness.datasets.set_plan import SetPlan
from likeness.datasets.splits import split_plan
from likeness.errors import OptionError

SOME_LEFT_OUT = 5
SHOWN_NOTES = 8


@Parameter(name="*")
@dataclass(frozen=True)
class Making:
    """Flags that every preparation takes."""

    out: Path
    """Folder for the image set; never inside the source. With a split, for train and test."""
    test_patients: str | None = None
    """Hold out patients as a test set: a number such as 56, or a share such as 0.2."""
    split: Path | None = None
    """CSV with patient_id or path, and split: who goes where."""
    seed: int = 0
    """Which patients are held out."""
    manifest: Path | None = None
    """CSV file for --patient-id column:NAME."""
    jobs: int = 1
    """Processes that decode."""
    max_skipped: str = "1%"
    """Share of files that may be left out because they cannot be used."""
    strict: Annotated[bool, Parameter(negative="")] = False
    """Stop at the first file that cannot be used."""
    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace a set that was made with other options."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Read names and headers only; print what would be made, write nothing."""

    def source_options(self) -> dict[str, Any]:
        """Return the options in the form the library takes."""
        return {
            "manifest": self.manifest,
            "jobs": self.jobs,
            "max_skipped": share_from(self.max_skipped, "--max-skipped"),
            "strict": self.strict,
            "overwrite": self.overwrite,
        }

    def split_rule(self) -> SplitRule | None:
        """Return how patients are divided, or None."""
        if self.test_patients is None and self.split is None:
            return None
        number, share = None, None
        if self.test_patients is not None:
            if self.test_patients.isdigit():
                number = int(self.test_patients)
            else:
                share = _share_of_patients(self.test_patients)
        return SplitRule(number, share, self.split, self.seed)


def carry_out(
    source: Path,
    making: Making,
    output: Output,
    *,
    plan: Callable[[], SetPlan],
    make: Callable[[SplitRule | None], Prepared],
) -> int:
    rule = making.split_rule()
    if making.dry_run:
        check_out(source, making.out)
        planned = plan()
        parts = {"all": planned} if rule is None else split_plan(planned, rule)
        forecast = _forecast(planned, parts, making.out)
        say(
            *(
                [json_module.dumps(forecast, indent=2, sort_keys=True)]
                if output.json
                else _describe_forecast(forecast)
            )
        )
        return 0
    prepared = make(rule)
    paths = {name: str(images.path) for name, images in prepared.sets.items()}
    if output.json:
        content = {
            "sets": {
                name: {
                    "path": paths[name],
                    "images": len(images),
                    "patients": images.num_patients if images.has_patient_ids else None,
                    "shape": list(images.image_shape),
                    "dtype": str(images.dtype),
                    "channels": list(images.channels),
                }
                for name, images in prepared.sets.items()
            },
            "found": prepared.accounting.found,
            "used": prepared.accounting.used,
            "left_out": len(prepared.accounting.left_out),
            "tallies": prepared.tallies,
        }
        say(json_module.dumps(content, indent=2, sort_keys=True))
    else:
        say(*_describe(prepared))
        if rule is not None and rule.test_patients is not None:
            held_out = prepared.sets["test"].num_patients if "test" in prepared.sets else 0
            empty = rule.test_patients - held_out
            if empty > 0:
                say(
                    f"note       {rule.test_patients} patients were held out; {empty} of them "
                    f"{'has' if empty == 1 else 'have'} no image that passes the rules"
                )
    return SOME_LEFT_OUT if prepared.accounting.num_skipped else 0


def _forecast(planned: SetPlan, parts: dict[str, SetPlan], out: Path) -> dict[str, Any]:
    return {
        "files": len(planned.files),
        "bytes": sum(file.num_bytes for file in planned.files),
        "left_out": len(planned.left_out),
        "channels": list(planned.channels),
        "patient_rule": planned.record["patient_rule"],
        "sets": {
            name: {
                "images_or_volumes": len(part.units),
                "patients": len({u.patient_id for u in part.units if u.patient_id is not None}),
            }
            for name, part in parts.items()
        },
        "out": str(out),
    }


def _describe_forecast(forecast: dict[str, Any]) -> list[str]:
    lines = [
        f"would read {forecast['files']} files ({readable_bytes(forecast['bytes'])}); channels "
        f"{', '.join(forecast['channels'])}",
        f"left out   {forecast['left_out']} files, more if some cannot be decoded",
    ]
    for name, part in forecast["sets"].items():
        patients = f"{part['patients']} patients" if part["patients"] else "no patient ids"
        lines.append(f"{name:<10} {part['images_or_volumes']} images or volumes, {patients}")
    return [
        *lines,
        f"patients   by rule {forecast['patient_rule']}",
        f"would write to {forecast['out']}; nothing was written",
    ]


def _describe(prepared: Prepared) -> list[str]:
    lines = [prepared.accounting.summary()]
    if prepared.tallies:
        lines.append("           " + ", ".join(f"{k} {v}" for k, v in prepared.tallies.items()))
    record = next(iter(prepared.sets.values())).record
    known = record.get("patients", {})
    if "coverage" in known:
        lines.append(f"patients   by rule {known['rule']}, {known['coverage']:.0%} covered")
    lines += [f"           {patient} from {key}" for key, patient in known.get("examples", ())]
    lines += [f"note       {note}" for note in record.get("notes", ())]
    lines += _image_notes(prepared)
    for name, images in prepared.sets.items():
        channels, height, width = images.image_shape
        patients = f"{images.num_patients} patients" if images.has_patient_ids else "no patient ids"
        lines.append(
            f"{name:<10} {len(images)} images {channels} x {height} x {width} {images.dtype}, "
            f"{patients}, channels {', '.join(images.channels)}"
        )
        lines.append(f"           wrote {images.path}")
    first = shlex.quote(str(next(iter(prepared.sets.values())).path))
    if set(prepared.sets) == {"train", "test"}:
        test = shlex.quote(str(prepared.sets["test"].path))
        lines.append(
            f"next       likeness audit --train {first} --test {test} --synthetic ... --out audit"
        )
    else:
        lines.append(
            f"next       likeness audit, with {first} after --train, --test or --synthetic"
        )
    return lines


def _image_notes(prepared: Prepared) -> list[str]:
    """Say what was done to images as they were read, once per kind of remark."""
    counts: Counter[str] = Counter()
    for images in prepared.sets.values():
        if images.path is not None:
            for notes in read_table(place(images.path, MANIFEST), ["notes"])["notes"]:
                counts.update(notes)
    shown = notes_by_kind(counts)[:SHOWN_NOTES]
    return [f"note       {note} ({count:,} images)" for note, count in shown]


def _share_of_patients(text: str) -> float:
    try:
        return share_from(text, "--test-patients")
    except OptionError as error:
        msg = f"--test-patients is {text!r}; give a number such as 56, or a share such as 0.2."
        raise OptionError(msg) from error
