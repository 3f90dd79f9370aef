"""`likeness append` and `likeness forget`, as they are typed."""

import json

import pytest
from tests.datasets.making import folder_of_pngs, pixels, png

from likeness.cli._run import run
from likeness.datasets import ImageSet
from likeness.datasets.derived import derived_rows


@pytest.fixture
def folder(tmp_path, capsys):
    source = folder_of_pngs(tmp_path / "source", 9)
    assert run(["prepare", "images", str(source), "--out", str(tmp_path / "set")]) == 0
    capsys.readouterr()
    return str(tmp_path / "set")


def test_append_says_what_it_added(folder, tmp_path, capsys):
    png(tmp_path / "source/P8/P8_1.png", pixels(70))
    source = str(tmp_path / "source")
    assert run(["append", folder, source, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "1 new files" in told
    assert "passed over 9 files" in told
    assert len(ImageSet.open(folder)) == 9
    assert run(["append", folder, source]) == 0
    told = capsys.readouterr().out
    assert "added      1 images, 1 new patients" in told
    assert "now holds 10 images, 4 patients" in told
    assert run(["append", folder, source, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["added"], content["known_files"], content["images"]) == (0, 10, 10)
    assert run(["append", folder, source, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["known_files"] == 10
    (tmp_path / "bad/P9").mkdir(parents=True)
    (tmp_path / "bad/P9/P9_1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    png(tmp_path / "bad/P9/P9_2.png", pixels(71))
    assert run(["append", folder, str(tmp_path / "bad")]) == 3
    assert run(["append", folder, str(tmp_path / "bad"), "--max-skipped", "60%"]) == 5
    assert run(["append", str(tmp_path / "none"), source]) == 3
    assert run(["verify", folder]) == 0


def test_forget_says_what_went_and_what_it_cannot_reach(folder, tmp_path, capsys):
    derived_rows(ImageSet.open(folder), "sum", {}, lambda images: {"sum": images.sum((1, 2, 3))})
    assert run(["forget", folder, "--patient", "P1", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "would go   3 images of 1 patients" in told
    assert "nothing was written" in told
    assert run(["forget", folder, "--patient", "P77"]) == 2
    assert "'P77'" in capsys.readouterr().err
    names = tmp_path / "names.txt"
    names.write_text("P1\n\nP0\n")
    assert run(["forget", folder, "--patients-from", str(names)]) == 0
    told = capsys.readouterr().out
    assert "removed    6 images of 2 patients" in told
    assert "audits made with this set still name these people" in told
    assert set(ImageSet.open(folder).patient_ids) == {"P2"}
    assert run(["forget", folder]) == 2
    assert run(["forget", folder, "--patients-from", str(tmp_path / "absent")]) == 3
    assert run(["forget", folder, "--patient", "P2"]) == 2
    capsys.readouterr()
    assert run(["verify", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []
    png(tmp_path / "more/P5/P5_1.png", pixels(72))
    assert run(["append", folder, str(tmp_path / "more")]) == 0
    capsys.readouterr()
    assert run(["forget", folder, "--patient", "P5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 1
