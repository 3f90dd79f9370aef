"""Schedulers and workers in processes of their own, on 127.0.0.1, to be used and killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Machines:
    """Starts processes; ends them, by their process ids, at the end of a test."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.processes = []

    @property
    def address(self):
        return f"tcp://127.0.0.1:{self.port}"

    def start(self, *arguments, **environment):
        log = self.folder / f"log-{len(self.processes)}.txt"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", *map(str, arguments)],
                stdout=stream,
                stderr=stream,
                cwd=ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
                start_new_session=True,  # a worker's nanny goes with it
            )
        self.processes.append(process)
        return process

    def scheduler(self, *arguments):
        return self.start(
            "distributed.cli.dask_scheduler",
            *("--host", "127.0.0.1", "--port", self.port, "--no-dashboard", "--no-show"),
            *arguments,
        )

    def worker(self, *, preload=None, nanny=True):
        more = [] if preload is None else ["--preload", preload]
        return self.start(
            "distributed.cli.dask_worker",
            self.address,
            *("--nthreads", 1, "--no-dashboard", "--nanny" if nanny else "--no-nanny"),
            *("--local-directory", self.folder, "--death-timeout", 120),
            *more,
        )

    def kill(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self):
        for process in self.processes:
            self.kill(process)

    def logs(self):
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("log-*.txt")))


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
