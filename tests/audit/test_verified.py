"""An audit that goes on after a kill reads every byte again only where something was touched."""

from __future__ import annotations

import os
import time

import pytest
from tests.datasets.making import plan_of, raw

from likeness._audit import inputs, verified
from likeness._audit.inputs import refuse_damage
from likeness._audit.verified import Verified
from likeness._progress import SILENT
from likeness.datasets import ImageSet, layout, verify
from likeness.datasets.building import build
from likeness.errors import DamagedSetError


@pytest.fixture
def images(tmp_path):
    for number in range(3):
        raw(tmp_path / "source" / f"a{number}.raw", images=3, seed=number)
    return build(tmp_path / "set", plan_of(tmp_path / "source")).image_set


@pytest.fixture
def calls(monkeypatch):
    made = []

    def counted(path, **given):
        made.append(path)
        return verify(path, **given)

    monkeypatch.setattr(inputs, "verify", counted)
    return made


@pytest.fixture
def known(tmp_path):
    return Verified(tmp_path / "work" / "verified.json")


def look(images, known):
    refuse_damage("train", images, SILENT, known)


def test_it_is_read_once(images, known, calls):
    look(images, known)
    look(ImageSet.open(images.path), known)
    assert len(calls) == 1
    refuse_damage("train", images, SILENT)
    assert len(calls) == 2  # nobody says that it was


def test_whoever_touches_a_file_has_it_read_again(images, known, calls):
    shard = images.path / layout.shard_name(0)
    look(images, known)
    status = shard.stat()
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))  # the time of change stays
    with pytest.raises(DamagedSetError, match="was changed"):
        look(images, known)
    with pytest.raises(DamagedSetError, match="was changed"):
        look(images, known)
    assert len(calls) == 3


def test_what_was_found_damaged_is_not_remembered(images, known, calls):
    table = images.path / layout.MANIFEST
    table.write_bytes(table.read_bytes() + b"x")
    for _ in range(2):
        with pytest.raises(DamagedSetError):
            look(images, known)
    assert len(calls) == 2


def test_it_counts_for_a_day(images, known, calls, monkeypatch):
    look(images, known)
    now = time.time()
    monkeypatch.setattr(verified.time, "time", lambda: now + 24 * 3600 + 1)
    look(images, known)
    monkeypatch.setattr(verified.time, "time", lambda: now - 3600)  # the clock was set back
    look(images, known)
    assert len(calls) == 3


@pytest.mark.parametrize("content", [b"", b"[]", b'{"x": 1', b"\xff"])
def test_a_record_that_cannot_be_read_says_nothing(images, known, calls, content, tmp_path):
    look(images, known)
    (tmp_path / "work" / "verified.json").write_bytes(content)
    look(images, known)
    look(images, known)
    assert len(calls) == 2
