"""Real schedulers and workers, killed with SIGKILL: the same bits, and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace

import numpy as np
import pytest
from tests.cluster.conftest import CUT, OPTIONS, PATIENCE
from tests.cluster.machines import ROOT, Machines, wait_for
from tests.search.sources import Source, assert_same

from likeness._cluster import checks, open_cluster, search_work
from likeness.datasets import ImageSet
from likeness.errors import ClusterError, OutputError
from likeness.scores import Scorer, ScorerOptions
from likeness.search import search

psutil = pytest.importorskip("psutil")
pytest.importorskip("distributed")

SLOW = """
import time
from likeness._cluster import search_work
def slow(payload, compute=search_work.compute):
    time.sleep({seconds})
    return compute(payload)
search_work.compute = slow
"""
"""Parts take so long that something can happen meanwhile. (Dask may load this twice.)"""

POISON = """
import os, signal
from likeness._cluster import search_work
def deadly(payload, compute=search_work.compute):
    if list(payload["columns"]) == [20, 30] and payload["rows"][0] == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(payload)
search_work.compute = deadly
"""


@pytest.fixture
def preload(tmp_path):
    def write(code):
        path = tmp_path / "preload.py"
        path.write_text(textwrap.dedent(code))
        return path

    return write


@pytest.fixture(scope="module")
def crew(tmp_path_factory):
    """A scheduler and a worker that no test kills."""
    some = Machines(tmp_path_factory.mktemp("crew"))
    some.scheduler()
    some.worker(nanny=False)
    yield some
    some.close()


@pytest.fixture(scope="module")
def expected(sets):
    return search(*sets, options=OPTIONS)


def parts_in(folder):
    return len(list(folder.glob("parts/*.npz")))


def cluster_of(machines, shared, **settings):
    return open_cluster(
        machines.address, shared=shared, cut=CUT, **{"patience": PATIENCE, **settings}
    )


def worker_processes(address):
    """Return the process of each worker behind a nanny."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_on_this_machine(sets, expected, tmp_path):
    """Two worker processes; a second run finds everything and starts nothing."""
    with open_cluster("local:2", shared=tmp_path, cut=CUT) as cluster:
        assert_same(cluster.search(*sets, options=OPTIONS), expected)
        assert listening_addresses() == {"127.0.0.1"}
        assert (cluster.outcome.num_computed, cluster.outcome.num_tasks) == (20, 20)
        assert cluster.outcome.complete
        assert cluster.outcome.obstacles() == []
        options = ScorerOptions(grid=8, depth=3, local_depth=2)
        scorer = Scorer(sets[1], options=options)
        found = cluster.score(scorer, sets[0], families=("dihedral",))
        alone = scorer.score(sets[0], families=("dihedral",))
        for name, array in vars(alone["dihedral"]).items():
            assert getattr(found["dihedral"], name).tobytes() == array.tobytes()
    with open_cluster("tcp://127.0.0.1:1", shared=tmp_path, cut=CUT) as cluster:
        assert_same(cluster.search(*sets, options=OPTIONS), expected)
        assert cluster.outcome.num_computed == 0


