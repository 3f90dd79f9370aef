"""A task is plain data and is done by one function, with no scheduler at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cluster.conftest import CUT, OPTIONS
from tests.search.sources import assert_same

from likeness._cluster import Task, attempts, count_parts, open_set, run_task, score_work
from likeness._cluster import search_work as work
from likeness._cluster.cutting import MOST_TASKS, Cut, cut_search, uniform_edges
from likeness._cluster.locations import folder_of, is_url
from likeness._cluster.sources import SourcePlace, describe, restore
from likeness.datasets import ImageSet
from likeness.errors import ClusterError, DamagedSetError, InputError
from likeness.scores import Scorer, ScorerOptions, ScoreStore, stages
from likeness.search import SearchOptions, plan_search, search


def planned(queries, references, folder, own=None, options=OPTIONS):
    return work.plan_tasks(
        queries,
        references,
        name="a -> b",
        options=options,
        query_groups=own,
        engine="numpy",
        memory_bytes=2 << 30,
        threads=1,
        folder=folder / "parts",
        shared=folder,
        cut=CUT,
    )


def assembled(tasks, queries, references, options=OPTIONS):
    return work.assemble(
        tasks,
        queries,
        references,
        options=options,
        plan=plan_search(queries, references, options=options),
        engine_check="",
        seconds=0.0,
    )


def done(tasks):
    """Do them from their JSON, in an odd order."""
    for task in reversed(tasks):
        report = run_task(json.loads(json.dumps(task.to_json())))
        assert report["state"] == "done", report
        assert len(json.dumps(report)) < 1000
    return tasks


def test_all_tasks_together_have_the_bits_of_one_search(sets, tmp_path):
    queries, references = sets
    own = np.arange(20, dtype=np.int64) % 9
    tasks = done(planned(queries, references, tmp_path, own))
    assert len(tasks) == 20
    expected = search(queries, references, options=OPTIONS, query_groups=own)
    assert_same(assembled(tasks, queries, references), expected)


def test_a_task_says_all_in_few_bytes_and_comes_back_from_json(sets, tmp_path):
    for task in planned(*sets, tmp_path):
        text = json.dumps(task.to_json())
        assert len(text) < 4000
        again = Task.from_json(json.loads(text))
        assert (again.key, again.after) == (task.key, task.after)
        assert json.dumps(again.to_json()) == text


def test_parts_of_sets_arrays_and_other_codes_come_back_the_same(sets, tmp_path):
    """Subsets, chosen channels, arrays in memory, and people merged from patients."""
    _, references = sets
    rng = np.random.default_rng(0)
    some = references.subset([3, 44, 7, 21, 0]).rename_channels(["t1"])

    class ByPerson:
        def __init__(self, images):
            self.images = images
            self.image_shape, self.dtype, self.channels = images.image_shape, images.dtype, None
            self.patient_codes = np.array([0, 1, 0, 1, 2], dtype=np.int32)
            self.num_patients, self.fingerprint = 3, "person"

        def __len__(self):
            return len(self.images)

        def derived_from(self):
            return self.images, None

        def read(self, start, stop):
            return self.images.read(start, stop)

    arrays = ImageSet.from_arrays(
        rng.integers(0, 9, (6, 3, 4, 5), dtype=np.uint16), channels=["a", "b", "c"]
    )
    chosen = arrays.select_channels(["c", "a"]).subset([4, 1])
    for source in (references, some, ByPerson(some), arrays, chosen):
        place = describe(source, tmp_path / "shared")
        again = restore(SourcePlace.from_json(json.loads(json.dumps(place.to_json()))))
        assert np.array_equal(again.read(0, len(source)), source.read(0, len(source)))
        assert np.array_equal(again.read(1, 2), source.read(1, 2))
        assert again.patient_codes.tobytes() == source.patient_codes.tobytes()
        for name in ("num_patients", "image_shape", "dtype", "channels", "fingerprint"):
            assert getattr(again, name) == getattr(source, name), name
        assert len(again) == len(source)


def test_a_set_made_anew_in_the_same_place_is_not_taken_for_the_old_one(sets, tmp_path):
    queries, references = sets
    shutil.copytree(queries.path, tmp_path / "set")
    place = describe(ImageSet.open(tmp_path / "set"), tmp_path / "shared")
    restore(place)
    shutil.rmtree(tmp_path / "set")
    shutil.copytree(references.path, tmp_path / "set")
    changed = SourcePlace(**{**place.to_json(), "checksum": "0" * 64})
    with pytest.raises(ClusterError, match="another image set"):
        restore(changed)


def test_a_damaged_shard_fails_its_own_parts_only(sets, tmp_path):
    queries, references = sets
    shutil.copytree(references.path, tmp_path / "set")
    damaged = ImageSet.open(tmp_path / "set")
    tasks = planned(queries, damaged, tmp_path)
    shard = tmp_path / "set" / "images" / "00002.npy"
    shard.write_bytes(shard.read_bytes()[:-5])
    states = {}
    for task in tasks:
        report = run_task(task.to_json())
        states.setdefault(report["state"], set()).add(tuple(task.payload["columns"]))
        if report["state"] == "failed":
            assert report["error"] == "DamagedSetError"
            assert "00002.npy" in report["reason"]
            assert str(shard) in task.work.files(task.payload)
    assert states["failed"] == {(20, 30)}
    assert states["done"] == {(0, 10), (10, 20), (30, 40), (40, 50)}


def test_a_task_that_has_killed_twice_is_not_begun_again(sets, tmp_path):
    task = planned(*sets, tmp_path)[0]
    marks = Path(task.marks)
    first = attempts.begin(marks, task.key)
    assert run_task(task.to_json(), failures=1)["state"] == "killed"
    assert run_task(task.to_json())["state"] == "done"
    Path(task.payload["output"]).unlink()
    attempts.begin(marks, task.key)
    report = run_task(task.to_json())
    assert (report["state"], report["reason"]) == ("killed", "killed its worker 2 times")
    assert not Path(task.payload["output"]).exists()
    attempts.end(first)
    assert attempts.forget(marks) == 1
    assert run_task(task.to_json())["state"] == "done"
    assert list(marks.iterdir()) == []


def test_a_worker_of_another_version_refuses(sets, tmp_path):
    task = planned(*sets, tmp_path)[0]
    report = run_task(task.to_json(), version="0.0.0")
    assert report["state"] == "stopped"
    assert "0.0.0" in report["reason"]
    assert not task.is_done()


def test_a_part_that_cannot_be_written_stops_everything(sets, tmp_path):
    task = planned(*sets, tmp_path)[0]
    (tmp_path / "parts").rmdir()
    (tmp_path / "parts").write_text("a file")
    report = run_task(task.to_json())
    assert (report["state"], report["error"]) == ("stopped", "OutputError")


def test_a_damaged_part_is_computed_again(sets, tmp_path):
    queries, references = sets
    tasks = done(planned(queries, references, tmp_path))
    output = Path(tasks[3].payload["output"])
    output.write_bytes(output.read_bytes()[:100])
    assert [task.is_done() for task in tasks].count(False) == 1
    with pytest.raises(ClusterError, match="cannot be read"):
        assembled(tasks, queries, references)
    run_task(tasks[3].to_json())
    expected = search(queries, references, options=OPTIONS)
    assert_same(assembled(tasks, queries, references), expected)


def test_scores_in_tasks_are_those_of_the_scorer(sets, tmp_path, monkeypatch):
    queries, references = sets
    monkeypatch.setitem(stages.PART_QUERIES, "oriented", 8)
    monkeypatch.setitem(stages.PART_QUERIES, "tiles", 8)
    families = ("tiles", "plain", "dihedral")
    options = ScorerOptions(grid=8, depth=3, local_depth=2, transforms=("identity", "rot90"))
    groups = references.patient_codes // 2
    scorer = Scorer(references, groups=groups, options=options)
    excluded = np.arange(20, dtype=np.int32) % 4
    store = ScoreStore(tmp_path / "scores")
    tasks = score_work.plan_tasks(
        scorer,
        queries,
        name="a -> b",
        excluded=excluded,
        families=families,
        depth=2,
        memory_bytes=1 << 30,
        threads=1,
        store=store,
        shared=tmp_path,
    )
    assert len(tasks) == 6
    done(tasks)
    expected = scorer.score(queries, excluded=excluded, families=families, depth=2)
    found = score_work.assemble(tasks, set(), families)
    assert_same_rankings(found, expected)

    # Whoever goes on without a cluster finds everything.
    alone = Scorer(references, groups=groups, options=options, store=store)
    monkeypatch.setattr(Scorer, "_compute", None)
    again = alone.score(queries, excluded=excluded, families=families, depth=2)
    assert_same_rankings(again, expected)

    Path(tmp_path / "scores" / f"{tasks[1].payload['key'][:32]}.npz").unlink()
    with pytest.raises(ClusterError, match="oriented scores of images 8 to 15"):
        score_work.assemble(tasks, set(), families)
    partial = score_work.assemble(tasks, {tasks[1].key}, families)
    kept = np.r_[0:8, 16:20]
    for family in ("plain", "dihedral"):
        assert (partial[family].image[8:16] == -1).all()
        assert np.isnan(partial[family].similarity[8:16]).all()
        assert partial[family].image[kept].tobytes() == expected[family].image[kept].tobytes()
    assert partial["tiles"].image.tobytes() == expected["tiles"].image.tobytes()
    with pytest.raises(ClusterError, match="tiles scores"):
        score_work.assemble(tasks, {task.key for task in tasks[3:]}, families)


def assert_same_rankings(found, expected):
    assert found.keys() == expected.keys()
    for family, ranking in expected.items():
        for name, array in vars(ranking).items():
            assert getattr(found[family], name).tobytes() == array.tobytes(), (family, name)


def test_registered_scores_wait_for_what_they_need(sets, tmp_path):
    queries, references = sets
    tasks = score_work.plan_tasks(
        Scorer(references),
        queries,
        name="a -> b",
        excluded=None,
        families=("registered",),
        depth=None,
        memory_bytes=1 << 30,
        threads=1,
        store=ScoreStore(tmp_path / "scores"),
        shared=tmp_path,
    )
    assert [task.payload["stage"] for task in tasks] == ["oriented", "tiles", "registered"]
    assert tasks[2].after == (tasks[0].key, tasks[1].key)


def test_options_of_a_scorer_come_back_from_json():
    from dataclasses import asdict

    options = ScorerOptions(depth=7, transforms=("identity", "flip_h"), threads=3)
    assert score_work._like(ScorerOptions(), json.loads(json.dumps(asdict(options)))) == options


def test_a_set_behind_a_url_is_the_set_in_the_folder(sets, tmp_path):
    import fsspec

    queries, references = sets
    memory = fsspec.filesystem("memory")
    memory.put(f"{references.path}/", "/hospital/train/", recursive=True)
    remote = open_set("memory://hospital/train")
    assert remote.fingerprint == references.fingerprint
    rows = np.array([49, 3, 20, 21, 22])
    assert np.array_equal(remote.take(rows), references.take(rows))
    assert np.array_equal(remote.read(8, 33), references.read(8, 33))
    tasks = done(planned(queries, remote, tmp_path))
    expected = search(queries, references, options=OPTIONS)
    assert_same(assembled(tasks, queries, references), expected)
    assert "memory://hospital/train/images/00000.npy" in tasks[0].work.files(tasks[0].payload)
    memory.pipe_file("/hospital/train/images/00001.npy", b"short")
    with pytest.raises(DamagedSetError, match=r"00001\.npy"):
        open_set("memory://hospital/train").read(0, 12)
    with pytest.raises(InputError, match="no image set at"):
        open_set("memory://hospital/nothing")


def test_what_counts_as_a_url(sets):
    queries, _ = sets
    assert open_set(f"file://{queries.path}").fingerprint == queries.fingerprint
    assert open_set(queries.path).fingerprint == queries.fingerprint
    assert is_url("s3://bucket/train")
    assert is_url(Path("s3://bucket/train"))  # which has lost a slash
    assert not is_url("/data/train")
    assert not is_url("train")
    assert folder_of("file:///data/train") == Path("/data/train")
    with pytest.raises(InputError, match="another machine"):
        folder_of("file://server/data")


@given(
    st.integers(1, 3000),
    st.lists(st.integers(1, 4096), min_size=1, max_size=40),
    st.integers(1, 10**6),
    st.integers(1, 600),
    st.integers(1, 1 << 31),
)
def test_a_cut_covers_every_pair_once(queries, shards, image_bytes, at_once, reference_bytes):
    edges = [0, *np.cumsum(shards).tolist()]
    cut = Cut(at_once, reference_bytes)
    parts = cut_search(queries, edges, image_bytes, cut)
    rows, columns = sorted({rows for rows, _ in parts}), sorted({c for _, c in parts})
    assert len(parts) == len(set(parts)) == len(rows) * len(columns) <= MOST_TASKS
    for ranges, count in ((rows, queries), (columns, edges[-1])):
        assert ranges[0][0] == 0
        assert ranges[-1][1] == count
        assert all(a[1] == b[0] for a, b in pairwise(ranges))
    most = max(1, reference_bytes // image_bytes)
    if len(cut.rows(queries)) * len(cut.columns(edges, image_bytes)) <= MOST_TASKS:
        for first, last in columns:
            assert last - first <= most
            whole_shards = first in edges and last in edges
            assert whole_shards or any(a <= first and last <= b for a, b in pairwise(edges))


def test_the_number_of_parts_is_known_beforehand():
    assert count_parts(1000, 91_271, 4 * 256 * 256) == 4 * 12
    assert uniform_edges(10, 4) == [0, 4, 8, 10]


def test_importing_the_package_brings_no_dask():
    code = "import likeness._cluster, sys; print(*sorted(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"dask", "distributed", "fsspec"} & set(result.stdout.split())


def test_the_options_of_a_search_come_back(sets, tmp_path):
    """Not only the defaults: channels and transforms are tuples again."""
    options = SearchOptions(top_k=1, top_patients=2, transforms=("identity",), channels=(0,))
    queries, references = sets
    tasks = done(planned(queries, references, tmp_path, options=options))
    expected = search(queries, references, options=options)
    assert_same(assembled(tasks, queries, references, options), expected)
