"""Prepared sets of several shards, and machines."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.cluster.machines import Machines

from likeness._cluster.cutting import Cut
from likeness._cluster.links import Patience
from likeness.datasets import ImageSet, PrepareOptions, layout, prepare_images
from likeness.search import SearchOptions

SIDE = 16
OPTIONS = SearchOptions(top_k=4, top_patients=3)
CUT = Cut(queries=6, reference_bytes=10 * SIDE * SIDE)
"""20 queries and 50 references: 4 x 5 parts, one per shard of the references."""
PATIENCE = Patience(answer=60, scheduler=60, workers=60)


def make_set(folder, count, seed, patients):
    rng = np.random.default_rng(seed)
    pictures = folder / "pictures"
    for number in range(count):
        path = pictures / f"P{number % patients}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MAX_SHARD_IMAGES", 10)
        prepare_images(pictures, folder / "set", options=PrepareOptions(patient_id="parent-folder"))
    return ImageSet.open(folder / "set")


@pytest.fixture(scope="session")
def sets(tmp_path_factory):
    """20 queries and 50 references of 9 patients, in shards of 10."""
    folder = tmp_path_factory.mktemp("sets")
    return make_set(folder / "queries", 20, 1, 4), make_set(folder / "references", 50, 2, 9)


@pytest.fixture
def machines(tmp_path):
    """Nothing runs yet."""
    folder = tmp_path / "machines"
    folder.mkdir()
    some = Machines(folder)
    yield some
    some.close()
