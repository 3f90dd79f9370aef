"""One audit for all tests of a folder; a test that changes it gets a copy."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from tests.release.making import make_audit


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """An audit of 60 innocent images and 2 copies. Do not change it."""
    return make_audit(tmp_path_factory.mktemp("made"))


@pytest.fixture
def mine(made, tmp_path):
    """A copy of it that a test may change."""
    root = tmp_path / "mine"
    shutil.copytree(made.root, root)
    settings = root / "audit" / "settings.toml"
    settings.write_text(settings.read_text().replace(str(made.root), str(root)))
    from tests.release.making import seal

    seal(root / "audit")
    return replace(made, folder=root / "audit", root=root)
