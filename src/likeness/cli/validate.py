"""`likeness validate`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likeness._validate import Validation, ValidationOptions, plan_validation
from likeness._validate import validate as run_validation
from likeness._validate.page import goal_words
from likeness.cli._console import say
from likeness.cli._options import Output, bytes_from, names_from
from likeness.datasets import ImageSet


def validate(
    *,
    images: Path,
    out: Path,
    seed: int = 0,
    splits: int = 20,
    null_splits: int = 200,
    membership_splits: int = 400,
    per_kind: int = 120,
    controls: int = 600,
    synthetic: int = 1000,
    channels: str | None = None,
    memory: str = "2GiB",
    threads: int | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Try the audit's decisions on an image set whose patients are known.

    Hides altered copies among innocent images, in many random divisions of the patients, and says
    how many are found and how many innocents are accused. Writes validation.html, validation.json
    and tables with numbers only. The same command resumes after an interruption.

    Parameters
    ----------
    images
        Image set with known patients, made by `likeness prepare`; 1,000 patients prove something.
    out
        Folder for the results; never inside the set.
    seed
        Which copies are made and how patients are divided.
    splits
        Random divisions of the patients for sensitivity and false discoveries.
    null_splits
        Divisions for the flags in sets without copies.
    membership_splits
        Divisions for the test of the whole set.
    per_kind
        Altered copies of each kind.
    controls
        Innocent images of each kind.
    synthetic
        Images in each mixture, where there are so many.
    channels
        Channels to compare, for example t1,flair; without it all but annotations.
    memory
        Memory that the search may take, for example 2GiB.
    threads
        Processor cores for the search; all by default.
    dry_run
        Say what would be compared, write nothing.
    """
    options = ValidationOptions(
        seed=seed,
        splits=splits,
        null_splits=null_splits,
        membership_splits=membership_splits,
        per_kind=per_kind,
        controls=controls,
        synthetic=synthetic,
        channels=names_from(channels),
        memory_bytes=bytes_from(memory, "--memory"),
        threads=threads,
    )
    given = ImageSet.open(images)
    if dry_run:
        plan = plan_validation(given, options)
        pairs = plan.num_queries * len(plan.references)
        content = {
            "patients": given.num_patients,
            "references": len(plan.references),
            "queries": {part.name: len(part) for part in plan.parts},
            "pairs": pairs,
            "left_out": list(plan.left_out),
        }
        if output.json:
            say(json_module.dumps(content, indent=2, sort_keys=True))
        else:
            say(
                f"set      {len(given)} images of {given.num_patients} patients",
                f"compare  {plan.num_queries} images with {len(plan.references)}: {pairs} pairs",
                *(f"no       {text}" for text in plan.left_out),
                "dry run: nothing was written",
            )
        return 0
    found = run_validation(given, out, options=options, progress=output.make_progress())
    if output.json:
        say(json_module.dumps(found.to_dict(), indent=2, sort_keys=True))
    else:
        say(*terminal_block(found, out))
    return 0


def terminal_block(found: Validation, out: Path) -> list[str]:
    """Return the end state as lines: the table, where the rest is, what comes next."""
    lines = []
    for row in found.rows:
        if row.reached is None:
            continue
        mark = {"yes": "yes ", "open": "open", "no": "NO  "}[row.answer]
        lines.append(
            f"{mark}  {row.name:<46} {100 * row.estimate:6.1f} %"
            f"  ({100 * row.low:.1f} to {100 * row.high:.1f})  goal {goal_words(row)}"
        )
    return [
        *lines,
        "",
        found.summary(),
        f"wrote {out / 'validation.html'} and {out / 'validation.json'} (numbers only)",
        f"next  open {shlex.quote(str(out / 'validation.html'))} in a browser",
    ]
