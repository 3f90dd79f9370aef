"""`likeness append`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness.cli._console import say
from likeness.cli._options import Output, readable_bytes, share_from
from likeness.cli._preparing import SOME_LEFT_OUT
from likeness.datasets.appending import Appended, plan_addition
from likeness.datasets.appending import append as append_images
from likeness.datasets.options import RunOptions


def append(
    path: Path,
    source: Path,
    /,
    *,
    manifest: Path | None = None,
    jobs: int = 1,
    max_skipped: str = "1%",
    strict: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Add more images to an image set, read as its own were; files that it knows are passed over.

    Nothing that is there is written again. A run that is interrupted leaves the set as it was, and
    goes on where it stopped when it is started again.

    Parameters
    ----------
    path
        Folder that `likeness prepare` wrote.
    source
        A folder or file of new images; it may hold the old ones too.
    manifest
        CSV file that names the patients, if the set was prepared with one.
    jobs
        Processes that decode.
    max_skipped
        Share of the new files that may be left out because they cannot be used.
    strict
        Stop at the first file that cannot be used.
    dry_run
        Read names and headers only; print what would be added, write nothing.
    """
    if dry_run:
        plan, num_known = plan_addition(
            path, source, manifest=manifest, progress=output.make_progress()
        )
        patients = {unit.patient_id for unit in plan.units} - {None}
        forecast = {
            "files": len(plan.files),
            "bytes": sum(file.num_bytes for file in plan.files),
            "known_files": num_known,
            "images_or_volumes": len(plan.units),
            "patients": len(patients),
        }
        if output.json:
            say(json_module.dumps(forecast, indent=2, sort_keys=True))
        else:
            say(
                f"would read {forecast['files']} new files "
                f"({readable_bytes(forecast['bytes'])}) of {len(patients)} patients",
                f"passed over {num_known} files that the set knows",
                f"would add to {path}; nothing was written",
            )
        return 0
    options = RunOptions(
        jobs=jobs, max_skipped=share_from(max_skipped, "--max-skipped"), strict=strict
    )
    added = append_images(
        path, source, manifest=manifest, run=options, progress=output.make_progress()
    )
    if output.json:
        content = {
            "path": str(path),
            "added": added.num_images,
            "new_patients": added.num_patients,
            "known_files": added.num_known_files,
            "images": len(added.image_set),
            "found": added.accounting.found,
            "used": added.accounting.used,
            "left_out": len(added.accounting.left_out),
            "fingerprint": added.image_set.fingerprint,
        }
        say(json_module.dumps(content, indent=2, sort_keys=True))
    else:
        say(*_describe(added, path))
    return SOME_LEFT_OUT if added.accounting.num_skipped else 0


def _describe(added: Appended, path: Path) -> list[str]:
    lines = []
    if added.num_known_files:
        lines.append(f"known      {added.num_known_files} files are in the account already")
    if added.accounting.found:
        lines.append(f"new        {added.accounting.summary()}")
    lines.append(
        f"added      {added.num_images} images, {added.num_patients} new patients"
        if added.num_images
        else "added      nothing"
    )
    images = added.image_set
    patients = f"{images.num_patients} patients" if images.has_patient_ids else "no patient ids"
    return [*lines, f"{path} now holds {len(images)} images, {patients}"]
