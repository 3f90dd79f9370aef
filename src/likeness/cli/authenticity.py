"""`likeness authenticity`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from likeness._neighbours import measure_authenticity
from likeness._neighbours.authenticity import TABLE
from likeness.cli._console import say
from likeness.cli._options import Output, bytes_from, share_from

SOME_LEFT_OUT = 5


def authenticity(
    *,
    synthetic: Path,
    train: Path,
    out: Path,
    flips: bool = True,
    patient_id: str = "auto",
    manifest: Path | None = None,
    engine: str = "auto",
    memory: str = "2GiB",
    threads: int | None = None,
    jobs: int = 1,
    max_skipped: str = "1%",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Measure authenticity (Alaa et al. 2022) among all training images. No verdict.

    A synthetic image is authentic where it is farther from its nearest training image than that
    image is from its own nearest other one: once with the own patient of that image left out, once
    as usual. It is for comparison with published numbers; it lists no copies.

    Parameters
    ----------
    synthetic
        The synthetic images: a folder or an image set.
    train
        The training images, of the same shape and channels.
    out
        Folder for the results.
    flips
        Compare in the eight flips and quarter turns too.
    patient_id
        Rule for the patients of the training images; see `likeness audit --help`.
    manifest
        CSV with the column that --patient-id names.
    engine
        auto, or the name of an engine that `likeness doctor` lists.
    memory
        Memory that the search may take, for example 2GiB.
    threads
        Processor cores; all by default.
    jobs
        Processes that decode files.
    max_skipped
        Share of files per set that may be left out.
    overwrite
        Replace results of other settings in --out.
    """
    result = measure_authenticity(
        synthetic,
        train,
        out=out,
        flips=flips,
        patient_id=patient_id,
        manifest=manifest,
        max_skipped=share_from(max_skipped, "--max-skipped"),
        overwrite=overwrite,
        engine=engine,
        memory_bytes=bytes_from(memory, "--memory"),
        threads=threads,
        jobs=jobs,
        progress=output.make_progress(),
    )
    summary = result.summary
    if output.json:
        say(json_module.dumps(summary, indent=2, sort_keys=True))
    else:
        for role, account in result.accounts.items():
            say(f"{role:<11}{account.summary()}")
        say(
            f"authentic  {_share(summary['own_patient_left_out'])}: own patient left out",
            f"           {_share(summary['all_other_images'])}: all other images, as usual",
            f"  {summary['meaning']}",
        )
        if summary["patients"]:
            say(f"  {summary['own_patient']}")
        else:
            say("  The patients are not known: each image counts as one, and both numbers agree.")
        say(f"wrote      {out / TABLE}")
    return SOME_LEFT_OUT if any(a.num_skipped for a in result.accounts.values()) else 0


def _share(found: dict[str, Any]) -> str:
    if found["share"] is None:
        return "not defined"
    return f"{found['authentic']:,} of {found['images']:,} ({found['share']:.1%})"
