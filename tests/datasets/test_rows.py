"""Temporary rows: gone with their holder, and what killed processes left is removed."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from pathlib import Path

from likeness.datasets import _rows
from likeness.datasets._rows import TemporaryFolder

HOLD = """
import sys, time
from pathlib import Path
from likeness.datasets._rows import TemporaryFolder
folder = TemporaryFolder(Path(sys.argv[1]))
(folder.path / "rows.npy").write_bytes(bytes(100))
print(folder.path, flush=True)
time.sleep(600)
"""


def holder(parent):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(parent)], stdout=subprocess.PIPE)
    return process, process.stdout.readline().decode().strip()


def test_a_folder_goes_with_its_holder(tmp_path):
    folder = TemporaryFolder(tmp_path)
    path = folder.path
    assert path.is_dir()
    del folder
    gc.collect()
    assert not path.exists()


def test_what_a_killed_process_left_is_removed_and_what_is_held_is_not(tmp_path, monkeypatch):
    processes = [holder(tmp_path), holder(tmp_path)]
    try:
        (dead, left), (_, held) = processes
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        foreign = tmp_path / "other"
        foreign.mkdir()
        young = TemporaryFolder(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} >= {Path(left).name, "other"}
        monkeypatch.setattr(_rows, "time", Later)
        own = TemporaryFolder(tmp_path)
        kept = {Path(held).name, young.path.name, own.path.name, "other"}
        assert {path.name for path in tmp_path.iterdir()} == kept
    finally:
        for process, _ in processes:
            process.kill()
            process.wait()
            process.stdout.close()


class Later:
    """A clock that is ahead by an hour."""

    @staticmethod
    def time():
        return time.time() + 3600