def test_killed_workers(sets, expected, machines, preload, tmp_path):
    """One is gone for good; another one, killed under its nanny, is started anew."""
    machines.scheduler()
    slow = preload(SLOW.format(seconds=0.2))
    machines.worker(preload=slow)
    gone = machines.worker(preload=slow, nanny=False)

    def kill():
        wait_for(lambda: parts_in(tmp_path) >= 2)
        machines.kill(gone)
        os.kill(worker_processes(machines.address)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with cluster_of(machines, tmp_path) as cluster:
        found = cluster.search(*sets, options=OPTIONS)
        killer.join()
        assert_same(found, expected)
        assert cluster.outcome.complete
        assert cluster.outcome.num_repeated >= 1


def test_a_part_that_kills_is_set_aside_and_the_rest_goes_on(
    sets, expected, machines, preload, tmp_path
):
    queries, references = sets
    machines.scheduler()
    machines.worker(preload=preload(POISON))
    with cluster_of(machines, tmp_path) as cluster:
        found = cluster.search(queries, references, options=OPTIONS, name="synthetic -> train")
        outcome = cluster.outcome
    assert [one.task.split("-")[-4:] for one in outcome.quarantined] == [["6", "12", "20", "30"]]
    aside = outcome.quarantined[0]
    assert aside.what == "synthetic -> train, queries 6 to 11 against images 20 to 29"
    assert aside.reason == "killed its worker 2 times"
    assert aside.files[0] == f"{references.path}/images/00002.npy"
    assert not outcome.complete
    assert outcome.num_repeated == 2
    assert "1 of 20 parts" in outcome.obstacles()[0]
    assert parts_in(tmp_path) == 19

    # What is missing is missing there and nowhere else.
    kept = np.r_[0:20, 30:50]
    fewer = search(
        Source(queries.read(6, 12)),
        Source(references.take(kept), references.patient_codes[kept]),
        options=OPTIONS,
    )
    correlation = found.top.correlation
    assert np.array_equal(correlation[6:12], fewer.top.correlation, equal_nan=True)
    others = np.r_[0:6, 12:20]
    assert np.array_equal(correlation[others], expected.top.correlation[others], equal_nan=True)

    # The same command, where nothing kills: that part only.
    with open_cluster("local:1", shared=tmp_path, cut=CUT) as cluster:
        assert_same(cluster.search(queries, references, options=OPTIONS), expected)
        assert (cluster.outcome.num_computed, cluster.outcome.complete) == (1, True)


def test_a_truncated_shard_is_listed_and_the_rest_goes_on(sets, crew, tmp_path):
    queries, references = sets
    shutil.copytree(references.path, tmp_path / "set")
    opened = ImageSet.open(tmp_path / "set")
    shard = tmp_path / "set" / "images" / "00004.npy"
    shard.write_bytes(shard.read_bytes()[:-1])
    with cluster_of(crew, tmp_path / "out") as cluster:
        cluster.search(queries, opened, options=OPTIONS)
        outcome = cluster.outcome
    assert len(outcome.quarantined) == 4
    assert outcome.num_computed == 16
    for one in outcome.quarantined:
        assert one.reason.startswith("DamagedSetError")
        assert one.files[0] == str(shard)
    assert any(str(shard) in line for line in outcome.describe())


def test_a_killed_scheduler_that_comes_back(sets, expected, machines, preload, tmp_path):
    first = machines.scheduler()
    slow = preload(SLOW.format(seconds=0.2))
    machines.worker(preload=slow, nanny=False)

    def restart():
        wait_for(lambda: parts_in(tmp_path) >= 3)
        machines.kill(first)
        machines.scheduler()
        machines.worker(nanny=False)

    restarter = threading.Thread(target=restart)
    restarter.start()
    with cluster_of(machines, tmp_path) as cluster:
        found = cluster.search(*sets, options=OPTIONS)
        restarter.join()
        assert_same(found, expected)
        assert cluster.outcome.complete


def test_a_killed_command_goes_on_from_its_parts(sets, expected, machines, preload, tmp_path):
    """By a scheduler file; with the command its own process is killed."""
    file = tmp_path / "scheduler.json"
    machines.scheduler("--scheduler-file", file)
    machines.worker(preload=preload(SLOW.format(seconds=0.2)), nanny=False)
    code = f"""
    from likeness._cluster import checks, open_cluster, search_work
    from likeness.datasets import ImageSet
    from tests.cluster.conftest import CUT, OPTIONS, PATIENCE
    queries, references = ImageSet.open({str(sets[0].path)!r}), ImageSet.open({str(sets[1].path)!r})
    cluster = open_cluster({str(file)!r}, shared={str(tmp_path)!r}, cut=CUT, patience=PATIENCE)
    cluster.search(queries, references, options=OPTIONS)
    """
    command = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT)
    try:
        wait_for(lambda: parts_in(tmp_path) >= 3)
    finally:
        command.kill()
        command.wait()
    with open_cluster(str(file), shared=tmp_path, cut=CUT, patience=PATIENCE) as cluster:
        assert_same(cluster.search(*sets, options=OPTIONS), expected)
        assert 0 < cluster.outcome.num_computed <= 17


