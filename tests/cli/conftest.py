"""Audits from the command line, kept short."""

from __future__ import annotations

import shutil

import pytest
from tests.audit.conftest import unregistered
from tests.folders import make_folders

from likeness.cli._run import run

RULE = "regex:(P[0-9]+)_"
SHORT = ("--planted", "9", "--permutations", "999", "--evidence", "8")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Leave registration out; audits in a process of their own have it."""
    with unregistered():
        yield


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    where = tmp_path_factory.mktemp("finished")
    train, test, synthetic = make_folders(where / "images")
    words = ["--train", train, "--test", test, "--synthetic", synthetic, "--out", where / "audit",
             "--patient-id", RULE, *SHORT]  # fmt: skip
    with unregistered():
        assert run(["audit", *map(str, words)]) == 0
    shutil.rmtree(where / "images")
    return where / "audit"


@pytest.fixture
def audited(_finished, tmp_path):
    """A finished audit, whose images are gone."""
    return shutil.copytree(_finished, tmp_path / "audit")
