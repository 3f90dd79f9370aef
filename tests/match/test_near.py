"""All almost equal pairs are found, whatever rounding does: held against every pair by force."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.match.pictures import as_set, highest, means64, noisy, patients, picture, r_cat, r_ch

from likeness._neighbours import near as near_module
from likeness._neighbours.block_images import stretched_bytes, write_block_images
from likeness._neighbours.near import find_near
from likeness._neighbours.searching import Resources, own_codes
from likeness.datasets import ImageSet
from likeness.similarity.blocks import BlockGrid
from likeness.types import TRANSFORMS


def near_of(first, second, limit, work, transforms=TRANSFORMS):
    channels = tuple(range(first.image_shape[0]))
    queries = write_block_images(first, channels, work)
    references = queries if first is second else write_block_images(second, channels, work)
    return find_near(
        queries,
        references,
        limit=limit,
        own=own_codes(first, second),
        transforms=transforms,
        resources=Resources(engine="numpy", threads=1),
        checkpoint=work / "near",
    )


def by_force(first, second, limit):
    """{(query, reference): similarity} over pairs of different patients."""
    a, b = first.read(0, len(first)), second.read(0, len(second))
    found = {}
    for i in range(len(first)):
        for j in range(i + 1 if first is second else 0, len(second)):
            p, q = first.patient_ids[i], second.patient_ids[j]
            if p is not None and p == q:
                continue
            value = highest(r_ch, means64(a[i]), means64(b[j]))
            if value >= limit:
                found[i, j] = value
    return found


def mixed_set(seed=0, side=64):
    """Patients with noisy, mirrored and turned pictures of each other."""
    images, ids = patients(10, 2, side=side)
    rng = np.random.default_rng(seed)
    for target, source, sigma, turns in ((5, 0, 2, 0), (9, 0, 8, 1), (12, 3, 5, 2), (17, 3, 14, 3)):
        copy = noisy(images[source], sigma, rng.integers(99))
        images[target] = np.rot90(copy, turns, (1, 2))
    images[14] = noisy(images[6], 6, 5)[:, :, ::-1]
    return as_set(images, ids)


@pytest.mark.parametrize("limit", [0.9, 0.97, 0.995, 0.999])
def test_within_a_set_the_pairs_are_those_of_force(limit, tmp_path):
    images = mixed_set()
    found = near_of(images, images, limit, tmp_path)
    expected = by_force(images, images, limit)
    pairs = list(zip(found.query.tolist(), found.reference.tolist(), strict=True))
    assert pairs == sorted(expected)
    assert found.similarity == pytest.approx([expected[pair] for pair in pairs], abs=1e-12)
    # each of 20 images meets the 18 of other patients, each pair once
    assert found.num_compared == 20 * 18 // 2
    assert len(found.unfinished) == 0


def test_the_numbers_beside_a_pair_are_of_full_size_in_the_same_transform(tmp_path):
    images = mixed_set(side=128)
    found = near_of(images, images, 0.97, tmp_path)
    assert len(found) >= 3
    pixels = images.read(0, len(images))
    for k in range(len(found)):
        x, y = pixels[found.query[k]], pixels[found.reference[k]]
        # a pair this close is so in one transform only: the best at full size is the same
        assert found.correlation[k] == pytest.approx(highest(r_cat, x, y), abs=1e-12)
        assert found.correlation_mean[k] == pytest.approx(highest(r_ch, x, y), abs=1e-12)


def test_between_two_sets_patients_of_one_name_do_not_meet(tmp_path):
    first, ids = patients(4, 2)
    second = np.stack([noisy(image, 2, n) for n, image in enumerate(first)])
    a, b = as_set(first, ids), as_set(second, ["Q", "Q", *ids[2:]], "j")
    found = near_of(a, b, 0.99, tmp_path)
    assert set(zip(found.query.tolist(), found.reference.tolist(), strict=True)) == set(
        by_force(a, b, 0.99)
    )
    assert {a.patient_ids[i] for i in found.query} == {"P0"}


def test_the_channels_count_alike_whatever_their_contrast(tmp_path):
    images, ids = patients(4, 1)
    images[:, 0] = 128 + (images[:, 0].astype(int) - 128) // 12  # nearly flat: r_cat ignores it
    images[2, 1], images[3] = noisy(images[0, 1:], 0.5)[0], noisy(images[1], 0.1)
    sets = as_set(images, ids)
    found = near_of(sets, sets, 0.99, tmp_path)
    assert list(zip(found.query.tolist(), found.reference.tolist(), strict=True)) == [(1, 3)]
    assert highest(r_cat, images[0], images[2]) > 0.98


def test_channels_that_are_constant_in_one_of_a_pair_are_left_out(tmp_path):
    images, ids = patients(3, 1)
    images[1] = noisy(images[0], 1)
    images[1, 1] = 40
    images[2] = 7
    sets = as_set(images, ids)
    found = near_of(sets, sets, 0.99, tmp_path)
    assert (found.query.tolist(), found.reference.tolist()) == ([0], [1])
    expected = highest(r_ch, means64(images[0])[:1], means64(images[1])[:1])
    assert found.similarity[0] == pytest.approx(expected, abs=1e-12)


def test_other_number_types_and_shapes(tmp_path):
    rng = np.random.default_rng(4)
    for kind, side in ((np.float32, (64, 64)), (np.uint16, (64, 128)), (np.int16, (24, 24))):
        images = rng.normal(size=(6, 1, *side)).cumsum(axis=2).cumsum(axis=3)
        images = (images / np.abs(images).max() * 3000).astype(kind)
        images[4] = images[1] + images[1] // 7
        images[5] = images[2][:, ::-1]
        sets = ImageSet.from_arrays(images, patient_ids=list("abcdef"))
        found = near_of(sets, sets, 0.99, tmp_path)
        expected = by_force(sets, sets, 0.99)
        assert {(1, 4), (2, 5)} <= set(expected)
        assert list(zip(found.query.tolist(), found.reference.tolist(), strict=True)) == sorted(
            expected
        )


def test_pictures_that_rounding_spoils_are_searched_apart_and_found(tmp_path):
    # one bright block stretches the rest to a few grey levels
    images, ids = patients(8, 1, channels=1)
    for row in (2, 5):
        images[row] = np.rint(100 + (images[row].astype(float) - 128) / 20).astype(np.uint8)
        images[row, 0, 0, 0] = 255
    images[5] = images[2]
    images[5, 0, 30:32, 30:32] += 1
    images[7] = noisy(images[0], 2)
    sets = as_set(images, ids)
    blocks = write_block_images(sets, (0,), tmp_path)
    assert blocks.angle.max() > near_module.ROUGH_ANGLE > blocks.angle.min()
    found = near_of(sets, sets, 0.99, tmp_path)
    assert list(zip(found.query.tolist(), found.reference.tolist(), strict=True)) == sorted(
        by_force(sets, sets, 0.99)
    )
    assert {(0, 7), (2, 5)} <= set(zip(found.query.tolist(), found.reference.tolist(), strict=True))


def test_a_picture_with_more_twins_than_a_list_holds_has_them_all(tmp_path):
    images = np.stack([noisy(picture(1), 3, n) for n in range(30)] + [picture(p) for p in range(5)])
    sets = as_set(images, [f"p{n}" for n in range(35)])
    found = near_of(sets, sets, 0.98, tmp_path)
    assert len(found) == len(by_force(sets, sets, 0.98)) >= 30 * 29 // 2
    assert len(found.unfinished) == 0


def test_what_exceeds_the_deepest_list_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(near_module, "DEEPEST", 8)
    images = np.stack([noisy(picture(1), 3, n) for n in range(12)] + [picture(p) for p in range(5)])
    sets = as_set(images, [f"p{n}" for n in range(17)])
    found = near_of(sets, sets, 0.98, tmp_path)
    # also picture(1) itself stands further down
    assert found.unfinished.tolist() == [*range(12), 13]


def test_rounding_turns_a_picture_by_the_angle_that_is_written_down():
    rng = np.random.default_rng(0)
    for scale in (1.0, 30.0):
        image = (128 + scale * rng.normal(size=(2, 64, 64))).clip(0, 255).astype(np.uint8)
        image[0, 0, 0] = 255
        rounded, angle, varies = stretched_bytes(BlockGrid(64, 64, 64), image, 0.0)
        assert varies.all()
        for channel in range(2):
            r = r_cat(means64(image)[channel], rounded[channel])
            assert angle[channel] == pytest.approx(math.acos(min(r, 1.0)), abs=1e-7)
    _, angle, varies = stretched_bytes(BlockGrid(8, 8, 64), np.full((1, 8, 8), 3, np.uint8), 0.0)
    assert (angle[0], varies[0]) == (0.0, False)


def test_no_pair_above_the_limit_can_fall_below_the_bound():
    """Pairs made as hostile to rounding as can be, right at the limit."""
    rng = np.random.default_rng(8)
    grid = BlockGrid(8, 8, 64)
    for trial in range(400):
        x = rng.integers(0, 256, (1, 8, 8)).astype(float)
        x[0, 0, : rng.integers(0, 8)] *= 40.0  # a few outliers make the rest coarse
        y = x + rng.normal(size=x.shape) * rng.uniform(0, 0.2) * x.std()
        limit = r_cat(x, y)
        if not 0 < limit < 1:
            continue
        (a, angle_a, _), (b, angle_b, _) = (stretched_bytes(grid, i, 1e-9) for i in (x, y))
        bound = near_module._bounds(np.array([angle_a[0]]), float(angle_b[0]), limit)[0]
        assert r_cat(a, b) >= bound, trial


def test_a_part_of_the_blocks_on_disk_is_the_blocks_of_the_part(tmp_path):
    images, ids = patients(5, 2)
    sets = as_set(images, ids)
    blocks = write_block_images(sets, (0, 1), tmp_path)
    rows = np.array([7, 2, 3, 4, 9])
    part = blocks.subset(rows)
    assert np.array_equal(part.read(0, 5), blocks.read(0, 10)[rows])
    assert np.array_equal(part.subset(np.array([1, 4])).read(0, 2), blocks.read(0, 10)[[2, 9]])
    assert replace(part).fingerprint != blocks.fingerprint


def test_pieces_of_a_killed_run_are_used_and_damaged_ones_made_again(tmp_path, monkeypatch):
    from likeness._neighbours import block_images as module

    monkeypatch.setattr(module, "_PIECE", 4)
    images, ids = patients(5, 2)
    sets = as_set(images, ids)
    whole = write_block_images(sets, (0, 1), tmp_path)
    pixels, angle = whole.read(0, 10), whole.angle.copy()
    (whole.folder / "00001.notes").unlink()
    (whole.folder / "00002.bin").write_bytes(b"short")
    kept = (whole.folder / "00000.bin").stat().st_mtime_ns
    again = write_block_images(sets, (0, 1), tmp_path)
    assert np.array_equal(again.read(0, 10), pixels)
    assert np.array_equal(again.angle, angle)
    assert np.array_equal(again.read(3, 9), pixels[3:9])
    assert (whole.folder / "00000.bin").stat().st_mtime_ns == kept
