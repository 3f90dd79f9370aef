"""A scoring that is killed in the middle of a part goes on there and ends the same."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scores.test_scorer import assert_equal, pictures

from likeness._pace import Pace
from likeness.datasets import ImageSet
from likeness.scores import (
    Scorer,
    ScorerOptions,
    ScoreStore,
    _orientation_work,
    _tile_plan,
    _tile_work,
    indexes,
    orientations,
)
from likeness.scores.registration import registered
from likeness.scores.store import BEGUN
from likeness.scores.unfinished import StoredState

KEY = "cd" * 32


class Killed(BaseException):
    """Stands for the end of the process."""


class MortalStore(ScoreStore):
    """Saves so many states, and dies after the last."""

    def __init__(self, folder, lives):
        super().__init__(folder)
        object.__setattr__(self, "lives", lives)
        object.__setattr__(self, "positions", [])

    def save_state(self, key, rows, arrays):
        super().save_state(key, rows, arrays)
        self.positions.append(int(arrays["position"][0]))
        object.__setattr__(self, "lives", self.lives - 1)
        if not self.lives:
            raise Killed


@pytest.fixture(scope="module")
def references():
    images = pictures(60, 1, channels=2, size=32)
    images[7] = 0  # matches nothing
    return ImageSet.from_arrays(images, patient_ids=[f"p{i // 2}" for i in range(60)])


@pytest.fixture(scope="module")
def queries(references):
    copies = references.take([4, 9])
    return ImageSet.from_arrays(np.concatenate([copies, pictures(9, 2, channels=2, size=32)]))


@pytest.fixture(params=["indexed", "plain"])
def _small_steps(request, monkeypatch):
    """Save after every step, and step by a few images."""
    monkeypatch.setattr(Pace, "LEAST_SECONDS", 0)
    monkeypatch.setattr(Pace, "COST", 0)
    monkeypatch.setattr(indexes, "index_pays", lambda *_: request.param == "indexed")
    monkeypatch.setattr(orientations, "index_pays", lambda *_: False)
    monkeypatch.setattr(_orientation_work, "_BLOCK", 16)
    monkeypatch.setattr(_tile_work, "_BLOCK", 16)
    monkeypatch.setattr(registered, "_QUERIES_AT_ONCE", 2)


@pytest.fixture(params=[11, 4], ids=["all queries at once", "four at a time"])
def _query_blocks(request, monkeypatch):
    monkeypatch.setattr(orientations, "_MOST_AT_ONCE", request.param)
    monkeypatch.setattr(_tile_plan, "_MOST_QUERIES", request.param)


@pytest.mark.usefixtures("_small_steps", "_query_blocks")
def test_a_kill_after_any_saving_changes_nothing(references, queries, tmp_path):
    own = references.patient_codes[:11].copy()
    expected = Scorer(references).score(queries, excluded=own)
    unkilled = MortalStore(tmp_path / "whole", -1)
    assert_equal(expected, Scorer(references, store=unkilled).score(queries, excluded=own))
    assert len(unkilled.positions) > 6
    for lives in range(1, len(unkilled.positions) + 1, 4):
        folder = tmp_path / str(lives)
        with pytest.raises(Killed):
            Scorer(references, store=MortalStore(folder, lives)).score(queries, excluded=own)
        left = list(folder.glob(f"*{BEGUN}"))
        assert left
        # Another number of threads and less memory may go on.
        options = ScorerOptions(threads=1)
        after = MortalStore(folder, -1)
        again = Scorer(references, options=options, store=after)
        assert_equal(expected, again.score(queries, excluded=own))
        # Nothing was done twice: both together saved what the one run saved.
        assert len(after.positions) == len(unkilled.positions) - lives
        assert not list(folder.glob(f"*{BEGUN}"))


def test_a_state_of_other_queries_or_damaged_is_no_state(tmp_path):
    store = ScoreStore(tmp_path)
    state = StoredState(store, KEY)
    arrays = {"best": np.arange(6.0).reshape(2, 3)}

    def resumed(rows=(0, 2), key=KEY, like=arrays):
        found = {name: np.zeros_like(array) for name, array in like.items()}
        position = StoredState(store, key).resume(rows, found)
        return position, found

    state.keep((0, 2), arrays, 40, at_once=True)
    position, found = resumed()
    assert position == 40
    np.testing.assert_array_equal(found["best"], arrays["best"])
    for given in (
        {"rows": (0, 3)},
        {"key": "ce" * 32},
        {"key": KEY[:32] + "ce" * 16},
        {"like": {"best": np.zeros((2, 4))}},
        {"like": {"best": np.zeros((2, 3), dtype=np.float32)}},
        {"like": {"other": np.zeros((2, 3))}},
    ):
        position, found = resumed(**given)
        assert position == 0
        assert not any(array.any() for array in found.values())
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert resumed()[0] == 0
    state.forget()
    assert not list(tmp_path.iterdir())


def test_states_are_saved_in_their_pace_only(tmp_path, monkeypatch):
    monkeypatch.setattr(Pace, "LEAST_SECONDS", 1e6)
    state = StoredState(ScoreStore(tmp_path), KEY)
    state.keep((0, 1), {"best": np.zeros(1)}, 1)
    assert not list(tmp_path.iterdir())
