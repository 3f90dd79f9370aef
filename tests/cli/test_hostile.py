"""Somebody who wants a copy out, or mistypes what keeps it in: nothing happens unnoticed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.release.making import CANARY, make_audit, plain_rescorer, seal

import likeness._release.run as run_module
from likeness._release.audit_settings import unusual_settings
from likeness.cli._run import run

DEEP = 100_000
"""Brackets within brackets: more than any parser follows."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_audit(tmp_path_factory.mktemp("made"), innocent=40, test_patients=2)


@pytest.fixture
def mine(made, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "rescorer", lambda audit, sets: plain_rescorer(sets.train))
    shutil.copytree(made.folder, tmp_path / "audit")
    seal(tmp_path / "audit")
    return replace(made, folder=tmp_path / "audit")


def release(*words):
    return run(["release", *map(str, words)])


def test_copies_struck_from_the_list_with_fitting_checksums_stay_in(mine, tmp_path, capsys):
    path = mine.folder / "images.parquet"
    table = pq.read_table(path)
    columns = table.to_pydict()
    copies = [row for row, is_copy in enumerate(columns["flagged"]) if is_copy]
    assert copies
    for row in copies:
        columns["flagged"][row] = columns["unusual"][row] = False
        columns["p_value"][row] = 0.7
    pq.write_table(pa.table(columns, schema=table.schema), path)
    counts = replace(mine.findings.counts, flagged=0, unusual=0)
    mine.write_findings(replace(mine.findings, counts=counts))  # and seals all files anew
    assert release("--audit", mine.folder, "--check") == 4
    assert f"p-values of {len(copies)} images do not follow" in capsys.readouterr().out
    assert release("--audit", mine.folder, "--out", tmp_path / "out") == 4
    assert not (tmp_path / "out").exists()


def test_an_audit_made_to_look_less_closely_is_named_everywhere(mine, tmp_path, capsys):
    settings = {
        "fdr": 0.001,
        "flips": False,
        "planted": 200,
        "seed": 7,
        "channels": CANARY,
        "patient_id": f"regex:({CANARY})",
    }
    provenance = replace(mine.findings.provenance, settings=settings)
    mine.write_findings(replace(mine.findings, provenance=provenance))
    code = release("--audit", mine.folder, "--out", tmp_path / "out", "--json")
    result = json.loads(capsys.readouterr().out)
    # The channel of that name is in no set: it is refused before anything is written.
    assert (code, (tmp_path / "out").exists()) == (4, False)
    assert "not compared" in " ".join(result["reasons"])

    provenance = replace(provenance, settings={**settings, "channels": None})
    mine.write_findings(replace(mine.findings, provenance=provenance))
    assert release("--audit", mine.folder, "--out", tmp_path / "out") == 0
    told = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "release_record.json").read_text())
    page = (tmp_path / "out" / "release_record.html").read_text()
    lines = record["audit"]["unusual_settings"]
    assert lines == [
        "fdr = 0.001 (default 0.05)",
        "flips = false (default true)",
        "seed = 7 (default 0)",
        "patient_id = regex (default auto)",
    ]
    for line in lines:
        assert line in page
        assert line in told
    assert record["audit"]["training_images"] == mine.findings.counts.train
    assert CANARY not in page + json.dumps(record)


def test_no_word_of_the_user_is_told():
    settings = {
        "channels": CANARY,
        "patient_id": CANARY,
        "manifest": CANARY,
        "strata": CANARY,
        "fdr": CANARY,
        "train": CANARY,
    }
    lines = unusual_settings(settings)
    assert len(lines) == 3
    assert CANARY not in " ".join(lines)
    assert unusual_settings({}) == []


def test_a_misspelt_key_of_a_review_is_not_overheard(mine, tmp_path, capsys):
    said = {"image_id": f"{CANARY}-s004.png", "decision": "copy", "reviewer": "AB"}
    head = {"format_name": "likeness review", "format_version": 1}
    review = tmp_path / "review.json"
    for content in (
        {**head, "decision": [said]},
        {**head, "decisions": [{**said, "reviewr": "AB"}]},
    ):
        review.write_text(json.dumps(content))
        assert release("--audit", mine.folder, "--check", "--review", review) == 3
        assert "unknown key" in capsys.readouterr().err
    review.write_text(json.dumps({**head, "decisions": [{**said, "note": "same ribs"}]}))
    assert release("--audit", mine.folder, "--check", "--review", review) == 0


def test_brackets_without_end_are_no_bug(mine, tmp_path, capsys):
    (tmp_path / "review.json").write_text("[" * DEEP)
    (tmp_path / "policy.toml").write_text("a = " + "[" * DEEP)
    words = ("--audit", mine.folder, "--check")
    assert release(*words, "--review", tmp_path / "review.json") == 3
    assert release(*words, "--policy", tmp_path / "policy.toml") == 2
    assert "a bug" not in capsys.readouterr().err


def test_what_could_not_be_compared_again_and_weaker_rules_stand_on_the_terminal(
    mine, tmp_path, capsys
):
    (tmp_path / "policy.toml").write_text("[image]\nfdr = 0.1\n")
    words = ("--audit", mine.folder, "--check", "--policy", tmp_path / "policy.toml")
    train = mine.root / "train"
    train.rename(mine.root / "away")
    try:
        assert release(*words) == 0
    finally:
        (mine.root / "away").rename(train)
    out = capsys.readouterr().out
    assert "note  A rule is weaker than usual: fdr = 0.1 (default 0.2)." in out
    assert "note  The source files of the train set could not be compared again." in out
