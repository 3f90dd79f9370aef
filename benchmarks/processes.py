"""Run a command and see what it takes: time, stages, and the memory of it and its children."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

PERIOD = 0.2
"""Seconds between two looks at the memory."""
LIKENESS = [sys.executable, "-m", "likeness"]
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STAGE = re.compile(r"^(.*?)\s+\d+ %  \d+ s, about")
"""How the command line shows progress where stderr is no terminal."""


class Watched:
    """A command that is running; use it as a context, which kills what is left of it."""

    def __init__(self, command, *, cwd=None):
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            start_new_session=True,
        )
        self.output, self.remarks, self.lines = "", [], []
        self.peak_tree_bytes = self.peak_main_bytes = 0
        self._threads = [
            threading.Thread(target=task, daemon=True)
            for task in (self._read_output, self._read_remarks, self._watch_memory)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()

    def wait(self, seconds=None):
        """Wait for the end, or for so many seconds since the beginning; return the exit code."""
        left = None if seconds is None else max(0.0, self.began + seconds - time.monotonic())
        try:
            code = self.process.wait(left)
        except subprocess.TimeoutExpired:
            return None
        self.seconds = time.monotonic() - self.began
        for thread in self._threads:
            thread.join(10)
        return code

    def kill(self):
        """Kill the command and all its children with SIGKILL: nothing can be tidied up."""
        for pid in reversed(tree(self.process.pid)):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        self.process.wait()
        for thread in self._threads:
            thread.join(10)

    def stages(self):
        """Return seconds per stage, in order, from when the lines of progress appeared.

        A stage ends with its last line; what writes none counts for the stage after it.
        """
        seconds, last = {}, 0.0
        for moment, name in self.lines:
            seconds[name] = seconds.get(name, 0.0) + moment - last
            last = moment
        seconds["the rest"] = self.seconds - last
        return seconds

    def _read_output(self):
        with self.process.stdout as stream:
            self.output = stream.read()

    def _read_remarks(self):
        with self.process.stderr as stream:
            for line in stream:
                self.remarks.append(line.rstrip())
                found = _STAGE.match(line)
                if found:
                    self.lines.append((time.monotonic() - self.began, found[1].strip()))

    def _watch_memory(self):
        while self.process.poll() is None:
            self.peak_main_bytes = max(self.peak_main_bytes, high_water_mark(self.process.pid))
            now = sum(map(resident_bytes, tree(self.process.pid)))
            self.peak_tree_bytes = max(self.peak_tree_bytes, self.peak_main_bytes, now)
            time.sleep(PERIOD)


def tree(pid):
    """Return a process and all below it."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def resident_bytes(pid):
    """Return the memory that a process holds at this moment; shared pages count in full."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def high_water_mark(pid):
    """Return the most memory that a process has held, as the system counted it."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def reading_seconds(folder, *, cold):
    """Read all files of a folder once, one behind the other, and return (seconds, bytes).

    Where `cold`, the system is asked to drop the files from its cache first.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if cold:
        for path in paths:
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    total, block = 0, bytearray(8 << 20)
    began = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as stream:
            while count := stream.readinto(block):
                total += count
    return time.perf_counter() - began, total
