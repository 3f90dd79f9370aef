"""Processes that decode: started early, lent to several sets, replaced where they break."""

import multiprocessing
import os
import signal
from functools import partial

import pytest
from tests.datasets.making import decode_raw, folder_of_pngs, raw, tree_bytes

from likeness.datasets import PrepareOptions, SplitRule, prepare_images, workers
from likeness.datasets.units import Unit
from likeness.datasets.walk import find_files
from likeness.datasets.workers import decode_in_order, processes_started
from likeness.errors import NoImagesError


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
    monkeypatch.setattr(workers, "_load", die)
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
    monkeypatch.setattr(workers, "_new_executor", lambda *given: 1 / 0)
    prepare_images(source, tmp_path / "out", options=PrepareOptions(jobs=2))
