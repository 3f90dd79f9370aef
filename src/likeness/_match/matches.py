"""The most correlated references of every query."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from likeness._cluster import open_cluster
from likeness._files import folder_lock
from likeness._neighbours.opening import Given
from likeness._progress import SILENT, Progress
from likeness.datasets import Accounting, ImageSet, PrepareOptions, as_image_set
from likeness.datasets.output_folder import check_out
from likeness.errors import ClusterError, ImageMismatchError
from likeness.search import SearchOptions, SearchResult, matches_table, search, write_matches
from likeness.types import TRANSFORMS


@dataclass(frozen=True)
class Matched:
    """The result of `find_matches`."""

    table: pa.Table
    """query_id, reference_id, rank, rank_mean, correlation, correlation_mean, transform."""
    result: SearchResult
    num_queries: int
    num_references: int
    accounts: dict[str, Accounting]


def find_matches(
    queries: Given,
    references: Given,
    *,
    top_k: int = 20,
    flips: bool = True,
    patient_id: str = "auto",
    out: Path | str | None = None,
    engine: str = "auto",
    memory_bytes: int = 2 << 30,
    threads: int | None = None,
    max_skipped: float = 0.01,
    jobs: int = 1,
    cluster: str | None = None,
    progress: Progress = SILENT,
) -> Matched:
    """Find the `top_k` most correlated reference images of every query image, exactly.

    Parameters
    ----------
    queries, references
        A folder of images, an image set, or an array (N, C, H, W); equal shapes and channels.
    top_k
        Matches kept per query and per definition of correlation; at least 1.
    flips
        Search the eight flips and quarter turns of the query too.
    patient_id
        Rule for the patients of the references.
    out
        Parquet file to write; None writes nothing. Beside it ``OUT.work`` keeps prepared images
        and search states while the search runs, so that a killed run resumes.
    cluster
        Other machines that search, as for ``AuditOptions.cluster``; None for this process alone.

    Returns
    -------
    Matched
        The table, the full `SearchResult`, and the accounts of the files.

    Raises
    ------
    InputError
        If images cannot be read or compared.
    OptionError
        If a setting is out of range.
    ClusterError
        If a cluster cannot be used, or did not compare everything.
    """
    options = SearchOptions(top_k=top_k, transforms=TRANSFORMS if flips else ("identity",))
    with ExitStack() as stack:
        work = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likeness-")))
            if out is None
            else Path(f"{out}.work")
        )
        for given in (queries, references):
            if out is not None and isinstance(given, str | Path):
                check_out(Path(given), Path(out))
                check_out(Path(given), work)
        stack.enter_context(folder_lock(work))
        sets: dict[str, ImageSet] = {}
        accounts: dict[str, Accounting] = {}
        for role, given in (("queries", queries), ("references", references)):
            prepare = PrepareOptions(
                patient_id="none" if role == "queries" else patient_id,
                max_skipped=max_skipped,
                jobs=jobs,
            )
            sets[role], accounts[role] = as_image_set(
                given, work=work / role, options=prepare, role=role, progress=progress
            )
        first, second = sets["queries"], sets["references"]
        if (first.image_shape, first.dtype) != (second.image_shape, second.dtype):
            msg = (
                f"The queries are {first.image_shape} {first.dtype}, the references "
                f"{second.image_shape} {second.dtype}. Prepare both with the same options."
            )
            raise ImageMismatchError(msg)
        checkpoint = work / "search"
        checkpoint.mkdir(parents=True, exist_ok=True)
        if cluster is None:
            result = search(
                first,
                second,
                options=options,
                engine=engine,
                memory_bytes=memory_bytes,
                threads=threads,
                progress=progress,
                checkpoint=checkpoint,
            )
        else:
            machines = stack.enter_context(
                open_cluster(
                    cluster,
                    shared=work / "cluster",
                    engine=engine,
                    memory_bytes=memory_bytes,
                    progress=progress,
                )
            )
            result = machines.search(first, second, options=options, checkpoint=checkpoint)
            obstacles = machines.outcome.obstacles()
            if obstacles:  # a table that lacks pairs would look like any other
                raise ClusterError(" ".join(obstacles))
        table = matches_table(result, first.image_ids, second.image_ids)
        if out is not None:
            write_matches(Path(out), table, metadata={"likeness_engine": result.engine})
            shutil.rmtree(work)  # finished: there is nothing left to resume
        return Matched(table, result, len(first), len(second), accounts)
