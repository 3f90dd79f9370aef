"""What the real sets alone decide is kept with the training set, and found by the next audit."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

import likeness
from likeness import AuditOptions
from likeness._audit.baselines import Places
from likeness.datasets import ImageSet
from likeness.datasets.layout import BASELINES
from likeness.datasets.verification import verify
from likeness.scores import Scorer
from likeness.scores.store import BEGUN

OPTIONS = AuditOptions(planted=5, permutations=999, self_check=False, evidence=2, closer_look=0)


@pytest.fixture
def sets(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.random((30, 1, 16, 16))
    folders = {}
    for role, people in (("train", range(20)), ("test", range(20, 30))):
        folder = tmp_path / "files" / role
        folder.mkdir(parents=True)
        for person in people:
            for k in range(2):
                image = base[person, 0] + 0.2 * rng.random((16, 16))
                np.save(folder / f"p{person:02d}_{k}.npy", (255 * image / 1.2).astype(np.uint8))
        likeness.prepare_images(folder, tmp_path / role)
        folders[role] = tmp_path / role
    return folders


def synthetic(seed):
    images = np.random.default_rng(seed).integers(0, 256, (6, 1, 16, 16)).astype(np.uint8)
    return ImageSet.from_arrays(images, channels=("grey",))


def audit(sets, out, seed, **more):
    found = likeness.audit(
        sets["train"], synthetic(seed), sets["test"], out=out, options=OPTIONS, **more
    )
    return found.to_dict() if hasattr(found, "to_dict") else found.model_dump()


def test_a_second_model_finds_them(sets, tmp_path, monkeypatch):
    """Only the synthetic images are scored again, and the numbers are those of a fresh audit."""
    audit(sets, tmp_path / "first", 1)
    assert (sets["train"] / BASELINES).is_dir()
    assert not verify(sets["train"]).problems
    scored = []
    compute = Scorer._compute
    monkeypatch.setattr(
        Scorer,
        "_compute",
        lambda self, question, *a: (
            scored.append(question.queries.fingerprint) or compute(self, question, *a)
        ),
    )
    second = audit(sets, tmp_path / "second", 2)
    theirs = {ImageSet.open(folder).fingerprint for folder in sets.values()}
    assert scored
    assert not theirs & set(scored)
    scored.clear()
    fresh = audit(sets, tmp_path / "third", 2, fresh=True)
    assert theirs & set(scored)
    for name in ("verdict", "counts", "baseline", "membership", "rates", "distributions"):
        assert second[name] == fresh[name]


def test_states_that_nobody_came_back_for_are_removed(sets, tmp_path):
    folder = sets["train"] / BASELINES / "scores"
    folder.mkdir(parents=True)
    old, young = folder / f"a-0-5{BEGUN}", folder / f"b-0-5{BEGUN}"
    for path, days in ((old, 8), (young, 6)):
        path.write_bytes(b"state")
        os.utime(path, (time.time() - days * 86400,) * 2)
    Places.of(ImageSet.open(sets["train"]), tmp_path / "out", fresh=False)
    assert not old.exists()
    assert young.exists()


def test_where_they_are_kept(sets, tmp_path, monkeypatch):
    """Not in a set that the audit made itself, nor in one that cannot be written."""
    train = ImageSet.open(sets["train"])
    out = tmp_path / "out"
    assert Places.of(train, out, fresh=False).kept == sets["train"] / BASELINES
    assert Places.of(train, out, fresh=True).kept == out / "work"
    assert Places.of(train, tmp_path, fresh=False).kept == tmp_path / "work"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert Places.of(train, out, fresh=False).kept == out / "work"
