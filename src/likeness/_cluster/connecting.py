"""``--cluster``: from its text to a `Cluster`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from likeness._cluster.cluster import Cluster
from likeness._cluster.links import (
    OwnCluster,
    Patience,
    RunningScheduler,
    local_workers,
    refuse,
    require_dask,
    slurm_workers,
)
from likeness._cluster.slurm import read_slurm_settings
from likeness._progress import SILENT
from likeness.search.plan import DEFAULT_MEMORY

if TYPE_CHECKING:
    from likeness._cluster.cutting import Cut
    from likeness._cluster.links import Link
    from likeness._progress import Progress


def open_cluster(
    text: str,
    *,
    shared: Path | str,
    engine: str = "auto",
    memory_bytes: int = DEFAULT_MEMORY,
    cut: Cut | None = None,
    patience: Patience | None = None,
    progress: Progress = SILENT,
) -> Cluster:
    """Prepare the use of other machines; nothing is started or asked before it is needed.

    Parameters
    ----------
    text
        ``local`` or ``local:N`` for N worker processes on this machine; ``tcp://host:port`` or
        ``tls://host:port`` or the path of a scheduler file for a running Dask scheduler;
        ``slurm:FILE`` for jobs of SLURM, see `likeness._cluster.slurm`.
    shared
        Folder that all machines see under one name; made where it is not there.
    engine
        Of the searches; each worker chooses for itself with ``auto``.
    memory_bytes
        What one worker may need for its task.
    cut
        The size of a part of a search; None for the ordinary one. Another one does not find the
        parts of an earlier run.
    patience
        How long to wait for machines.
    progress
        Where work is shown.

    Raises
    ------
    OptionError
        If the text is not understood, or the settings of SLURM are wrong.
    MissingExtraError
        If Dask is not installed.
    """
    link = parse_link(text, memory_bytes=memory_bytes, patience=patience or Patience())
    return Cluster(
        link,
        Path(shared),
        engine=engine,
        memory_bytes=memory_bytes,
        cut=cut,
        progress=progress,
    )


def parse_link(text: str, *, memory_bytes: int, patience: Patience) -> Link:
    """Return the way to the scheduler that a text names.

    Raises
    ------
    OptionError, MissingExtraError
        As `open_cluster`.
    """
    local = re.fullmatch(r"local(?::(\d{1,4}))?", text)
    if local:
        count = None if local[1] is None else int(local[1])
        if count == 0:
            raise refuse(text)
        require_dask()
        return OwnCluster(text, patience, partial(local_workers, count, memory_bytes=memory_bytes))
    if re.fullmatch(r"(tcp|tls)://[^/:\s]+:\d{1,5}|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d{1,5}", text):
        require_dask()
        return RunningScheduler(text, patience)
    if text.startswith("slurm:") and len(text) > len("slurm:"):
        settings = read_slurm_settings(Path(text.removeprefix("slurm:")))
        require_dask()
        waiting = Patience(patience.answer, patience.scheduler, settings.waiting)
        return OwnCluster(text, waiting, partial(slurm_workers, settings))
    if text.endswith(".json") and "://" not in text:
        require_dask()
        return RunningScheduler(text, patience, file=Path(text))
    raise refuse(text)
