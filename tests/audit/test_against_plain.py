"""Every number of an audit against a plain computation in float64, straight from the definitions.

Nothing of Likeness computes the expected values: pictures are turned with NumPy, cut into blocks in
loops, and correlated by products of unit vectors, all pairs and all orientations.
"""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.ndimage import gaussian_filter

import likeness
from likeness import AuditOptions, ImageSet

SIZE, RATE = 80, 0.05  # 80 pixels in 64 blocks: of one and of two pixels

TURNS = {
    "identity": lambda a: a,
    "flip_h": lambda a: a[..., ::-1],
    "flip_v": lambda a: a[..., ::-1, :],
    "rot90": lambda a: np.rot90(a, 1, (-2, -1)),
    "rot180": lambda a: np.rot90(a, 2, (-2, -1)),
    "rot270": lambda a: np.rot90(a, 3, (-2, -1)),
    "transpose": lambda a: a.swapaxes(-2, -1),
    "antitranspose": lambda a: np.rot90(a.swapaxes(-2, -1), 2, (-2, -1)),
}
NAMES = list(TURNS)


def pictures(seed, count):
    rng = np.random.default_rng([3, seed])
    base, change = gaussian_filter(rng.normal(size=(2, 2, SIZE, SIZE)), (0, 0, 5, 5))
    steps = np.stack([base + 0.3 * k * change for k in range(count)])
    return np.rint(128 + 90 * steps / np.abs(steps).max()).astype(np.uint8)


