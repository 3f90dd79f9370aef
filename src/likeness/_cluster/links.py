"""Ways to a scheduler: one of our own on this machine, one that runs somewhere, one through SLURM.

A link gives a Dask client, again and again if need be: where a scheduler that is not ours was
killed, it waits for one to come back in the same place.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from likeness.errors import ClusterError, MissingExtraError, OptionError
from likeness.search._threads import count_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL: Final = "Run: pip install 'likeness[cluster]'"

_LOOPBACK: Final = "127.0.0.1:0"
"""For the web page of a scheduler: without an address Dask opens it to the whole network."""

_OURS: Final = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Who killed whom is told by the marks that tasks leave; a scheduler counts victims too.
    "distributed.scheduler.allowed-failures": 1000,
    "distributed.comm.timeouts.connect": "10s",
    "distributed.worker.memory.target": False,  # nothing is kept in workers, so nothing spilled
    "distributed.worker.memory.spill": False,
}


@dataclass(frozen=True)
class Patience:
    """How long to wait for others, in seconds."""

    answer: float = 30.0
    """For a scheduler that has never answered."""
    scheduler: float = 600.0
    """For a scheduler that has answered and is gone."""
    workers: float = 600.0
    """For the first worker, or one when all are gone. A batch system may take longer; it is told
    with `waiting` in its settings."""


class Link(Protocol):
    """A way to a scheduler."""

    @property
    def name(self) -> str:
        """What was asked for."""

    @property
    def patience(self) -> Patience:
        """How long to wait."""

    def connect(self, wait: float) -> Any:  # noqa: ANN401 - a Dask client
        """Return a new client within `wait` seconds.

        Raises
        ------
        ClusterError
            If nobody answers.
        """

    def close(self) -> None:
        """Stop what was started here."""


class OwnCluster:
    """A scheduler in this process, with workers that Dask starts: here, or through SLURM.

    Parameters
    ----------
    make
        Starts the cluster; called when it is first needed.
    """

    def __init__(self, name: str, patience: Patience, make: Any) -> None:  # noqa: ANN401
        self.name, self.patience = name, patience
        self._make = make
        self._cluster: Any = None

    def connect(self, wait: float) -> Any:  # noqa: ANN401
        """Start the cluster if need be, and connect."""
        from distributed import Client

        try:
            if self._cluster is None:
                with own_settings():
                    self._cluster = self._make()
            return Client(self._cluster, timeout=wait, set_as_default=False)
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            msg = f"--cluster {self.name} cannot be started: {error}"
            raise ClusterError(msg) from error

    def close(self) -> None:
        """Stop the workers and the scheduler."""
        if self._cluster is not None:
            with quiet(), contextlib.suppress(OSError, TimeoutError, RuntimeError):
                self._cluster.close(timeout=10)
            self._cluster = None


class RunningScheduler:
    """A scheduler that somebody else started, by address or by the file it wrote."""

    def __init__(self, name: str, patience: Patience, *, file: Path | None = None) -> None:
        self.name, self.patience = name, patience
        self._file = file

    def connect(self, wait: float) -> Any:  # noqa: ANN401
        """Try until somebody answers."""
        from distributed import Client

        end = time.monotonic() + wait
        while True:
            left = end - time.monotonic()
            address, problem = self.name, ""
            try:
                address = self._address()
                with quiet():
                    return Client(address, timeout=max(1.0, min(10.0, left)), set_as_default=False)
            except (OSError, TimeoutError, ValueError, RuntimeError) as error:
                problem = " ".join(str(error).split())[:300]
            if time.monotonic() >= end:
                msg = (
                    f"Nobody answers at {address!r} (--cluster {self.name}): {problem}. Start it "
                    "with `dask scheduler`, and workers with `dask worker ADDRESS`."
                )
                raise ClusterError(msg)
            time.sleep(min(0.5, wait / 10))

    def close(self) -> None:
        """Leave it running: it is not ours."""

    def _address(self) -> str:
        if self._file is None:
            return self.name
        try:
            # Read anew each time: a scheduler that comes back may have another port.
            address = json.loads(self._file.read_text())["address"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{str(self._file)!r} does not name a scheduler: {error}"
            raise OSError(msg) from error
        return str(address)


def local_workers(count: int | None, *, memory_bytes: int) -> Any:  # noqa: ANN401
    """Start worker processes on this machine, one task each at a time.

    Parameters
    ----------
    count
        None for as many as there are cores.
    memory_bytes
        What one task may need; a worker that takes far more is stopped by its nanny.
    """
    from distributed import LocalCluster

    workers = count or count_threads(None)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=_LOOPBACK,
        memory_limit=max(machine // workers, 2 * memory_bytes),
        silence_logs=logging.CRITICAL,
    )


def slurm_workers(settings: Any) -> Any:  # noqa: ANN401
    """Submit jobs to SLURM; see `likeness._cluster.slurm`."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        msg = f"--cluster slurm:FILE needs dask-jobqueue. {INSTALL}"
        raise MissingExtraError(msg) from error
    cluster = SLURMCluster(
        queue=settings.queue,
        account=settings.account,
        cores=settings.cores,
        processes=settings.processes or settings.cores,
        memory=settings.memory,
        walltime=settings.walltime,
        interface=settings.interface,
        python=settings.python or sys.executable,
        log_directory=settings.log_folder,
        local_directory=settings.local_folder,
        job_script_prologue=list(settings.prologue),
        job_extra_directives=list(settings.directives),
        # A worker ends itself before the batch system kills it, so that its task moves on.
        worker_extra_args=[
            "--lifetime",
            f"{settings.lifetime_seconds}s",
            "--lifetime-stagger",
            "30s",
        ],
        scheduler_options={"dashboard_address": _LOOPBACK, **settings.scheduler},
    )
    # Not `scale`: a job that ended or was killed is followed by another.
    cluster.adapt(minimum_jobs=settings.jobs, maximum_jobs=settings.jobs, interval="5s")
    return cluster


def require_dask() -> None:
    """Raise unless Dask is installed.

    Raises
    ------
    MissingExtraError
        With the line that installs it.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        msg = f"--cluster needs Dask. {INSTALL}"
        raise MissingExtraError(msg) from error


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Set what Dask takes from its configuration while a cluster is started."""
    import dask

    with dask.config.set(_OURS):
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Dask from writing about lost connections, which are reported in our own words."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def refuse(text: str) -> OptionError:
    """Return the error for a --cluster that is not understood."""
    msg = (
        f"--cluster is {text!r}; expected local, local:N, tcp://host:port, tls://host:port, the "
        "path of a scheduler.json, or slurm:FILE."
    )
    return OptionError(msg)
