"""`--cluster`: the audit of one process, and no clearance where something was not compared."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pyarrow.parquet as pq
import pytest

from likeness._audit import AuditOptions, audit, run
from likeness._cluster import ClusterOutcome, Quarantined, open_cluster
from likeness._cluster.cutting import Cut

pytest.importorskip("distributed")

TABLES = ("images.parquet", "baseline.parquet", "matches.parquet", "patients.parquet")
POISON = """
from likeness._cluster import search_work
def broken(payload, compute=search_work.compute):
    if payload["name"] == "{name}" and payload["rows"][0] == {row}:
        raise ValueError("a pixel too many")
    return compute(payload)
search_work.compute = broken
"""


def test_an_audit_on_a_cluster(folders, monkeypatch, tmp_path):
    """What raises twice is named and forbids a clearance; computed after all, nothing differs."""
    import dask

    monkeypatch.setattr(run, "open_cluster", partial(open_cluster, cut=Cut(queries=16)))
    options = AuditOptions(
        patient_id="regex:(P[0-9]+)_", local_sample=40, permutations=999, self_check=False
    )
    train, test, synthetic = folders
    alone, other = tmp_path / "alone", tmp_path / "cluster"
    audit(train, synthetic, test, out=alone, options=options)

    on_cluster = replace(options, cluster="local:1")
    preload = tmp_path / "preload.py"
    preload.write_text(POISON.format(name="synthetic -> train", row=16))
    with dask.config.set({"distributed.worker.preload": [str(preload)]}):
        findings = audit(train, synthetic, test, out=other, options=on_cluster)
    assert findings.verdict.code != "NO_COPY_DETECTED"
    (row,) = [check for check in findings.checks if check.name == "Complete search"]
    assert row.status == "FAIL"
    assert "synthetic -> train, queries 16 to 31 against images 0 to 109" in row.detail
    assert "ValueError: a pixel too many" in row.detail
    assert f"{other / 'work' / 'sets' / 'train' / 'images' / '00000.npy'}" in row.detail

    audit(train, synthetic, test, out=other, options=on_cluster)
    both = [json.loads((out / "findings.json").read_text()) for out in (alone, other)]
    for content in both:
        content.pop("provenance")
    assert both[0] == both[1]
    for name in TABLES:
        tables = [pq.read_table(out / name) for out in (alone, other)]
        assert tables[0].equals(tables[1]), name


def test_a_match_on_a_cluster(folders, likeness_command, tmp_path):
    train, _, synthetic = folders
    command = ("match", "--queries", synthetic, "--references", train)
    assert likeness_command(*command, "--out", tmp_path / "a.parquet").returncode == 0
    result = likeness_command(*command, "--out", tmp_path / "b.parquet", "--cluster", "local:1")
    assert result.returncode == 0, result.stderr
    tables = [pq.read_table(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    assert tables[0].equals(tables[1])
    preload = tmp_path / "preload.py"
    preload.write_text(POISON.format(name="search", row=0))
    result = likeness_command(
        *(*command, "--out", tmp_path / "c.parquet", "--cluster", "local:1"),
        env={"DASK_DISTRIBUTED__WORKER__PRELOAD": str(preload)},
    )
    assert result.returncode == 3
    assert "a pixel too many" in result.stderr
    assert not (tmp_path / "c.parquet").exists()


@pytest.fixture
def arguments(folders):
    train, test, synthetic = folders
    return (
        *("audit", "--train", train, "--test", test, "--synthetic", synthetic),
        *("--patient-id", "regex:(P[0-9]+)_"),
    )


def test_the_dry_run_counts_parts_and_asks_nobody(arguments, likeness_command, tmp_path):
    result = likeness_command(
        *arguments, "--out", tmp_path / "out", "--dry-run", "--cluster", "tcp://127.0.0.1:1"
    )
    assert result.returncode == 0, result.stderr
    assert "cluster    tcp://127.0.0.1:1: about 4 parts" in result.stdout


def test_a_cluster_that_is_not_understood(arguments, likeness_command, tmp_path):
    result = likeness_command(*arguments, "--out", tmp_path / "out", "--cluster", "everywhere")
    assert result.returncode == 2
    assert "expected local, local:N" in result.stderr


def test_what_was_set_aside_forbids_a_clearance():
    aside = Quarantined("key", "a -> b, queries 0 to 3", ("/set/images/00001.npy",), "killed")
    outcome = ClusterOutcome(9, 8, 2, ("node1",), (aside,))
    assert "1 of 9 parts of the work failed twice" in outcome.obstacles()[0]
    assert outcome.rows() == [
        {
            "task": "key",
            "what": "a -> b, queries 0 to 3",
            "files": ["/set/images/00001.npy"],
            "reason": "killed",
        }
    ]
