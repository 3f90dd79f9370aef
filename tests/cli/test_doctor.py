"""`likeness doctor` says what was chosen, and why."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import pytest

from likeness.cli import doctor
from likeness.cli._run import run
from likeness.search.engines import KNOWN, Known, _choice
from likeness.search.engines.numpy_engine import NumpyEngine

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from likeness.cli._run import run
sys.exit(run(["doctor", "--json"]))
"""


def examined(capsys):
    assert run(["doctor", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    return state | {"engines": {engine["name"]: engine for engine in state["engines"]}}


@pytest.fixture
def known(monkeypatch):
    """The table of engines to play with, without those of torch."""
    for name in KNOWN:
        if name.startswith("torch"):
            monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], library="no_such_library"))
    _choice._made.cache_clear()
    yield lambda name, entry: monkeypatch.setitem(KNOWN, name, entry)
    _choice._made.cache_clear()


def test_every_engine_is_shown_with_its_self_test(capsys, known):
    engines = examined(capsys)["engines"]
    assert set(engines) == set(KNOWN)
    assert sum(engine["chosen"] for engine in engines.values()) == 1
    for engine in engines.values():
        assert engine["installed"] == (engine["gops"] is not None)
        assert ("all products exact" in engine["check"]) == engine["installed"]
        assert ("fastest of" in (engine["why"] or "")) == engine["chosen"]
    assert engines["torch-cpu-int8"]["check"].endswith("pip install 'likeness[torch]'")


def test_the_table_is_for_people(capsys, known):
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("engine"))
    table = lines[head : head + 1 + len(KNOWN)]
    column = table[0].index("self-test")
    assert all(line[column - 1] == " " != line[column] for line in table)
    assert sum(line.startswith("* ") for line in table) == 1
    numpy = next(line for line in table if "numpy-float32" in line)
    assert "GOPS" in numpy[:column]
    assert numpy[column:] == "self-test passed: all products exact"
    assert any(line.startswith("* chosen   fastest of") for line in lines)


def test_an_engine_that_errs_is_named_and_not_chosen(capsys, known):
    class Wrong(NumpyEngine):
        name = "wrong"

        def products(self, rows, packed):
            return super().products(rows, packed) + 1

    known("numkong-uint8", Known(Wrong))
    engines = examined(capsys)["engines"]
    assert engines["numkong-uint8"]["check"].startswith("not used: The engine 'wrong' fails")
    assert engines["numkong-uint8"]["gops"] is None
    assert engines["numpy-float32"]["chosen"]


def test_a_library_that_breaks_does_not_stop_it(capsys, known):
    def make():
        message = "libcudart.so.12: cannot open shared object file"
        raise OSError(message)

    known("torch-cpu-int8", Known(make))
    check = examined(capsys)["engines"]["torch-cpu-int8"]["check"]
    assert "cannot be loaded (OSError: libcudart.so.12" in check


def test_without_torch_all_else_works():
    """The bare installation: torch cannot be imported at all."""
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=True
    )
    engines = {engine["name"]: engine for engine in json.loads(result.stdout)["engines"]}
    assert engines["numpy-float32"]["gops"] > 0
    assert not engines["torch-cpu-int8"]["installed"]
    assert "not installed" in engines["torch-cpu-int8"]["check"]


def test_engines_for_a_gpu_come_with_a_warning(capsys, known, monkeypatch):
    said = "have not been run on one by their authors"
    assert not any(said in note for note in examined(capsys)["notes"])
    monkeypatch.setattr("likeness.search.engines._known.has_cuda_driver", lambda: True)
    known("torch-cuda-int8", Known(NumpyEngine, None, "torch", needs_cuda=True))
    assert any(said in note for note in examined(capsys)["notes"])


def test_a_faster_engine_that_was_not_tried_is_named():
    def engines(speed):
        chosen = {"name": "numkong-uint8", "installed": True, "gops": 100.0, "chosen": True}
        other = {"name": "torch-cpu-int8", "installed": True, "gops": speed, "chosen": False}
        return [chosen, other]

    (note,) = [one for one in doctor._notes(engines(250.0)) if "--engine" in one]
    assert note.startswith("torch-cpu-int8 is 2.5 times as fast here")
    assert note.endswith("--engine torch-cpu")
    for speed in (100.0, 109.0, None):
        assert not [one for one in doctor._notes(engines(speed)) if "--engine" in one]


VERSIONS = [
    # torch, torchvision, what torchvision requires, what is said
    (None, None, [], None),
    ("2.13.0", None, [], None),
    (None, "0.28.0", ["numpy", "torch==2.13.0"], "without torch; Likeness uses neither"),
    ("2.13.0+cpu", "0.28.0+cpu", ["numpy", "torch==2.13.0", "pillow!=8.3.*"], None),
    ("2.13.0", "0.20.1", ["numpy", "torch==2.5.1"], "0.20.1 was built for torch 2.5.1, but torch"),
    ("2.13.0", "0.20.1", ["torch (==2.5.1)"], "0.20.1 was built for torch 2.5.1, but torch 2.13.0"),
    ("2.13.0", "0.20.1", ["torch>=2.5"], None),
    ("2.13.0", "0.20.1", None, None),
]


@pytest.mark.parametrize(("torch", "vision", "required", "said"), VERSIONS)
def test_a_torchvision_that_does_not_fit_is_named(monkeypatch, torch, vision, required, said):
    versions = {"torch": torch, "torchvision": vision}
    monkeypatch.setattr(doctor, "package_version", lambda name: versions[name] or "absent")
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    notes = doctor.torchvision_notes()
    assert len(notes) == (said is not None)
    assert all(said in note for note in notes)
