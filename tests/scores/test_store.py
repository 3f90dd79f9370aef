"""What is saved comes back, or nothing does."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from likeness.scores import PatientRanking, ScoreStore

KEY = "ab" * 32


def ranking(seed, rows=5, depth=3):
    rng = np.random.default_rng(seed)
    return PatientRanking(
        rng.random((rows, depth)),
        rng.integers(0, 9, (rows, depth)).astype(np.int32),
        rng.integers(0, 99, (rows, depth)).astype(np.int32),
        rng.random((rows, depth, 4)).astype(np.float32),
    )


def same(one, other):
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("similarity", "group", "image", "placement")
    )


@pytest.fixture
def store(tmp_path):
    return ScoreStore(tmp_path / "scores")


def test_what_is_saved_comes_back(store):
    assert store.load(KEY, families=("tiles",), rows=5) is None
    assert not store.has(KEY)
    store.save(KEY, {"tiles": ranking(1)})
    assert store.has(KEY)
    found = store.load(KEY, families=("tiles",), rows=5)
    assert same(found["tiles"], ranking(1))
    assert [path.suffix for path in store.folder.iterdir()] == [".npz"]


def test_what_does_not_fit_is_not_there(store):
    store.save(KEY, {"tiles": ranking(1)})
    assert store.load(KEY, families=("tiles",), rows=6) is None
    assert store.load(KEY, families=("plain",), rows=5) is None
    # A longer key with the same beginning names another file's content.
    assert store.load(KEY[:32] + "cd" * 16, families=("tiles",), rows=5) is None
    wrong = PatientRanking(
        ranking(1).similarity.astype(np.float32), *[getattr(ranking(1), n) for n in
        ("group", "image", "placement")],
    )  # fmt: skip
    store.save(KEY, {"tiles": wrong})
    assert store.load(KEY, families=("tiles",), rows=5) is None


def test_damage_anywhere_is_noticed(store):
    """A changed or missing byte: nothing is read, and nothing else happens."""
    store.save(KEY, {"plain": ranking(1), "dihedral": ranking(2)})
    (path,) = store.folder.iterdir()
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        assert store.load(KEY, families=("plain", "dihedral"), rows=5) is None
    for length in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.load(KEY, families=("plain",), rows=5) is None


def test_many_writers_of_one_part_leave_one_whole_file(store):
    """As several processes do it: each writes under a name of its own."""
    failures = []

    def write():
        try:
            for _ in range(20):
                store.save(KEY, {"tiles": ranking(3, rows=400)})
                found = store.load(KEY, families=("tiles",), rows=400)
                assert same(found["tiles"], ranking(3, rows=400))
        except BaseException as error:
            failures.append(error)
            raise

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    assert len(list(store.folder.iterdir())) == 1
