"""`likeness evaluate`, as typed."""

import json

import numpy as np
import pytest
from PIL import Image
from tests.metrics.encoders import write_encoder
from tests.metrics.test_evaluate import pictures

from likeness.cli._run import run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of PNG files, four images of each real patient."""
    where = tmp_path_factory.mktemp("sets")
    for number, (role, count) in enumerate((("real", 40), ("synthetic", 24), ("test", 24))):
        (where / role).mkdir()
        for image, picture in enumerate(pictures(count, seed=number)):
            Image.fromarray(picture[0]).save(where / role / f"{role}{image // 4}_{image}.png")
    return where


def words(folders, *more, test=True):
    roles = ("real", "synthetic", "test") if test else ("real", "synthetic")
    paths = [word for role in roles for word in (f"--{role}", str(folders / role))]
    return ["evaluate", *paths, *map(str, more)]


def test_a_table_a_file_and_kept_features(folders, tmp_path, capsys):
    out = tmp_path / "out"
    more = ("--components", 4, "--bootstrap", 40, "--patient-id", "regex:([a-z]+[0-9]+)_")
    assert run(words(folders, "--out", out, *more)) == 0
    said = capsys.readouterr().out
    assert "features   pca: 4 numbers per image; the one channel; against 40 real images" in said
    assert "synthetic, 24" in said
    assert "test (baseline), 24" in said
    assert "no inception score: these features know no classes" in said
    assert f"wrote      {out / 'evaluation.json'}" in said
    content = json.loads((out / "evaluation.json").read_text())
    assert content["sets"]["real"]["patients"] == 10
    assert len(list((out / "features").iterdir())) == 3
    line = next(line for line in said.splitlines() if "Fréchet" in line)
    value = next(m for m in content["measurements"] if m["measure"] == "frechet_distance")["value"]
    assert float(line.split()[2]) == pytest.approx(value, rel=0.05)
    assert run(words(folders, "--out", out)) == 2
    assert "holds an evaluation" in capsys.readouterr().err
    assert run(words(folders, "--out", out, "--bootstrap", 0, "--overwrite")) == 0


def test_json_and_a_dry_run(folders, tmp_path, capsys):
    more = ("--json", "--bootstrap", 0, "--components", 3)
    assert run(words(folders, "--dry-run", "--out", tmp_path / "out", *more)) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "out").exists()
    assert planned["compared"] == {"synthetic": 24, "test": 24}
    assert run(words(folders, *more)) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["sets"] == planned["sets"]
    assert {one["num_features"] for one in done["measurements"]} == {3}
    assert run(words(folders, "--dry-run")) == 0
    assert "nothing was computed" in capsys.readouterr().out


def test_an_encoder_with_its_input(folders, tmp_path, capsys):
    write_encoder(tmp_path / "e.onnx", classes=3, softmax=True)
    more = ("--onnx", tmp_path / "e.onnx", "--onnx-size", 16, "--onnx-mean", 0.4, "--onnx-std",
            0.2, "--onnx-classes", "probabilities", "--features", "pca,onnx", "--bootstrap", 20,
            "--components", 3)  # fmt: skip
    assert run(words(folders, *more, test=False)) == 0
    said = capsys.readouterr().out
    assert "features   onnx: 6 numbers per image" in said
    assert "inception score" in said
    assert "No held-out images were given" in said


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--features", "fid"], 2, "--features is 'fid'; give some of pca, inception, onnx"),
        (["--features", "inception"], 2, "--features inception needs --inception FILE"),
        (["--features", "pca", "--onnx", "e.onnx"], 2, "--onnx is given, but --features pca"),
        (["--inception", "absent.pth"], 3, "no file 'absent.pth' with the weights of Inception"),
        (["--onnx", "absent.onnx"], 3, "'absent.onnx' cannot be read"),
        (["--onnx", "absent.onnx", "--onnx-mean", "a"], 2, "--onnx-mean is 'a'"),
        (["--bootstrap", "3"], 2, "--bootstrap 3"),
        (["--components", "0"], 2, "at least 1 component"),
        (["--channels", "t9"], 2, "there are grey, of which annotations: none"),
    ],
)
def test_usage(folders, more, code, said, capsys):
    assert run(words(folders, *more)) == code
    assert said in capsys.readouterr().err


def test_paths_that_cannot_be(folders, tmp_path, capsys):
    assert run(["evaluate", "--real", "nowhere", "--synthetic", str(folders / "test")]) == 3
    assert "nothing at 'nowhere' (for real)" in capsys.readouterr().err
    assert run(words(folders, "--out", folders / "real" / "out")) == 2
    assert "lies inside" in capsys.readouterr().err
    (tmp_path / "large").mkdir()
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "large/a.png")
    code = run(
        ["evaluate", "--real", str(folders / "real"), "--synthetic", str(tmp_path / "large")]
    )
    assert code == 3
    assert "differ in shape, channels or number type" in capsys.readouterr().err
