"""The verbs as a user meets them: output, exit codes, refusals, a kill in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.match.pictures import noisy, patients, picture

from likeness.cli._run import run
from likeness.datasets import ImageSet


def save(folder, name, image):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[0]).save(folder / f"{name}.png")


@pytest.fixture
def folders(tmp_path):
    """train (8 patients x 2), test (6 x 2), synthetic (5, one of them of P3)."""
    for name, first, count in (("train", 0, 8), ("test", 50, 6)):
        images, ids = patients(count, 2, first, channels=1)
        for n, (image, patient) in enumerate(zip(images, ids, strict=True)):
            save(tmp_path / name, f"{patient}_{n}", image)
    for n in range(4):
        save(tmp_path / "synthetic", f"s{n}", picture(90 + n, channels=1))
    save(tmp_path / "synthetic", "s4", noisy(picture(3, 1, channels=1), 4))
    return tmp_path


RULE = ["--patient-id", "regex:(P[0-9]+)_", "--quiet"]


def test_duplicates_of_a_folder(folders, capsys):
    command = ["duplicates", str(folders / "train"), "--out", str(folders / "out"), *RULE]
    assert run(command) == 0
    text = capsys.readouterr().out
    assert "16 images of 8 patients with each other: all 112 pairs" in text
    assert "NOTHING FOUND TWICE" in text
    assert (folders / "out" / "duplicates-INTERNAL.html").is_file()
    assert not (folders / "out" / "work").exists()


def test_leakage_fails_where_that_is_asked_for(folders, capsys):
    image = np.asarray(Image.open(folders / "train" / "P2_5.png"))
    save(folders / "test", "P77_0", image[None])
    command = ["duplicates", str(folders / "test"), "--against", str(folders / "train"), *RULE,
               "--out", str(folders / "leak"), "--fail-on", "duplicates", "--json"]  # fmt: skip
    assert run(command) == 1
    summary = json.loads(capsys.readouterr().out)
    assert summary["patients"]["one_person_ids"] == [["P77", "P2"]]
    assert run([*command[:-3], "--overwrite"]) == 0


def test_a_patient_asks(folders, capsys):
    command = ["match", "--queries", str(folders / "synthetic"), *RULE,
               "--references", str(folders / "train"), "--test", str(folders / "test"),
               "--patient", "P3", "--patient", "P5", "--out", str(folders / "answer")]  # fmt: skip
    assert run(command) == 0
    text = capsys.readouterr().out
    assert "What resembles patient P3" in text
    assert "The closest is s4.png with P3_7.png" in text
    assert "Not looked at:" in text
    table = pq.read_table(folders / "answer" / "resemblance.parquet")
    assert table.num_rows == 2 * 5
    assert run([*command, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["patients"][0]["image_id"] == "s4.png"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--patient", "P33"], 2, "Did you mean 'P3'"),
        (["--patient", "P3", "--out", "x.parquet"], 2, "it is a folder"),
        (["--test", "test"], 2, "--test goes with --patient"),
        (["--patient", "P3", "--patient-id", "none"], 3, "--patient-id"),
        (["--patient", "P3", "--pairs", "-1"], 2, "--pairs"),
    ],
)
def test_what_match_refuses(folders, capsys, monkeypatch, more, code, words):
    monkeypatch.chdir(folders)
    command = ["match", "--queries", "synthetic", "--references", "train", "--quiet"]
    if "--patient-id" not in more:
        more = [*more, "--patient-id", "regex:(P[0-9]+)_"]
    if "--out" not in more:
        more = [*more, "--out", "answer"]
    assert run([*command, *more]) == code
    assert words in capsys.readouterr().err


def test_authenticity_of_folders(folders, capsys):
    command = ["authenticity", "--synthetic", str(folders / "synthetic"), *RULE,
               "--train", str(folders / "train"), "--out", str(folders / "auth")]  # fmt: skip
    assert run(command) == 0
    text = capsys.readouterr().out
    assert "of 5" in text
    assert "own patient left out" in text
    assert pq.read_table(folders / "auth" / "authenticity.parquet").num_rows == 5


@pytest.mark.parametrize("where", ["train/out", "."])
def test_inputs_are_never_written_to(folders, capsys, monkeypatch, where):
    monkeypatch.chdir(folders)
    before = sorted(path.name for path in (folders / "train").iterdir())
    assert run(["duplicates", "train", "--out", where, *RULE]) == 2
    assert "--out" in capsys.readouterr().err
    assert sorted(path.name for path in (folders / "train").iterdir()) == before


def test_foreign_folders_and_other_settings_are_refused(folders, capsys, monkeypatch):
    monkeypatch.chdir(folders)
    (folders / "notes").mkdir()
    (folders / "notes" / "thesis.txt").write_text("mine")
    assert run(["duplicates", "train", "--out", "notes", *RULE]) == 2
    assert "thesis.txt" in capsys.readouterr().err
    assert run(["duplicates", "train", "--out", "out", *RULE]) == 0
    assert run(["duplicates", "train", "--out", "out", "--no-flips", *RULE]) == 2
    assert "flips was True, is False" in capsys.readouterr().err
    assert run(["duplicates", "train", "--out", "out", "--no-flips", "--overwrite", *RULE]) == 0
    assert (folders / "notes" / "thesis.txt").read_text() == "mine"


def test_files_that_are_left_out_are_counted_and_change_the_exit_code(folders, capsys):
    (folders / "train" / "P9_0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    command = ["duplicates", str(folders / "train"), "--out", str(folders / "out"), *RULE]
    assert run(command) == 3
    assert run([*command, "--max-skipped", "20%"]) == 5
    assert "1 left out" in capsys.readouterr().out


def test_a_damaged_set_is_refused(folders, capsys):
    store = folders / "store"
    assert run(["prepare", "images", str(folders / "train"), "--out", str(store), *RULE]) == 0
    shard = next((store / "images").glob("*.npy"))
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    assert run(["duplicates", str(store), "--out", str(folders / "out"), "--quiet"]) == 3
    assert "not as it was written" in capsys.readouterr().err


def test_a_killed_run_goes_on_and_ends_with_the_same_result(tmp_path):
    images, ids = patients(40, 5, side=128)
    images[77] = noisy(images[3], 0.5)
    np.save(tmp_path / "pixels.npy", images)
    code = (
        "import sys, numpy as np\n"
        "from likeness import ImageSet, find_duplicates\n"
        "images = np.load(sys.argv[1])\n"
        "ids = [f'P{i // 5}' for i in range(len(images))]\n"
        "find_duplicates(ImageSet.from_arrays(images, patient_ids=ids), out=sys.argv[2],\n"
        "                engine='numpy', threads=1)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pixels.npy"), str(tmp_path / "out")]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    running = subprocess.Popen(command, env=environment)
    work = tmp_path / "out" / "work"
    deadline = time.monotonic() + 60
    # in the middle: the first search is done, the rest is not
    while not any(work.glob("blocks-*/*.bin")) and time.monotonic() < deadline:
        assert running.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "duplicates.json").exists()
    finished = {path: path.stat().st_mtime_ns for path in work.glob("search/*.npz")}
    assert finished
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert not work.exists()
    from likeness import find_duplicates

    expected = find_duplicates(ImageSet.from_arrays(images, patient_ids=ids))
    for name in ("pairs", "images", "patients"):
        table = pq.read_table(tmp_path / "out" / f"{name}.parquet")
        assert table.to_pylist() == getattr(expected, name).to_pylist()
    assert expected.summary["patients"]["one_person_ids"] == [["P0", "P15"]]
