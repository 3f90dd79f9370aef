"""A search that was killed goes on where it stopped and ends with the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.search.sources import Source, assert_same, some_images
from tests.search.test_invariance import OPTIONS, problem, with_blocks

from likeness._pace import Pace
from likeness.search import _block, search

pytestmark = pytest.mark.usefixtures("_save_always")


@pytest.fixture
def _save_always(monkeypatch):
    monkeypatch.setattr(Pace, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(Pace, "COST", 0.0)


class Killed(BaseException):
    """Stands for the end of the process."""


class KillAfter:
    """A progress that ends the run after a number of tiles."""

    def __init__(self, tiles):
        self.left = tiles
        self.total = self.done = 0

    @contextmanager
    def task(self, name, total, *, unit="images"):
        assert unit == "pairs"
        self.total = total
        yield self

    def advance(self, amount=1.0):
        self.done += amount
        self.left -= 1
        if self.left == 0:
            raise Killed

    def note(self, text):
        assert text.startswith("highest r ")


def run(data, folder, progress=None, **more):
    queries, references, codes = data
    if progress is not None:
        more["progress"] = progress
    return search(
        Source(queries),
        Source(references, codes),
        options=OPTIONS,
        engine="numpy",
        checkpoint=folder,
        **more,
    )


def count_tiles(monkeypatch):
    """Count the tiles that are compared from now on."""
    seen = []
    make = _block._tile
    monkeypatch.setattr(_block, "_tile", lambda *a: seen.append(a[1]) or make(*a))
    return seen


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_killed_after_every_tile(monkeypatch, tmp_path, dtype):
    """3 blocks of 4 tiles: wherever the run ends, the rest is done and nothing twice."""
    data = problem(dtype)
    with_blocks(monkeypatch, 5, 14, 3)
    plain = run(data, None)
    for tiles in range(1, 13):
        folder = tmp_path / str(tiles)
        with pytest.raises(Killed):
            run(data, folder, KillAfter(tiles))
        seen = count_tiles(monkeypatch)
        progress = KillAfter(-1)
        resumed = run(data, folder, progress)
        assert_same(plain, resumed)
        assert len(seen) == 12 - tiles
        assert progress.done == progress.total


def test_finished_search_is_not_repeated(monkeypatch, tmp_path):
    """The second time nothing is compared."""
    data = problem("uint8")
    first = run(data, tmp_path)
    seen = count_tiles(monkeypatch)
    assert_same(first, run(data, tmp_path))
    assert seen == []


def test_goes_on_with_other_blocks_threads_and_engine(monkeypatch, tmp_path):
    """What a run left serves one with another plan."""
    data = problem("uint8")
    plain = run(data, None)
    with_blocks(monkeypatch, 5, 14, 3)
    with pytest.raises(Killed):
        run(data, tmp_path, KillAfter(6))
    with_blocks(monkeypatch, 6, 9, 6)
    seen = count_tiles(monkeypatch)
    assert_same(plain, run(data, tmp_path, threads=2))
    # block 0-5 is there; 5-10 stood at 28 of 50 references, of which 22 are left in tiles of 9
    assert len(seen) == 3 + 6


def test_state_larger_than_the_new_block_is_redone(monkeypatch, tmp_path):
    """A budget that has shrunk is respected."""
    data = problem("uint8")
    plain = run(data, None)
    with_blocks(monkeypatch, 13, 14, 3)
    with pytest.raises(Killed):
        run(data, tmp_path, KillAfter(2))
    with_blocks(monkeypatch, 4, 50, 4)
    assert_same(plain, run(data, tmp_path))


def changed(kind, data):
    queries, references, codes = (array.copy() for array in data)
    more = {}
    if kind == "query":
        queries[0, 0, 0, 0] += 1
    elif kind == "reference":
        references[0, 0, 0, 0] += 1
    elif kind == "patients":
        codes[0], codes[1] = codes[1], codes[0]
    else:
        more["query_groups"] = np.zeros(len(queries), dtype=np.int32)
    return (queries, references, codes), more


@pytest.mark.parametrize("kind", ["query", "reference", "patients", "own"])
def test_state_of_another_search_is_ignored(monkeypatch, tmp_path, kind):
    """Other images, patients or own patients: everything is done again."""
    data = problem("uint8")
    run(data, tmp_path)
    other, more = changed(kind, data)
    seen = count_tiles(monkeypatch)
    assert_same(run(other, None, **more), run(other, tmp_path, **more))
    assert len(seen) == 2  # once without, once with the folder


DAMAGES = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "no zip": lambda content: b"x" * len(content),
    "one byte": lambda content: content[:1500] + bytes([content[1500] ^ 1]) + content[1501:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("which", ["block-0-5.npz", "partial.npz"])
def test_damaged_state_is_redone(monkeypatch, tmp_path, damage, which):
    """A damaged file costs time, never correctness."""
    data = problem("uint8")
    plain = run(data, None)
    with_blocks(monkeypatch, 5, 14, 3)
    with pytest.raises(Killed):
        run(data, tmp_path, KillAfter(6))
    path = tmp_path / which
    path.write_bytes(damage(path.read_bytes()))
    assert_same(plain, run(data, tmp_path))


def test_every_flipped_byte_is_harmless(monkeypatch, tmp_path):
    """A flipped byte anywhere is noticed or changes nothing."""
    rng = np.random.default_rng(0)
    images = some_images(rng, 3, (1, 2, 2), "uint8")
    data = images, images, np.zeros(3, dtype=np.int32)
    plain = run(data, tmp_path)
    (path,) = tmp_path.glob("block-*.npz")
    content = path.read_bytes()
    for place in rng.choice(len(content), 60, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        assert_same(plain, run(data, tmp_path))


def test_state_is_saved_in_its_pace_only(monkeypatch, tmp_path):
    """A state within a block is written when the time between two has passed."""
    monkeypatch.setattr(Pace, "LEAST_SECONDS", 60.0)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    data = problem("uint8")
    with_blocks(monkeypatch, 13, 5, 13)
    written = []

    class Clock(KillAfter):
        def advance(self, amount=1.0):
            written.append((tmp_path / "partial.npz").exists())
            now[0] += 25.0

    run(data, tmp_path, Clock(-1))
    assert written == [False] * 3 + [True] * 7


SCRIPT = """
import sys
from pathlib import Path
from tests.search.sources import Source
from tests.search.test_checkpoint import slow_problem
from likeness._pace import Pace
from likeness.search import search
Pace.LEAST_SECONDS = Pace.COST = 0.0
queries, references = slow_problem()
search(queries, references, engine="numpy", threads=1, checkpoint=Path(sys.argv[1]))
"""


class SlowSource(Source):
    """Takes its time, so that a kill falls into the middle."""

    def read(self, start, stop):
        time.sleep(0.05)
        return super().read(start, stop)


def slow_problem():
    rng = np.random.default_rng(11)
    references = some_images(rng, 4000, (1, 8, 8), "uint8")
    return Source(some_images(rng, 4, (1, 8, 8), "uint8")), SlowSource(references)


def test_sigkill(tmp_path):
    """A process that is really killed leaves a state from which the next one ends the same."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "partial.npz").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("block-*.npz"))
    queries, references = slow_problem()
    resumed = search(queries, references, engine="numpy", checkpoint=tmp_path)
    read_first = references.reads[0][0]
    assert read_first > 0
    queries, references = slow_problem()
    assert_same(resumed, search(queries, references, engine="numpy"))
