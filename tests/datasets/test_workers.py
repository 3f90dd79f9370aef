"""Processes that decode: started early, lent to several sets, replaced where they break."""

import multiprocessing
import os
import signal
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial

import pytest
from tests.datasets.making import decode_raw, folder_of_pngs, raw, tree_bytes

from likeness._progress import SilentProgress
from likeness.datasets import (
    PrepareOptions,
    SplitRule,
    describing,
    prepare_images,
    processes,
    workers,
)
from likeness.datasets.describing import headers_of
from likeness.datasets.processes import lent_processes, processes_started
from likeness.datasets.units import Unit
from likeness.datasets.walk import find_files
from likeness.datasets.workers import decode_in_order
from likeness.errors import NoImagesError, UnreadableImageError
from likeness.readers import Header, ReadOptions, describe


def decode_by_table(unit, table):
    """Decode where a table says so."""
    assert table[unit.key]
    yield from decode_raw(unit)


def decode_with_pid(unit):
    """Say which process decodes, as the member of the image."""
    for image in decode_raw(unit):
        object.__setattr__(image, "notes", (str(os.getpid()),))
        yield image


@pytest.fixture
def units(tmp_path):
    for number in range(40):
        raw(tmp_path / "source" / f"{number:02d}.raw", seed=number)
    return [Unit((file,), file.text) for file in find_files(tmp_path / "source").files]


def hashes(results):
    return [row.pixels_sha256 for result in results for _, row in result.images]


def pids(results):
    return {row.notes for result in results for _, row in result.images}


def test_processes_started_early_serve_several_calls(units):
    expected = hashes(decode_in_order(decode_raw, units, jobs=1))
    with processes_started(2, __name__):
        first = list(decode_in_order(decode_with_pid, units, jobs=2))
        second = list(decode_in_order(decode_with_pid, units, jobs=2))
        assert hashes(first) == hashes(second) == expected
        assert len(pids(first) | pids(second)) <= 2
        assert (str(os.getpid()),) not in pids(first) | pids(second)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("early", [True, False])
def test_a_decoder_with_a_large_table_is_sent_as_the_processes_start(units, early):
    table = {unit.key: "x" * workers._LIGHT_BYTES for unit in units}
    decoder = partial(decode_by_table, table=table)
    expected = hashes(decode_in_order(decode_raw, units, jobs=1))
    with processes_started(2 if early else 1, __name__):
        assert hashes(decode_in_order(decoder, units, jobs=2)) == expected


def test_processes_started_early_that_break_are_replaced(units, tmp_path):
    (tmp_path / "source/05.raw").write_bytes(b"die")
    dying = [Unit((file,), file.text) for file in find_files(tmp_path / "source").files]
    expected = hashes(decode_in_order(decode_raw, units[6:], jobs=1))
    with processes_started(2, __name__):
        found = list(decode_in_order(decode_raw, dying, jobs=2))
        assert [item.code for result in found for item in result.report.left_out] == [
            "decoder_crashed"
        ]
        after = list(decode_in_order(decode_with_pid, units[6:], jobs=2))
    assert hashes(after) == expected
    assert (str(os.getpid()),) not in pids(after)
    assert not multiprocessing.active_children()


def test_without_processes_everything_happens_here(units, monkeypatch):
    """As in an interactive session, where a process that is started cannot load the program."""
    monkeypatch.setattr(processes, "_load", die)
    monkeypatch.setattr(workers, "_take_decoder", die)
    with processes_started(2, __name__):
        assert pids(decode_in_order(decode_with_pid, units[:3], jobs=2)) == {(str(os.getpid()),)}


def die(_):
    """End a process that is being started."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_parts_of_a_split_are_the_same_with_processes(tmp_path):
    source = folder_of_pngs(tmp_path / "source", 40, patients=4)
    for jobs in (1, 2):
        options = PrepareOptions(patient_id="parent-folder", jobs=jobs)
        split = SplitRule(test_patients=1)
        prepare_images(source, tmp_path / f"out{jobs}", options=options, split=split)
    assert tree_bytes(tmp_path / "out1") == tree_bytes(tmp_path / "out2")


def test_no_process_is_left_where_there_is_nothing_to_decode(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/readme.txt").write_text("nothing")
    with pytest.raises(NoImagesError):
        prepare_images(tmp_path / "source", tmp_path / "out", options=PrepareOptions(jobs=2))
    assert not multiprocessing.active_children()


def test_a_finished_set_starts_no_process(tmp_path, monkeypatch):
    source = folder_of_pngs(tmp_path / "source", 4)
    prepare_images(source, tmp_path / "out")
    for module in (processes, workers):
        monkeypatch.setattr(module, "new_executor", lambda *given: 1 / 0)
    prepare_images(source, tmp_path / "out", options=PrepareOptions(jobs=2))


def test_headers_are_read_by_the_processes_too_in_order(tmp_path, monkeypatch):
    folder_of_pngs(tmp_path / "source", 200)
    (tmp_path / "source/P1/bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    paths = [file.path for file in find_files(tmp_path / "source").files]
    options = ReadOptions()
    expected = [_told(path, options) for path in paths]
    assert {type(each) for each in expected} == {Header, str}
    here = []
    real = describing._describe_all

    def count(chunk, options):
        here.extend(chunk)
        return real(chunk, options)

    with processes_started(2, __name__):
        pool = lent_processes()
        pool.submit(workers._ping).result()
        monkeypatch.setattr(pool, "submit", partial(_submit_the_real, pool.submit))
        monkeypatch.setattr(describing, "_describe_all", count)
        assert [_text(each) for each in headers_of(paths, options)] == expected
        assert len(here) < len(paths)
        monkeypatch.setattr(pool, "submit", _broken)
        here.clear()
        assert [_text(each) for each in headers_of(paths, options)] == expected
        assert here == paths
        assert lent_processes() is None
    assert [_text(each) for each in headers_of(paths, options)] == expected


def _text(found):
    return str(found) if isinstance(found, Exception) else found


def _told(path, options):
    try:
        return describe(path, options)
    except UnreadableImageError as error:
        return str(error)


def _submit_the_real(submit, function, *given):
    return submit(_describe_everything, *given)


def _describe_everything(paths, options):
    return describing._describe_all(paths, options)


def _broken(*given):
    raise BrokenProcessPool


def test_a_process_that_dies_over_a_header_leaves_it_to_this_one(tmp_path):
    folder_of_pngs(tmp_path / "source", 100)
    paths = [file.path for file in find_files(tmp_path / "source").files]
    expected = [describe(path) for path in paths]
    with processes_started(2, __name__):
        pool = lent_processes()
        pool.submit(_die)
        assert list(headers_of(paths, ReadOptions())) == expected


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


class Counted(SilentProgress):
    """Counts what tasks are told."""

    def __init__(self):
        self.totals, self.done = {}, {}

    @contextmanager
    def task(self, name, total, *, unit="images"):
        del unit
        self.totals[name], self.done[name] = total, 0
        yield self
        assert self.done[name] == total

    def advance(self, amount=1.0):
        self.done[list(self.done)[-1]] += amount

    def note(self, text):
        raise AssertionError


@pytest.mark.parametrize("jobs", [1, 2])
def test_headers_and_images_are_both_shown_as_they_are_read(tmp_path, jobs):
    source = folder_of_pngs(tmp_path / "source", 70)
    progress = Counted()
    prepare_images(source, tmp_path / "out", options=PrepareOptions(jobs=jobs), progress=progress)
    assert progress.totals == {"headers": 70, "read": 70}
