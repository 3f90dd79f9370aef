"""Reading a table starts no thread: one that outlives the interpreter would abort the process."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.datasets.making import folder_of_pngs

from likeness.datasets import prepare_images

PROGRAM = """
import os, sys
from pathlib import Path
import pyarrow.parquet
from likeness.datasets.manifest import read_table
before = len(os.listdir("/proc/self/task"))
read_table(Path(sys.argv[1]))
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_reading_a_table_starts_no_thread(tmp_path):
    prepare_images(folder_of_pngs(tmp_path / "source", 6), tmp_path / "set")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "set" / "manifest.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
