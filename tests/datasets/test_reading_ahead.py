"""Being told what will be read changes nothing but what the system reads in advance."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.making import folder_of_pngs

from likeness.datasets import ImageSet, layout, prepare_images

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="not on this system")


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "MAX_SHARD_IMAGES", 4)
    return prepare_images(folder_of_pngs(tmp_path / "source", 10), tmp_path / "set").image_set


@pytest.fixture
def told(monkeypatch):
    """Which file, first byte and number of bytes the system was told."""
    seen = []

    def noting(descriptor, offset, length, advice):
        assert advice == os.POSIX_FADV_WILLNEED
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, offset, length))

    monkeypatch.setattr(os, "posix_fadvise", noting)
    return seen


def pieces(images, wanted, tmp_path):
    """Where their bytes lie, found by looking for them."""
    found = set()
    for row in wanted:
        pixels = images.take([row]).tobytes()
        for path in (tmp_path / "set" / layout.IMAGES).iterdir():
            where = path.read_bytes().find(pixels)
            if where >= 0:
                found |= {(path.name, byte) for byte in range(where, where + len(pixels))}
    return found


@pytest.mark.parametrize(("start", "stop"), [(0, 10), (2, 3), (3, 9), (8, 99), (5, 5), (10, 12)])
def test_the_bytes_of_exactly_these_images_are_named(images, told, tmp_path, start, stop):
    images.read_ahead(start, stop)
    named = {(name, byte) for name, at, size in told for byte in range(at, at + size)}
    assert named == pieces(images, range(start, min(stop, 10)), tmp_path)


def test_rows_of_a_part_are_those_of_the_whole(images, told, tmp_path):
    images.subset(np.arange(3, 9)).read_ahead(1, 4)
    named = {(name, byte) for name, at, size in told for byte in range(at, at + size)}
    assert named == pieces(images, range(4, 7), tmp_path)


def test_scattered_images_are_not_read_ahead(images, told):
    images.subset([0, 5, 9]).read_ahead(0, 3)
    assert told == []


def test_a_shard_that_is_gone_is_left_for_the_reading_to_say(images, tmp_path):
    for path in (tmp_path / "set" / layout.IMAGES).iterdir():
        path.unlink()
    images.read_ahead(0, 10)


def test_in_memory_there_is_nothing_to_do(told):
    ImageSet.from_arrays(np.zeros((3, 1, 8, 8), np.uint8)).read_ahead(0, 3)
    assert told == []
