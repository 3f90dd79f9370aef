"""The whole way on artificial patients, with generators that see a handful of images."""

import json
from dataclasses import replace

import pytest

from likeness.cli._run import run as run_command
from likeness.datasets import ImageSet
from likeness.errors import InputError, OptionError
from likeness.experiments import configurations
from likeness.experiments.configurations import Configuration, Data, Run, Source
from likeness.experiments.pipeline import build_stages
from likeness.experiments.sources import find_sources

SHORT = Configuration(
    name="tiny",
    description="For a test.",
    resolution=32,
    sources={
        "brats20": Source("brats20", 0.3, ("t1", "flair", "seg")),
        "cxr": Source("cxr", 0.3),
    },
    data=(Data("BRATS20", "brats20", 24, "BRATS20"), Data("CXR", "cxr", 24, "CXR-1300")),
    runs=(
        Run("BRATS20", "ddpm", "medium", "tiny", 16, training={"batch": 8}, snapshots=(8, 16)),
        Run("CXR", "stylegan3", "medium", "tiny", 8),
    ),
    samples=6,
    snapshot_samples=4,
    sampler="ancestral",
    sampler_steps=3,
    bfloat16={"ddpm": False, "stylegan3": False},
    limits=("Nothing can be seen in it.",),
)

KNOWN = configurations.CONFIGURATIONS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(configurations, "CONFIGURATIONS", {**KNOWN, "tiny": SHORT})
    patch.setattr("likeness.experiments.sources.PHANTOM_PATIENTS", {"brats20": 8, "cxr": 40})
    out = tmp_path_factory.mktemp("tiny")
    code = run_command(["reproduce", "tiny", "--out", str(out), "-q"])
    yield code, out
    patch.undo()


def test_every_table_and_figure_is_made(made):
    code, out = made
    assert code == 0
    names = {path.name for path in (out / "results").iterdir()}
    for stem, endings in (("table2", "md csv"), ("table3", "md csv"), ("findings", "md csv")):
        assert {f"{stem}.{ending}" for ending in endings.split()} <= names
    for stem in (*(f"fig{k}" for k in range(1, 7)), "curve"):
        assert {f"{stem}.png", f"{stem}.pdf"} <= names
        assert (out / "results" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    table = (out / "results" / "table2.md").read_text("utf-8")
    assert "Nothing can be seen in it." in table
    assert "0.985" in table  # the paper's
    assert "no weights given" in table


def test_tables_name_no_patient(made):
    _, out = made
    training = ImageSet.open(next((out / "prepare").glob("brats20-*")) / "sets" / "train")
    for path in (out / "results").glob("*.md"):
        for name in training.patient_names:
            assert name not in path.read_text("utf-8")


def test_samples_and_sets_are_as_configured(made):
    _, out = made
    samples = ImageSet.open(next((out / "sample").glob("brats20-ddpm-medium-0-??????????")) / "set")
    assert len(samples) == 6
    assert samples.channels == ("t1", "flair", "seg")
    record = json.loads((out / "stages" / "data" / "brats20.json").read_text("utf-8"))
    assert record["settings"] == {"images": 24}


def test_nothing_is_done_twice(made, capsys):
    _, out = made
    before = {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*.json")}
    assert run_command(["reproduce", "tiny", "--out", str(out), "--list"]) == 0
    shown = capsys.readouterr().out
    assert "to do" not in shown
    assert "nothing was written" in shown
    assert run_command(["reproduce", "tiny", "--out", str(out), "-q", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["stages"]) == len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_more_samples_do_not_train_again(made, monkeypatch, capsys):
    _, out = made
    more = {**KNOWN, "tiny": replace(SHORT, samples=7)}
    monkeypatch.setattr(configurations, "CONFIGURATIONS", more)
    assert run_command(["reproduce", "tiny", "--out", str(out), "--list", "--json"]) == 0
    told = {one["stage"]: one["state"] for one in json.loads(capsys.readouterr().out)["stages"]}
    assert {state for stage, state in told.items() if stage.startswith("train/")} == {"done"}
    assert told["sample/brats20-ddpm-medium-0"] == "to do"
    assert told["sample/brats20-ddpm-medium-0-at-8"] == "done"
    assert told["table/table2"] == "to do"


def test_dry_run_forecasts_and_writes_nothing(made, tmp_path, capsys):
    out = tmp_path / "new"
    assert run_command(["reproduce", "tiny", "--out", str(out), "--dry-run", "-q", "--json"]) == 0
    told = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    assert told["train/brats20-ddpm-medium-0"]["seconds"] > 0
    assert told["sample/cxr-stylegan3-medium-0"]["seconds"] > 0
    assert told["audit/cxr-stylegan3-medium-0"]["seconds"] is None
    assert not out.exists()


def test_runs_can_be_left_out_and_unknown_ones_are_named():
    stages = build_stages(SHORT, None, left_out=("cxr-stylegan3-medium-0",))
    assert not [one.name for one in stages if "cxr" in one.name]
    with pytest.raises(OptionError, match="No run is called nobody"):
        build_stages(SHORT, None, left_out=("nobody",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing is asked for"),
        (["table9"], "'table9' is unknown"),
        (["table2"], "needs --data"),
        (["small-cpu", "--configuration", "paper"], "do not go together"),
        (["tiny", "--jobs", "0"], "--jobs must be at least 1"),
        (["tiny", "--only", "nonsense"], "No stage is called 'nonsense'"),
    ],
)
def test_mistakes_are_named(arguments, message, tmp_path, capsys):
    assert run_command(["reproduce", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_absent_collections_are_named(tmp_path):
    (tmp_path / "CXR").mkdir()
    with pytest.raises(InputError, match=r"no folder for brats20: expected one of brats20.*cxr"):
        find_sources(SHORT, tmp_path)
    (tmp_path / "BraTS2020").mkdir()
    (tmp_path / "CXR" / "train").mkdir()
    found = find_sources(SHORT, tmp_path)
    assert found["cxr"] == tmp_path / "CXR" / "train"
