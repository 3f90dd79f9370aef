"""What `--cluster` takes, and what it says where it cannot."""

from __future__ import annotations

import sys

import pytest

from likeness._cluster import open_cluster
from likeness._cluster.slurm import read_slurm_settings
from likeness.errors import MissingExtraError, OptionError

GOOD = """
queue = "compute"
cores = 8
memory = "16GiB"
walltime = "1-02:30:00"
jobs = 3
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local:",
        "local:0",
        "local:-1",
        "local:two",
        "dask",
        "tcp://host",
        "tcp://:8786",
        "http://host:8786",
        "tcp://host:8786/x",
        "slurm:",
        "slurm",
        "scheduler.txt",
        "s3://bucket/scheduler.json",
    ],
)
def test_a_text_that_is_not_understood(text, tmp_path):
    with pytest.raises(OptionError, match=r"expected local, local:N, tcp://host:port"):
        open_cluster(text, shared=tmp_path)


@pytest.mark.parametrize(
    "text", ["local", "local:4", "tcp://10.0.0.1:8786", "tls://[::1]:8786", "a/scheduler.json"]
)
def test_opening_starts_nothing(text, tmp_path):
    with open_cluster(text, shared=tmp_path) as cluster:
        assert cluster.outcome.num_tasks == 0


@pytest.mark.parametrize("text", ["local", "tcp://host:8786", "scheduler.json", "slurm:FILE"])
def test_the_extra_is_missing(text, tmp_path, monkeypatch):
    settings = tmp_path / "slurm.toml"
    settings.write_text(GOOD)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'likeness\[cluster\]'"):
        open_cluster(text.replace("FILE", str(settings)), shared=tmp_path)


def test_settings_of_slurm(tmp_path):
    path = tmp_path / "slurm.toml"
    path.write_text(GOOD + 'prologue = ["module load python"]\nwaiting = 5\n')
    settings = read_slurm_settings(path)
    assert (settings.queue, settings.cores, settings.jobs) == ("compute", 8, 3)
    assert settings.prologue == ("module load python",)
    assert settings.lifetime_seconds == int(95_400 * 0.95) - 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("jobs = 3", ""), "missing jobs"),
        (("jobs = 3", "jobs = 3\nnodes = 2"), "unknown nodes"),
        (("jobs = 3", "jobs = 0"), "jobs in the settings of slurm is 0; expected at least 1"),
        (("jobs = 3", 'jobs = "3"'), "jobs in the settings of slurm is '3'"),
        (("jobs = 3", "jobs = true"), "jobs in the settings of slurm is True"),
        (("1-02:30:00", "2h"), "walltime in the settings of slurm is '2h'"),
        (("jobs = 3", "jobs = 3\nprocesses = 9"), "from 1 to the cores"),
        (("jobs = 3", 'jobs = 3\nprologue = "x"'), "prologue in the settings"),
        (("jobs = 3", "jobs = "), "not a TOML file"),
    ],
)
def test_settings_of_slurm_that_are_wrong(tmp_path, change, message):
    path = tmp_path / "slurm.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(OptionError, match=message):
        open_cluster(f"slurm:{path}", shared=tmp_path)


def test_no_settings_of_slurm(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        open_cluster(f"slurm:{tmp_path / 'none.toml'}", shared=tmp_path)
