"""`likeness match`."""

from __future__ import annotations

import json as json_module
from pathlib import Path

import numpy as np

from likeness._match import find_matches
from likeness.cli._console import say
from likeness.cli._options import Output, bytes_from, share_from
from likeness.errors import OptionError

SOME_LEFT_OUT = 5


def match(
    *,
    queries: Path,
    references: Path,
    out: Path,
    top_k: int = 20,
    flips: bool = True,
    patient_id: str = "auto",
    engine: str = "auto",
    memory: str = "2GiB",
    threads: int | None = None,
    jobs: int = 1,
    max_skipped: str = "1%",
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Find the most correlated reference images of every query image. No verdict.

    The result is a Parquet table: query_id, reference_id, rank, rank_mean, correlation,
    correlation_mean, transform. A high correlation alone does not make a copy; see
    `likeness audit`.

    Parameters
    ----------
    queries
        A folder of images or an image set.
    references
        Another, of the same shape and channels.
    out
        Parquet file to write.
    top_k
        Matches kept per query.
    flips
        Search the eight flips and quarter turns of the query too.
    patient_id
        Rule for the patients of the references; see `likeness audit --help`.
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
    """
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
