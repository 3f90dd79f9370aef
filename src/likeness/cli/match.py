"""`likeness match`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from likeness._match import find_matches, find_resemblance, wording
from likeness.cli._console import say
from likeness.cli._options import Output, bytes_from, share_from
from likeness.errors import OptionError

SOME_LEFT_OUT = 5


def match(
    *,
    queries: Path,
    references: Path,
    out: Path,
    patient: tuple[str, ...] = (),
    test: Path | None = None,
    top_k: int = 20,
    flips: bool = True,
    patient_id: str = "auto",
    manifest: Path | None = None,
    pairs: int = 12,
    engine: str = "auto",
    memory: str = "2GiB",
    threads: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    max_skipped: str = "1%",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Find the most correlated reference images of every query image. No verdict.

    The result is a Parquet table: query_id, reference_id, rank, rank_mean, correlation,
    correlation_mean, transform. A high correlation alone does not make a copy; see
    `likeness audit`.

    With --patient it answers what among the queries resembles one patient of the references: how
    much, whether anybody else is nearer, what other people reach, and what was not looked at. --out
    is then a folder, for a table of all queries and a page with the closest pairs.

    Parameters
    ----------
    queries
        A folder of images or an image set.
    references
        Another, of the same shape and channels.
    out
        Parquet file to write; with --patient a folder.
    patient
        Id of a patient of the references; may be given several times.
    test
        With --patient: images of people who were not used for training, to compare with.
    top_k
        Matches kept per query.
    flips
        Search the eight flips and quarter turns of the query too.
    patient_id
        Rule for the patients of the references; see `likeness audit --help`.
    manifest
        With --patient: CSV with the column that --patient-id names.
    pairs
        With --patient: pairs shown with pictures.
    engine
        auto, or the name of an engine that `likeness doctor` lists.
    memory
        Memory that the search may take, for example 2GiB.
    threads
        Processor cores; all by default.
    jobs
        Processes that decode files.
    cluster
        Let other processes or machines search; see `likeness audit --help`. Not with --patient.
    max_skipped
        Share of files per set that may be left out.
    overwrite
        With --patient: replace results of other settings in --out.
    """
    if patient and cluster is not None:
        msg = "--cluster does not go with --patient, which compares with one patient only."
        raise OptionError(msg)
    if patient:
        return _resemblance(
            queries,
            references,
            patient,
            test=test,
            out=out,
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
            output=output,
        )
    for flag, value in (("--test", test), ("--manifest", manifest)):
        if value is not None:
            msg = f"{flag} goes with --patient, which is missing."
            raise OptionError(msg)
    if out.suffix != ".parquet":
        msg = f"--out is {str(out)!r}; give a file that ends in .parquet."
        raise OptionError(msg)
    matched = find_matches(
        queries,
        references,
        top_k=top_k,
        flips=flips,
        patient_id=patient_id,
        out=out,
        engine=engine,
        memory_bytes=bytes_from(memory, "--memory"),
        threads=threads,
        max_skipped=share_from(max_skipped, "--max-skipped"),
        jobs=jobs,
        cluster=cluster,
        progress=output.make_progress(),
    )
    result = matched.result
    highest = result.top.correlation[:, 0]
    defined = highest[~np.isnan(highest)]
    summary = {
        "queries": matched.num_queries,
        "references": matched.num_references,
        "pairs": result.num_pairs,
        "engine": result.engine,
        "undefined_queries": int(result.undefined_queries.sum()),
        "median_max_correlation": float(np.median(defined)) if len(defined) else None,
        "max_correlation": float(defined.max()) if len(defined) else None,
        "out": str(out),
    }
    if output.json:
        say(json_module.dumps(summary, indent=2, sort_keys=True))
    else:
        for role, account in matched.accounts.items():
            say(f"{role:<11}{account.summary()}")
        say(
            f"compared   {summary['queries']} x {summary['references']} images, {result.engine}",
            "highest r  "
            + (
                f"median {summary['median_max_correlation']:.4f}, "
                f"maximum {summary['max_correlation']:.4f}"
                if len(defined)
                else "none: no query has variance"
            ),
            f"wrote      {out}",
            "next       likeness audit --train ... --synthetic ... for a verdict",
        )
    return SOME_LEFT_OUT if any(a.num_skipped for a in matched.accounts.values()) else 0


def _resemblance(
    queries: Path,
    references: Path,
    patient: tuple[str, ...],
    *,
    out: Path,
    output: Output,
    **settings: Any,  # noqa: ANN401 - handed on as they are
) -> int:
    """Answer what resembles some patients."""
    if out.suffix == ".parquet":
        msg = f"--out is {str(out)!r}; with --patient it is a folder."
        raise OptionError(msg)
    found = find_resemblance(
        queries, references, patient, out=out, progress=output.make_progress(), **settings
    )
    summary = found.summary
    if output.json:
        say(json_module.dumps(summary, indent=2, sort_keys=True))
    else:
        for role, account in found.accounts.items():
            say(f"{role:<11}{account.summary()}")
        for record in summary["patients"]:
            say(wording.heading(record))
            say(*(f"  {line}" for line in wording.sentences(summary, record)))
            say(f"wrote      {out / record['page']} (pictures of the patient: do not share)")
        say("Not looked at:", *(f"  {line}" for line in wording.LIMITS))
        say("next       likeness audit --train ... --synthetic ... for a verdict")
    return SOME_LEFT_OUT if any(a.num_skipped for a in found.accounts.values()) else 0