def blocks(images):
    edges = [i * SIZE // 64 for i in range(65)]
    means = np.empty((*images.shape[:2], 64, 64))
    for i in range(64):
        for j in range(64):
            part = images[:, :, edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
            means[:, :, i, j] = part.mean(axis=(2, 3))
    return means


def units(values):
    """Centre and scale the last axis; zero where there is no variance."""
    centred = values - values.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    varies = values.max(axis=-1, keepdims=True) > values.min(axis=-1, keepdims=True)
    return np.where(varies, centred / np.where(varies, norm, 1), 0), varies[..., 0]


def whole(queries, references):
    (a, _), (b, _) = (units(x.reshape(len(x), -1).astype(float)) for x in (queries, references))
    return a @ b.T


def mean_of_channels(queries, references):
    (a, va), (b, vb) = (
        units(x.reshape(*x.shape[:2], -1).astype(float)) for x in (queries, references)
    )
    total = np.einsum("ncp,mcp->nm", a, b)
    count = np.einsum("nc,mc->nm", va.astype(float), vb.astype(float))
    return np.where(count > 0, total / np.maximum(count, 1), -2)  # -2: no channel varies in both


class Plain:
    """All pairs of one comparison, (orientation, query, reference)."""

    def __init__(self, queries, references, own=None):
        turned = [TURNS[name](queries) for name in NAMES]
        reduced = blocks(references)
        self.cat = np.stack([whole(t, references) for t in turned])
        self.ch = np.stack([mean_of_channels(t, references) for t in turned])
        self.grid = np.stack([mean_of_channels(blocks(t), reduced) for t in turned])
        if own is not None:
            same = np.equal.outer(np.array(own), np.array(own))
            for values in (self.cat, self.ch, self.grid):
                values[:, same] = -2
        self.score = self.grid.max(axis=(0, 2))
        level = self.score[:, None] - 1e-12  # equal pairs may differ by rounding here
        self.match = (self.grid.max(axis=0) >= level).argmax(axis=1)
        best = np.take_along_axis(self.grid, self.match[None, :, None], axis=2)[:, :, 0]
        self.turn = (best >= self.score - 1e-12).argmax(axis=0)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    train = np.concatenate([pictures(p, 3) for p in range(12)])
    patients = [f"p{i // 3}" for i in range(36)]
    train[4, 0] = 77  # a constant channel
    train[[9, 20]] = train[7]  # p2, p3 and p6 have one picture
    patients[35] = "p0"  # not in the order of first appearance
    train[35] = train[33]  # so that p0's image 35 equals image 33 of p11
    test = np.concatenate([pictures(p, 2) for p in range(100, 112)])
    test[3] = train[16]  # spoils one test patient
    rng = np.random.default_rng(8)
    noisy = np.clip(train[13] + rng.normal(0, 30, train[13].shape), 0, 255).astype(np.uint8)
    synthetic = np.concatenate(
        [
            train[[7]],
            train[[33]],
            noisy[None],
            TURNS["rot90"](train[[14]]),
            TURNS["antitranspose"](train[[30]]),
            train[[14]] // 2,
            *(pictures(p, 1) for p in range(200, 210)),
        ]
    )
    synthetic[8, 1] = 5
    sets = ImageSet.from_arrays(
        train,
        image_ids=[f"train{i}" for i in range(36)],
        patient_ids=patients,
        volumes=patients,
        slice_indices=[*(i % 3 for i in range(35)), 3],
    )
    held_out = ImageSet.from_arrays(test, patient_ids=[f"t{i // 2}" for i in range(24)])
    out = tmp_path_factory.mktemp("plain") / "audit"
    options = AuditOptions(false_flag_rate=RATE, evidence=16)
    findings = likeness.audit(sets, synthetic, held_out, out=out, options=options)
    plain = {
        "synthetic->train": Plain(synthetic, train),
        "test->train": Plain(test, train),
        "train->train": Plain(train, train, own=patients),
        "synthetic->test": Plain(synthetic, test),
    }
    return findings, out, plain, patients


def tables(out):
    found = {"synthetic->train": pq.read_table(out / "images.parquet").to_pylist()}
    for row in pq.read_table(out / "baseline.parquet").to_pylist():
        found.setdefault(row["comparison"], []).append(row)
    return found


def test_every_row_of_every_comparison(case):
    _, out, plain, patients = case
    found = tables(out)
    assert list(found) == ["synthetic->train", "test->train", "train->train", "synthetic->test"]
    for name, expected in plain.items():
        rows = found[name]
        for column, values in (
            ("correlation", expected.cat.max(axis=(0, 2))),
            ("correlation_identity", expected.cat[0].max(axis=1)),
            ("correlation_mean", expected.ch.max(axis=(0, 2))),
            ("score", expected.score),
        ):
            assert [row[column] for row in rows] == pytest.approx(values.tolist(), abs=1e-12)
        assert [row["transform"] for row in rows] == [NAMES[t] for t in expected.turn]
        if name != "synthetic->test":
            assert [row["match_id"] for row in rows] == [f"train{m}" for m in expected.match]
            assert [row["patient_id"] for row in rows] == [patients[m] for m in expected.match]


def test_the_copies_of_equal_training_images_go_to_the_lower_index(case):
    _, out, _, _ = case
    rows = tables(out)["synthetic->train"]
    assert [rows[i]["match_id"] for i in (0, 1)] == ["train7", "train33"]


def test_the_baseline_is_the_clean_part_of_the_test_set(case):
    findings, out, plain, patients = case
    rows = tables(out)
    assert [i for i, row in enumerate(rows["test->train"]) if row["left_out"]] == [2, 3]
    spoilt = [patients[i] in {"p2", "p3", "p6", "p0", "p11"} for i in range(36)]
    assert [row["left_out"] for row in rows["train->train"]] == spoilt
    scores = np.sort(np.delete(plain["test->train"].score, [2, 3]))
    baseline = findings.baseline
    assert (baseline.num_images, baseline.num_patients) == (22, 11)
    rank = math.ceil((1 - RATE) * 23)
    assert baseline.threshold == pytest.approx(scores[rank - 1], abs=1e-12)
    assert baseline.median == pytest.approx(np.median(scores), abs=1e-12)
    assert baseline.quantile_99 == pytest.approx(np.quantile(scores, 0.99), abs=1e-12)
    assert baseline.maximum == pytest.approx(scores[-1], abs=1e-12)


def test_flags_patients_and_most_copied(case):
    findings, out, plain, patients = case
    expected = plain["synthetic->train"]
    flagged = np.flatnonzero(expected.score > findings.baseline.threshold + 1e-12)
    rows = tables(out)["synthetic->train"]
    assert [i for i, row in enumerate(rows) if row["flagged"]] == flagged.tolist()
    by_patient = Counter(patients[expected.match[i]] for i in flagged)
    assert {leak.patient_id: leak.num_copies for leak in findings.patients} == by_patient
    numbers = [leak.num_copies for leak in findings.patients]
    assert numbers == sorted(numbers, reverse=True)
    twice = {f"train{m}": n for m, n in Counter(expected.match[flagged]).items() if n > 1}
    assert twice
    assert {image.match_id: image.num_copies for image in findings.most_copied} == twice
    for leak in findings.patients:
        own = [i for i in flagged if patients[expected.match[i]] == leak.patient_id]
        pairs = [expected.cat[expected.turn[i], i, expected.match[i]] for i in own]
        assert leak.best_correlation == pytest.approx(max(pairs), abs=1e-12)
        assert leak.best_score == pytest.approx(expected.score[own].max(), abs=1e-12)


def test_the_summed_up_distributions(case):
    findings, _, plain, _ = case
    for row in findings.distributions:
        expected = plain[row.comparison]
        highest = expected.cat.max(axis=(0, 2))
        values = (
            expected.cat[0].max(axis=1).mean(),
            highest.mean(),
            expected.ch.max(axis=(0, 2)).mean(),
            np.median(highest),
            np.quantile(highest, 0.99),
            highest.max(),
            np.median(expected.score),
            np.quantile(expected.score, 0.99),
            expected.score.max(),
        )
        assert (
            row.mean_correlation_identity,
            row.mean_correlation,
            row.mean_correlation_mean,
            row.median_correlation,
            row.quantile_99_correlation,
            row.maximum_correlation,
            row.median_score,
            row.quantile_99_score,
            row.maximum_score,
        ) == pytest.approx(values, abs=1e-12)


def test_the_evidence_shows_the_right_slices_and_places(case):
    _, out, plain, patients = case
    expected = plain["synthetic->train"]
    clean = np.delete(plain["test->train"].score, [2, 3])
    pairs = json.loads((out / "evidence" / "pairs.json").read_text())
    assert len(pairs) == 16
    # Exact copies tie at 1: the plain score is rounded before it orders them.
    score = np.round(expected.score, 9)
    flags = [row["flagged"] for row in tables(out)["synthetic->train"]]
    order = sorted(range(16), key=lambda i: (not flags[i], -score[i], i))
    assert [int(p["image_id"].rpartition("-")[2]) for p in pairs] == order
    where = {(p, i % 3 if i < 35 else 3): i for i, p in enumerate(patients)}
    for pair, row in zip(pairs, order, strict=True):
        place = int(pair["match_id"].removeprefix("train"))
        assert place == expected.match[row]
        number = place % 3 if place < 35 else 3
        for side, step in (("previous", -1), ("next", 1)):
            index = where.get((patients[place], number + step))
            assert pair[f"{side}_id"] == (None if index is None else f"train{index}")
        above = int((clean >= expected.score[row] - 1e-12).sum())
        assert (pair["baseline_above"], pair["baseline_size"]) == (above, 22)
