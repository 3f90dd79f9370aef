"""Files appear complete or not at all, and a folder has one writer."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from likeness import _files
from likeness.errors import LockedError, OutputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    _files.write_text(path, "old")

    def spoil():
        with _files.atomic_write(path) as stream:
            stream.write(b"half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        spoil()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_full_or_broken_disk_is_said_in_words(tmp_path, monkeypatch, number):
    def fail(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_files.os, "fsync", fail)
    with pytest.raises(OutputError, match="Cannot write") as caught:
        _files.write_text(tmp_path / "result.json", "new")
    assert caught.value.exit_code == 7
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_is_not_about_writing_keeps_its_type(tmp_path):
    with pytest.raises(FileNotFoundError):
        _files.write_text(tmp_path / "absent" / "result.json", "new")


def test_private_files_are_readable_by_their_owner_only_also_over_a_public_one(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("old")
    path.chmod(0o644)
    _files.write_text(path, "new", private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_equal_json_is_equal_bytes(tmp_path):
    _files.write_json(tmp_path / "a", {"x": 1, "y": [2]})
    _files.write_json(tmp_path / "b", {"y": [2], "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        _files.write_json(tmp_path / "c", float("nan"))
    assert not (tmp_path / "c").exists()


def test_a_name_that_is_not_unicode_can_be_written(tmp_path):
    _files.write_text(tmp_path / "list.txt", os.fsdecode(b"scan\xff.png"))
    assert (tmp_path / "list.txt").read_text() == "scan\\udcff.png"


HOLD = """
import sys, time
from pathlib import Path
from likeness._files import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(LockedError, match=f"process {holder.pid}"),
            _files.folder_lock(tmp_path),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    time.sleep(0.05)
    with _files.folder_lock(tmp_path):
        pass


def test_is_inside_sees_through_links(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    assert _files.is_inside(link / "out", real)
    assert not _files.is_inside(tmp_path / "realistic", real)


def test_several_writers_of_one_file_each_have_a_whole_one(tmp_path):
    path = tmp_path / "file"
    with _files.atomic_write(path, several_writers=True) as first:
        with _files.atomic_write(path, several_writers=True) as second:
            second.write(b"second")
            first.write(b"fir")
        assert path.read_bytes() == b"second"
        first.write(b"st")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_only_old_remains_are_removed(tmp_path):
    old, new, file = (tmp_path / "a" / name for name in ("x.partial", "y.partial", "z"))
    old.parent.mkdir()
    for path in (old, new, file):
        path.write_bytes(b"1")
    os.utime(old, (0, 0))
    os.utime(file, (0, 0))
    _files.remove_partial_files(tmp_path, hours=1)
    assert sorted(old.parent.iterdir()) == [new, file]
    _files.remove_partial_files(tmp_path)
    assert list(old.parent.iterdir()) == [file]
