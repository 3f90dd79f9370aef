"""`likeness audit`."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likeness._audit import AuditOptions, plan_audit
from likeness._audit import audit as run_audit
from likeness._findings import Check, Findings
from likeness.cli._console import remark, say
from likeness.cli._options import Output, bytes_from, names_from, share_from

FOUND, NO_VERDICT, SOME_LEFT_OUT = 1, 4, 5


def audit(
    *,
    train: Path,
    synthetic: Path,
    out: Path,
    test: Path | None = None,
    fdr: float = 0.05,
    patient_id: str = "auto",
    manifest: Path | None = None,
    channels: str | None = None,
    flips: bool = True,
    top_k: int = 20,
    top_patients: int = 2,
    train_sample: int = 20_000,
    local_sample: int = 2_000,
    self_check: bool = True,
    planted: int = 200,
    permutations: int = 9_999,
    strata: Annotated[Literal["class"] | None, Parameter(show_choices=True)] = None,
    near_duplicate: float = 0.995,
    evidence: int = 60,
    closer_look: int = 20,
    max_skipped: str = "1%",
    strict: bool = False,
    seed: int = 0,
    engine: str = "auto",
    memory: str = "2GiB",
    threads: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    fail_on: Annotated[Literal["copies"] | None, Parameter(show_choices=True)] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Search every synthetic image among all training images; write verdict and report.

    The same command resumes after an interruption. Everything stays on this machine, unless
    --cluster names others.

    Parameters
    ----------
    train
        Images the generator was trained on: a folder, or a set made by `likeness prepare`.
    synthetic
        Images to be judged.
    out
        Folder for findings, tables and the report; never inside an input.
    test
        Images of patients held out from the training, prepared alike. They allow a statement on
        the set as a whole; without them the verdict speaks of copies only.
    fdr
        Of the images listed as copies, at most this share is expected to be listed by mistake.
    patient_id
        Rule for the patient of an image: auto, none, parent-folder, bids, brats,
        cxr, regex:(...), column:NAME.
    manifest
        CSV file for column:NAME.
    channels
        Channels to compare, for example t1,flair; without it all but annotations.
    flips
        Search the eight flips and quarter turns too.
    top_k
        Most correlated training images kept per synthetic image.
    top_patients
        Patients kept per synthetic image at full size.
    train_sample
        Most training images that are compared with other patients' training images: what chance
        reaches.
    local_sample
        The same for the comparison with shifts, rotations and parts, and at full size.
    self_check
        Try the audit on planted copies and on real pictures of other people.
    planted
        Planted copies per level of alteration.
    permutations
        Of the test of the set as a whole.
    strata
        Give `class` if patients were held out class by class.
    near_duplicate
        Correlation from which images of different people count as almost equal.
    evidence
        Pairs shown in the report.
    closer_look
        Of these, pairs that are measured by structural similarity and other measures as well.
    max_skipped
        Share of files per set that may be left out; above it the run stops.
    strict
        Stop at the first file that cannot be used.
    seed
        For samples, planted copies and permutations.
    engine
        auto, or the name of an engine that `likeness doctor` lists.
    memory
        Memory that the search may take, for example 2GiB.
    threads
        Processor cores for the search; all by default.
    jobs
        Processes that decode files.
    cluster
        Let other processes or machines compute: local, local:N, tcp://host:port, the path of a
        scheduler.json, or slurm:FILE. --out must be in storage that all of them share; --memory is
        then that of one worker.
    fail_on
        Leave with exit code 1 if copies are found.
    dry_run
        Read headers only; print the plan and the forecast, write nothing.
    fresh
        Compute everything anew instead of resuming.
    overwrite
        Replace an audit with other settings in the same folder.
    """
    options = AuditOptions(
        fdr=fdr,
        patient_id=patient_id,
        manifest=manifest,
        channels=names_from(channels),
        flips=flips,
        top_k=top_k,
        top_patients=top_patients,
        train_sample=train_sample,
        local_sample=local_sample,
        self_check=self_check,
        planted=planted,
        permutations=permutations,
        strata=strata,
        near_duplicate=near_duplicate,
        evidence=evidence,
        closer_look=closer_look,
        max_skipped=share_from(max_skipped, "--max-skipped"),
        strict=strict,
        seed=seed,
        engine=engine,
        memory_bytes=bytes_from(memory, "--memory"),
        threads=threads,
        jobs=jobs,
        cluster=cluster,
    )
    if dry_run:
        plan = plan_audit(
            train, synthetic, test, out=out, options=options, progress=output.make_progress()
        )
        if output.json:
            say(json_module.dumps(plan.to_dict(), indent=2, sort_keys=True))
        else:
            say(*plan.describe())
        return 0
    findings = run_audit(
        train,
        synthetic,
        test,
        out=out,
        options=options,
        overwrite=overwrite,
        fresh=fresh,
        progress=output.make_progress(),
    )
    if output.json:
        say(json_module.dumps(findings.to_dict(), indent=2, sort_keys=True))
    else:
        say(*terminal_block(findings, out))
    if not output.quiet and findings.verdict.code == "INCONCLUSIVE":
        remark("No verdict is possible: exit code 4.")
    return exit_code(findings, fail_on_copies=fail_on == "copies")


def exit_code(findings: Findings, *, fail_on_copies: bool) -> int:
    """Return the exit code: 1 outranks 4 outranks 5."""
    if fail_on_copies and findings.verdict.code == "COPIES_FOUND":
        return FOUND
    if findings.verdict.code == "INCONCLUSIVE":
        return NO_VERDICT
    return SOME_LEFT_OUT if any(row.num_skipped for row in findings.sets) else 0


def _doubt(check: Check) -> str:
    return f"{check.status}  {check.name}: {check.detail}. {check.action}".rstrip()


def terminal_block(findings: Findings, out: Path) -> list[str]:
    """Return the end state of an audit as lines: what was found, where it is, what comes next."""
    doubts = [check for check in findings.checks if check.status != "PASS"]
    return [
        *findings.describe(),
        *(["", "can it be trusted?"] if doubts else []),
        *(f"  {_doubt(check)}" for check in doubts),
        "",
        f"wrote {out / 'report-INTERNAL.html'} (training images inside: do not share)",
        f"      {out / 'summary.html'} (numbers only)",
        f"cite  likeness cite --audit {shlex.quote(str(out))}",
        f"look  open {out / 'report-INTERNAL.html'} in a browser and look at the pairs",
        f"next  likeness release --audit {shlex.quote(str(out))} --out release",
    ]
