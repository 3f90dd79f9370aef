"""`likeness utility`, as typed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from likeness.cli._run import run


@pytest.fixture(scope="module")
def folders(tmp_path_factory, class_sets):
    """Image sets made of PNG files in folders of their classes."""
    where = tmp_path_factory.mktemp("sets")
    firsts = {"train": 0, "synthetic": 100, "test": 200}
    for (role, first), images in zip(firsts.items(), class_sets, strict=True):
        for k in range(18):
            folder = where / "files" / role / str(images.classes[k])
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.ascontiguousarray(images.read(k, k + 1)[0, 0])
            name = f"person{first + images.patient_codes[k]}"
            Image.fromarray(pixels).save(folder / f"{name}_bacteria_{k}.png")
        words = ["prepare", "cxr", where / "files" / role, "--out", where / role, "--quiet"]
        assert run([*map(str, words), "--size", "16"]) == 0
    return where


def words(folders, *more, task="classification", test="test"):
    paths = {"train": "train", "synthetic": "synthetic", "test": test}
    given = [word for role, name in paths.items() for word in (f"--{role}", folders / name)]
    short = ["--steps", 2, "--seeds", 1, "--bootstrap", 100]
    return ["utility", task, *map(str, (*given, *short, *more))]


def test_a_table_and_a_file(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(words(folders, "--out", out)) == 0
    said = capsys.readouterr().out
    assert "classification: tested on 18 real images of 6 patients; 2 steps, 1 seeds" in said
    assert "nothing about privacy" in said
    assert f"wrote      {out / 'utility.json'}" in said
    content = json.loads((out / "utility.json").read_text())
    assert {one["source"] for one in content["networks"]} == {"real", "synthetic", "both"}


def test_json_and_a_dry_run(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(words(folders, "--out", out, "--dry-run", "--json")) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["networks"], planned["finished"]) == (3, 0)
    assert not out.exists()
    assert run(words(folders, "--out", out, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["sets"] == planned["sets"]
    assert run(words(folders, "--out", out, "--dry-run")) == 0
    assert "3 of them are finished" in capsys.readouterr().out


def test_refusals(folders, tmp_path, capsys):
    assert run(words(folders, "--out", tmp_path / "out", test="train")) == 3
    assert "patients are in the training and in the test set" in capsys.readouterr().err
    assert run(words(folders, "--out", folders / "train" / "out")) == 2
    assert "lies inside" in capsys.readouterr().err
    assert run(words(folders, "--out", tmp_path / "out", task="segmentation")) == 2
    assert "--annotation NAME" in capsys.readouterr().err
