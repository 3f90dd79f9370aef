"""`likeness duplicates`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likeness._neighbours import find_duplicates, wording
from likeness._neighbours.duplicates import PAGE
from likeness.cli._console import say
from likeness.cli._options import Output, bytes_from, share_from

FOUND, SOME_LEFT_OUT = 1, 5


def duplicates(
    images: Path,
    *,
    out: Path,
    against: Path | None = None,
    near_duplicate: float = 0.995,
    flips: bool = True,
    patient_id: str = "auto",
    manifest: Path | None = None,
    pairs: int = 40,
    fail_on: Annotated[Literal["duplicates"] | None, Parameter(show_choices=True)] = None,
    engine: str = "auto",
    memory: str = "2GiB",
    threads: int | None = None,
    jobs: int = 1,
    max_skipped: str = "1%",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Find pictures and people that are there twice, in one set or in two.

    Every image is compared with every image of other patients; nothing is sampled. Equal pixels,
    almost equal pictures, people under several ids, and the most similar other patient of everybody
    go into tables and a page with the pairs side by side. The same command resumes after an
    interruption.

    Parameters
    ----------
    images
        A folder of images or an image set.
    out
        Folder for the results. They hold pictures and ids of patients.
    against
        A second set: find what of the first is in it too, for example test images in the training
        set.
    near_duplicate
        r at 64 x 64 from which pictures of different patients are almost equal.
    flips
        Compare in the eight flips and quarter turns too.
    patient_id
        Rule for the patients; see `likeness audit --help`. `none` for synthetic images.
    manifest
        CSV with the column that --patient-id names.
    pairs
        Pairs shown with pictures.
    fail_on
        Leave with exit code 1 when anything is there twice.
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
    result = find_duplicates(
        images,
        against,
        out=out,
        limit=near_duplicate,
        flips=flips,
        patient_id=patient_id,
        manifest=manifest,
        pairs_shown=pairs,
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
            f"compared   {wording.compared(summary)} {summary['compared']['engine']}",
            f"nearest    {wording.highest(summary)}",
            wording.heading(summary).upper(),
            *(f"  {line}" for line in wording.sentences(summary)),
            f"wrote      {out / PAGE} (pictures and ids of patients: do not share)",
            f"           {out}: pairs.parquet, images.parquet, patients.parquet, duplicates.json",
        )
        if summary["patients"]["one_person"]:
            say("next       look at the pairs; give one person one id, and split anew")
    if fail_on == "duplicates" and result.found:
        return FOUND
    return SOME_LEFT_OUT if any(a.num_skipped for a in result.accounts.values()) else 0