def test_workers_of_another_version_are_refused(sets, crew, monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "package_version", lambda _: "9.9.9")
    with (
        cluster_of(crew, tmp_path) as cluster,
        pytest.raises(ClusterError, match=r"has Likeness [^9]+, this command 9\.9\.9"),
    ):
        cluster.search(*sets, options=OPTIONS)


def test_workers_that_do_not_see_the_folder_are_refused(sets, crew, monkeypatch, tmp_path):
    """What this process writes does not appear there, as with a disk of its own."""
    monkeypatch.setattr(checks, "_SECONDS_TO_APPEAR", 0.3)
    monkeypatch.setattr(checks, "write_text", lambda *_, **__: None)
    monkeypatch.setattr(checks, "make_folder", lambda *_, **__: None)
    with (
        cluster_of(crew, tmp_path / "out") as cluster,
        pytest.raises(ClusterError, match=r"does not see the folder .*/out"),
    ):
        cluster.search(*sets, options=OPTIONS)


def test_workers_that_have_another_folder_of_that_name_are_refused(
    sets, crew, monkeypatch, tmp_path
):
    write = checks.write_text
    monkeypatch.setattr(checks, "write_text", lambda path, text, **_: write(path, text[::-1]))
    with (
        cluster_of(crew, tmp_path / "out") as cluster,
        pytest.raises(ClusterError, match="another folder"),
    ):
        cluster.search(*sets, options=OPTIONS)


def test_workers_that_do_not_see_the_images_are_refused(sets, crew, tmp_path):
    queries, references = sets
    shutil.copytree(references.path, tmp_path / "set")
    opened = ImageSet.open(tmp_path / "set")
    shutil.rmtree(tmp_path / "set")
    with (
        cluster_of(crew, tmp_path / "out") as cluster,
        pytest.raises(ClusterError, match="cannot read the images"),
    ):
        cluster.search(queries, opened, options=OPTIONS)


def test_storage_that_cannot_be_written_stops_the_run(sets, crew, monkeypatch, tmp_path):
    """In the worker's words, instead of setting every part aside."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(search_work, "make_folder", lambda *_, **__: None)
    with (
        cluster_of(crew, tmp_path / "out") as cluster,
        pytest.raises(OutputError, match=r"On .*: Cannot write .*file/parts"),
    ):
        cluster.search(*sets, options=OPTIONS, checkpoint=tmp_path / "file" / "parts")


def test_nobody_answers(sets, tmp_path):
    patience = replace(PATIENCE, answer=1.0)
    machines = Machines(tmp_path)
    with (
        cluster_of(machines, tmp_path / "out", patience=patience) as cluster,
        pytest.raises(ClusterError, match=f"Nobody answers at '{machines.address}'"),
    ):
        cluster.search(*sets, options=OPTIONS)
    missing = str(tmp_path / "scheduler.json")
    with (
        open_cluster(missing, shared=tmp_path / "out", patience=patience) as cluster,
        pytest.raises(ClusterError, match="does not name a scheduler"),
    ):
        cluster.search(*sets, options=OPTIONS)


def test_a_scheduler_without_workers(sets, machines, tmp_path):
    machines.scheduler()
    with (
        cluster_of(machines, tmp_path, patience=replace(PATIENCE, workers=1.0)) as cluster,
        pytest.raises(ClusterError, match="a scheduler and no worker"),
    ):
        cluster.search(*sets, options=OPTIONS)


def test_nothing_large_passes_the_scheduler(sets, crew, tmp_path):
    """The parts on disk hold far more than what the worker sends."""
    from distributed import Client

    with Client(crew.address, set_as_default=False) as client:
        (before,) = client.run(bytes_sent).values()
        with cluster_of(crew, tmp_path) as cluster:
            cluster.search(*sets, options=replace(OPTIONS, top_k=1000))
        (after,) = client.run(bytes_sent).values()
    sizes = sum(path.stat().st_size for path in tmp_path.glob("parts/*.npz"))
    assert sizes > 4_000_000
    assert 0 < after - before < sizes / 20


def listening_addresses():
    """Where this process and those that it started can be reached."""
    here = psutil.Process()
    found = [
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert found
    return set(found)


def bytes_sent(dask_worker):
    return dask_worker.transfer_outgoing_bytes_total
