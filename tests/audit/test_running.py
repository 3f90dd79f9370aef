"""The same numbers whatever the machine, the seed where it should not matter, and a kill."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.audit.conftest import as_they_are, image_set, innocents, small

import likeness
from likeness._audit import evidence, require_complete, second_look
from likeness._audit import run as audit_run
from likeness._audit.folder import COMPLETE
from likeness._files import folder_lock
from likeness.errors import InputError, LockedError
from likeness.scores.store import ScoreStore

TABLES = ("matches.parquet", "images.parquet", "baseline.parquet", "patients.parquet")


@pytest.fixture(scope="module")
def sets():
    """Small enough for the real registered family; nothing is left out of these audits."""
    train, test = image_set(range(104), 1), image_set(range(1000, 1012), 1)
    return train, np.concatenate([innocents(10), train.take([5, 50])[..., ::-1]]), test


def options(**changes):
    return small(**{"planted": 5, "local_sample": 104, "evidence": 2, **changes})


def numbers(findings):
    """Everything that was found, without what says how."""
    found = findings.to_dict()
    del found["provenance"]
    found["methods"] = found["methods"].partition("exact search")[0]
    return found


@pytest.fixture(scope="module")
def whole(sets, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "audit"
    return likeness.audit(*sets, out=out, options=options()), out


def test_copies_are_found_by_the_real_families_too(whole):
    findings, _ = whole
    assert findings.verdict.code == "COPIES_FOUND"
    assert {copy.patient_id for copy in findings.copies} == {"p5", "p50"}
    assert {copy.transform for copy in findings.copies} == {"flip_h"}


def test_the_same_audit_again_gives_the_same_findings(whole, sets):
    findings, out = whole
    before = {name: (out / name).read_bytes() for name in TABLES}
    again = likeness.audit(*sets, out=out, options=options())
    assert numbers(again) == numbers(findings)
    assert again.provenance.run_id == findings.provenance.run_id
    assert {name: (out / name).read_bytes() for name in TABLES} == before


def test_memory_threads_and_engine_change_no_number(whole, sets):
    findings, _ = whole
    other = options(memory_bytes=300 << 20, threads=1, engine="numpy")
    assert numbers(likeness.audit(*sets, options=other)) == numbers(findings)


class Killed(BaseException):
    """As SIGKILL: nothing may be tidied up on the way out."""


def test_an_audit_killed_while_scoring_goes_on_and_gives_the_same(
    whole, sets, tmp_path, monkeypatch
):
    findings, complete = whole
    saved = []

    def killing(self, key, rankings):
        save(self, key, rankings)
        saved.append(key)
        if len(saved) == 3:
            raise Killed

    save = ScoreStore.save
    monkeypatch.setattr(ScoreStore, "save", killing)
    out = tmp_path / "audit"
    with pytest.raises(Killed):
        likeness.audit(*sets, out=out, options=options())
    assert not (out / COMPLETE).exists()
    monkeypatch.setattr(ScoreStore, "save", lambda *a: (saved.append(a[1]), save(*a)))
    resumed = likeness.audit(*sets, out=out, options=options())
    assert len(saved) == len(set(saved)), "no part was scored twice"
    assert numbers(resumed) == numbers(findings)
    for name in TABLES:
        assert (out / name).read_bytes() == (complete / name).read_bytes(), name


def test_a_spoilt_part_is_scored_again(whole, sets, tmp_path):
    findings, complete = whole
    out = tmp_path / "audit"
    shutil.copytree(complete, out)
    parts = sorted((out / "work" / "scores").glob("*.npz"), key=lambda path: path.stat().st_size)
    for path in parts[::2]:
        path.write_bytes(path.read_bytes()[:500])
    assert numbers(likeness.audit(*sets, out=out, options=options())) == numbers(findings)


def test_pairs_that_were_measured_are_not_measured_again(quickly, sets, tmp_path, monkeypatch):
    """And the evidence is the same; a saved pair that was spoilt is measured again."""
    out = tmp_path / "out"
    first = likeness.audit(*sets, out=out, options=options())
    names = ("evidence/pairs.json", "evidence/pairs.npz", "second_stage.parquet")
    before = [(out / name).read_bytes() for name in names]
    with monkeypatch.context() as patched:
        patched.setattr(evidence, "align", lambda *_: pytest.fail("measured again"))
        patched.setattr(second_look, "rerank", lambda *_, **__: pytest.fail("looked at again"))
        again = likeness.audit(*sets, out=out, options=options())
    assert numbers(again) == numbers(first)
    assert [(out / name).read_bytes() for name in names] == before
    for path in (out / "work" / "pairs").iterdir():
        content = path.read_bytes()
        half = len(content) // 2
        path.write_bytes(content[:half] + b"??" + content[half + 2 :])
    spoilt = likeness.audit(*sets, out=out, options=options())
    assert numbers(spoilt) == numbers(first)
    assert [(out / name).read_bytes() for name in names] == before
    # Of other synthetic images nothing that was saved is true.
    train, synthetic, test = sets
    other = likeness.audit(train, synthetic[::-1], test, out=tmp_path / "other", options=options())
    shutil.copytree(
        out / "work" / "pairs", tmp_path / "other" / "work" / "pairs", dirs_exist_ok=True
    )
    again = likeness.audit(train, synthetic[::-1], test, out=tmp_path / "other", options=options())
    assert numbers(again) == numbers(other)


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr("likeness.scores.scorer.rank_registered", as_they_are)


def test_the_seed_changes_what_is_drawn_and_nothing_else(quickly, sets, tmp_path):
    found = {}
    for seed in (0, 1):
        likeness.audit(*sets, out=tmp_path / str(seed), options=options(seed=seed))
        content = json.loads((tmp_path / str(seed) / "findings.json").read_text())
        found[seed] = content, {name: pq.read_table(tmp_path / str(seed) / name) for name in TABLES}
    (first, tables), (second, others) = found[0], found[1]
    for name in TABLES:
        assert tables[name].equals(others[name]), name
    for key in ("copies", "patients", "baseline", "distributions", "checks", "duplicates", "panel"):
        assert first[key] == second[key], key
    for key in ("matched_share", "expected_share", "delta", "fewest_leaked_05"):
        assert first["membership"][key] == second["membership"][key]
    assert first["rates"]["auc"]["estimate"] == second["rates"]["auc"]["estimate"]
    assert first["rates"]["auc"] != second["rates"]["auc"], "intervals are drawn"


def test_the_seed_draws_the_sample_where_there_is_one(quickly, sets, tmp_path):
    rows = {}
    for seed in (0, 1):
        changed = options(seed=seed, train_sample=60, local_sample=40, self_check=False)
        likeness.audit(*sets, out=tmp_path / str(seed), options=changed)
        table = pq.read_table(tmp_path / str(seed) / "baseline.parquet").to_pylist()
        rows[seed] = {row["image_id"] for row in table if row["comparison"] == "train->train"}
    assert len(rows[0]) == len(rows[1]) == 60
    assert rows[0] != rows[1]


def test_the_checksums_are_written_before_the_audit_counts_as_finished(
    quickly, sets, tmp_path, monkeypatch
):
    def broken(_out):
        raise Killed

    monkeypatch.setattr(audit_run, "write_checksums", broken)
    changed = options(self_check=False)
    with pytest.raises(Killed):
        likeness.audit(*sets, out=tmp_path / "audit", options=changed)
    assert (tmp_path / "audit" / "findings.json").exists()
    assert not (tmp_path / "audit" / COMPLETE).exists()
    with pytest.raises(InputError, match="was not finished"):
        require_complete(tmp_path / "audit")


def test_two_runs_in_one_folder(quickly, sets, tmp_path):
    changed = options(self_check=False)
    likeness.audit(*sets, out=tmp_path / "audit", options=changed)
    with folder_lock(tmp_path / "audit"), pytest.raises(LockedError):
        likeness.audit(*sets, out=tmp_path / "audit", options=changed)
