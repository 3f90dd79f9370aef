"""Poses, their inverses, their words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scores.registration.making import moved

from likeness.scores.registration.poses import (
    Pose,
    describe_pose,
    follow,
    map_to_pose,
    pose_to_map,
    turned_poses,
)
from likeness.similarity.transforms import apply_transform
from likeness.types import TRANSFORMS


def some_poses(rng, count=20):
    return np.column_stack(
        [
            rng.uniform(-20, 20, count),
            rng.uniform(0.8, 1.2, count),
            rng.uniform(-30, 30, (count, 2)),
        ]
    )


def matrix(pose):
    """The pose as a 3 x 3 matrix on (down, right, 1)."""
    angle, zoom, down, right = pose
    cosine, sine = zoom * np.cos(np.deg2rad(angle)), zoom * np.sin(np.deg2rad(angle))
    return np.array([[cosine, -sine, down], [sine, cosine, right], [0, 0, 1]])


def as_matrix(numbers):
    a, b, down, right = numbers
    return np.array([[a, b, down], [-b, a, right], [0, 0, 1]])


def test_a_map_undoes_its_pose():
    poses = some_poses(np.random.default_rng(1))
    maps = pose_to_map(poses)
    for pose, numbers in zip(poses, maps, strict=True):
        np.testing.assert_allclose(as_matrix(numbers) @ matrix(pose), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(map_to_pose(maps), poses, atol=1e-10)


def test_follow_composes_with_the_inverse_step():
    rng = np.random.default_rng(2)
    maps = pose_to_map(some_poses(rng))
    steps = rng.uniform(-0.05, 0.05, maps.shape) * (1, 1, 50, 50)
    for numbers, step, found in zip(maps, steps, follow(maps, steps), strict=True):
        moving = as_matrix((1 + step[0], step[1], step[2], step[3]))
        np.testing.assert_allclose(
            as_matrix(found), as_matrix(numbers) @ np.linalg.inv(moving), atol=1e-12
        )


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_turned_poses_do_after_what_poses_do_before(transform):
    """On pixels: moving then turning equals turning then the turned pose."""
    rng = np.random.default_rng(3)
    image = np.zeros((1, 41, 41))
    image[0, 8:33, 8:33] = rng.random((25, 25))
    pose = np.array([[9.0, 1.1, 2.0, -1.5]])
    angle, zoom, down, right = turned_poses(pose, transform)[0]
    first = apply_transform(moved(image, angle=9.0, zoom=1.1, shift=(2.0, -1.5)), transform)
    second = moved(
        np.ascontiguousarray(apply_transform(image, transform)),
        angle=angle, zoom=zoom, shift=(down, right),
    )  # fmt: skip
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_placement_round_trip():
    pose = Pose(3.0, 1.05, -4.0, 2.5, -1, "rot90")
    row = np.array([3.0, 1.05, -4.0, 2.5, -1.0, TRANSFORMS.index("rot90")], dtype=np.float32)
    again = Pose.from_placement(row)
    assert again.transform == pose.transform
    assert again.sign == -1
    assert again.zoom == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (Pose(), ""),
        (Pose(0.05, 1.001, 0.3, 0.3), ""),
        (Pose(down=3.0, right=-4.0), "shifted by 5 px"),
        (Pose(angle=-3.0, down=7.0), "shifted by 7 px and turned by 3 degrees"),
        (Pose(angle=1.0), "turned by 1 degree"),
        (Pose(zoom=0.95), "reduced by 5 %"),
        (Pose(zoom=1.025, sign=-1), "enlarged by 2.5 %; inverted (dark and bright exchanged)"),
        (
            Pose(4.0, 1.05, 12.0, 0.0, 1, "flip_h"),
            "mirrored left to right, shifted by 12 px, turned by 4 degrees and enlarged by 5 %",
        ),
    ],
)
def test_words(pose, words):
    assert describe_pose(pose, 256, 256) == words
