"""Checkpoints come back as they were, or not at all."""

from __future__ import annotations

import json

import pytest
import torch

from likeness import _files
from likeness.errors import FormatVersionError, InputError, OutputError
from likeness.generators import checkpoints
from likeness.generators.checkpoints import load_checkpoint, read_record, save_checkpoint

RECORD = {"step": 7, "kind": "ddpm", "nested": {"list": [1, 2.5, None, "x"]}}


def some(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(4, 6, generator=generator)
    return {
        "model/weight": shared,
        "model/turned": shared.T,  # not contiguous, and the same memory
        "ema/weight": shared,
        "optimiser/step": torch.tensor(3),
        "half": torch.randn(5, generator=generator).to(torch.bfloat16),
        "state": torch.randint(0, 255, (9,), generator=generator).to(torch.uint8),
        "empty": torch.zeros(0, 3),
    }


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a
    )


def tensor_file(folder):
    [path] = folder.glob("tensors-*.safetensors")
    return path


def test_there_and_back(tmp_path):
    digest = save_checkpoint(tmp_path / "a" / "b", some(), RECORD)
    for path in (tmp_path / "a" / "b", tmp_path / "a" / "b" / "checkpoint.json"):
        found = load_checkpoint(path)
        assert same(found.tensors, some())
        assert found.record == RECORD == read_record(path)
        assert found.sha256 == digest == _files.sha256_of_file(tensor_file(tmp_path / "a" / "b"))


def test_files_are_readable_by_their_owner_only(tmp_path):
    save_checkpoint(tmp_path, some(), RECORD)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_part_can_be_loaded_alone(tmp_path):
    save_checkpoint(tmp_path, some(), RECORD)
    assert load_checkpoint(tmp_path, prefix="ema/").tensors.keys() == {"weight"}
    with pytest.raises(InputError, match="no tensors named 'average/'"):
        load_checkpoint(tmp_path, prefix="average/")


def test_equal_content_is_equal_bytes(tmp_path):
    first = save_checkpoint(tmp_path / "a", some(), RECORD)
    second = save_checkpoint(tmp_path / "b", dict(reversed(some().items())), RECORD)
    assert first == second
    written = [(tmp_path / name / "checkpoint.json").read_bytes() for name in "ab"]
    assert written[0] == written[1]


def test_replacing_leaves_one_set_of_tensors(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    save_checkpoint(tmp_path, some(0), RECORD)
    save_checkpoint(tmp_path, some(1), {"step": 8})
    found = load_checkpoint(tmp_path)
    assert same(found.tensors, some(1))
    assert found.record == {"step": 8}
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint.json", "notes.txt", tensor_file(tmp_path).name]


@pytest.mark.parametrize("where", ["write_bytes", "write_json"])
def test_a_kill_at_any_moment_leaves_the_old_checkpoint(tmp_path, monkeypatch, where):
    save_checkpoint(tmp_path, some(0), RECORD)

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, where, killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, some(1), {"step": 8})
    found = load_checkpoint(tmp_path)
    assert same(found.tensors, some(0))
    assert found.record == RECORD
    save_checkpoint(tmp_path, some(1), {"step": 8})
    assert same(load_checkpoint(tmp_path).tensors, some(1))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_kill_before_the_old_tensors_go_leaves_the_new_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, some(0), RECORD)

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, some(1), {"step": 8})
    assert same(load_checkpoint(tmp_path).tensors, some(1))


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_cut_tensors_are_found(tmp_path, kept):
    save_checkpoint(tmp_path, some(), RECORD)
    path = tensor_file(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_a_changed_bit_is_found(tmp_path):
    save_checkpoint(tmp_path, some(), RECORD)
    path = tensor_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="does not have the checksum"):
        load_checkpoint(tmp_path)
    assert read_record(tmp_path) == RECORD


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "absent")
    save_checkpoint(tmp_path, some(), RECORD)
    tensor_file(tmp_path).unlink()
    with pytest.raises(InputError, match=r"safetensors' is missing"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"version": 2}, FormatVersionError, "has version 2 "),
        ({"format": "other"}, InputError, "no format 'likeness-checkpoint'"),
        ({"tensors": None}, InputError, "not as written"),
        ({"record": []}, InputError, "not as written"),
    ],
)
def test_other_descriptions_are_refused(tmp_path, change, error, message):
    save_checkpoint(tmp_path, some(), RECORD)
    path = tmp_path / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(error, match=message):
        load_checkpoint(tmp_path)


def test_nothing_outside_the_folder_is_read(tmp_path):
    save_checkpoint(tmp_path / "a", some(), RECORD)
    path = tmp_path / "a" / "checkpoint.json"
    described = json.loads(path.read_text())
    described["tensors"]["file"] = f"../b/{described['tensors']['file']}"
    path.write_text(json.dumps(described))
    with pytest.raises(InputError, match="not as written"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_descriptions_that_are_no_json_are_refused(tmp_path, content):
    save_checkpoint(tmp_path, some(), RECORD)
    (tmp_path / "checkpoint.json").write_text(content)
    with pytest.raises(InputError, match=r"checkpoint\.json"):
        load_checkpoint(tmp_path)


def test_a_record_that_is_no_json_changes_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(tmp_path / "new", some(), {"loss": float("nan")})
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "file" / "x", some(), RECORD)
