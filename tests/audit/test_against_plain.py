"""Every number of an audit against a plain computation in float64, straight from the definitions.

Nothing of Likeness computes the expected values: pictures are turned with NumPy, cut into blocks in
loops, and correlated by products of unit vectors, all pairs and all orientations. Registration and
tiles have such tests of their own; here their contrasts are taken from the tables, and what is
concluded from them is computed anew.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.ndimage import gaussian_filter

import likeness
from likeness import AuditOptions, ImageSet
from likeness._audit import set_level

SIZE = 80  # in 64 blocks: of one and of two pixels
PEOPLE, SLICES = 60, 2
ROUNDING = 3e-6
"""What 65,536 steps per block mean can change in r."""
FAMILIES = ("plain", "dihedral", "registered", "tiles")

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
    steps = np.stack([base + k * change for k in range(count)])
    return np.rint(128 + 90 * steps / np.abs(steps).max()).astype(np.uint8)


def blocks(images):
    # The second half mirrors the first.
    edges = [i * SIZE // 64 if i <= 32 else SIZE - (64 - i) * SIZE // 64 for i in range(65)]
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
    total = np.einsum("ncp,mcp->nm", a, b, optimize=True)
    count = np.einsum("nc,mc->nm", va.astype(float), vb.astype(float))
    return np.where(count > 0, total / np.maximum(count, 1), -2)  # -2: no channel varies in both


def z(r):
    return np.arctanh(np.clip(r, -1 + 1e-7, 1 - 1e-7))


class Plain:
    """All pairs of one comparison, (orientation, query, reference)."""

    def __init__(self, queries, references, groups, own=None):
        turned = [TURNS[name](queries) for name in NAMES]
        reduced = blocks(references)
        self.cat = np.stack([whole(t, references) for t in turned])
        self.ch = np.stack([mean_of_channels(t, references) for t in turned])
        # Block means are turned, not blocks cut anew: 80 pixels make blocks of uneven size.
        means = blocks(queries)
        self.grid = np.stack([mean_of_channels(TURNS[name](means), reduced) for name in NAMES])
        if own is not None:
            same = np.equal.outer(np.array(own), np.array(groups))
            for values in (self.cat, self.ch, self.grid):
                values[:, same] = -2
        self.groups = np.array(groups)

    def by_group(self, family):
        """(query, group) highest r, NaN for none."""
        table = self.grid[0] if family == "plain" else self.grid.max(axis=0)
        found = np.stack(
            [table[:, self.groups == g].max(axis=1) for g in range(self.groups.max() + 1)], axis=1
        )
        return np.where(found == -2, np.nan, found)

    def ranked(self, family):
        """Per query the groups from the highest r on, and their r."""
        table = self.by_group(family)
        order = np.argsort(np.where(np.isnan(table), np.inf, -table), axis=1, kind="stable")
        return order, np.take_along_axis(table, order, axis=1)

    def contrast(self, family):
        _, r = self.ranked(family)
        return z(r[:, 0]) - z(r[:, 1])

    def match(self, family):
        """Nearest image and turn, the first of equal ones (equal pairs may differ by rounding)."""
        table = self.grid[:1] if family == "plain" else self.grid
        best = table.max(axis=(0, 2))
        image = (table.max(axis=0) >= best[:, None] - 1e-9).argmax(axis=1)
        turns = np.take_along_axis(table, image[None, :, None], axis=2)[:, :, 0]
        return image, (turns >= best - 1e-9).argmax(axis=0)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    train = np.concatenate([pictures(p, SLICES) for p in range(PEOPLE)])
    patients = [f"p{i // SLICES}" for i in range(len(train))]
    train[4, 0] = 77  # a constant channel
    train[[9, 20]] = train[7]  # p3, p4 and p10 have one picture
    patients[119] = "p0"  # not in the order of first appearance
    train[119] = train[117]  # so that p0's image 119 equals image 117 of p58
    people = [*range(PEOPLE)]
    for second, first in ((4, 3), (10, 3), (58, 0)):
        people[second] = first
    people = [sorted(set(people)).index(g) for g in people]
    groups = [people[int(name[1:])] for name in patients]
    test = np.concatenate([*(pictures(p, 10) for p in (100, 101, 102)), pictures(103, 1)])
    test[30] = train[16]  # a training image under another name
    held_out = [*(f"t{i // 10}" for i in range(30)), "t3"]
    rng = np.random.default_rng(8)
    noisy = np.clip(train[13] + rng.normal(0, 30, train[13].shape), 0, 255).astype(np.uint8)
    synthetic = np.concatenate(
        [
            train[[7]],
            train[[117]],
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
        image_ids=[f"train{i}" for i in range(len(train))],
        patient_ids=patients,
        volumes=patients,
        slice_indices=[*(i % SLICES for i in range(119)), 2],
    )
    out = tmp_path_factory.mktemp("plain") / "audit"
    options = AuditOptions(evidence=16, local_sample=PEOPLE, self_check=False, permutations=4999)
    # Patients of 1, 2 and 10 images; the audit would not exchange them, but the sums are the same.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_level, "UNEVEN", 0.0)
        findings = likeness.audit(
            sets,
            synthetic,
            ImageSet.from_arrays(test, patient_ids=held_out),
            out=out,
            options=options,
        )
    usable = [i for i, name in enumerate(held_out) if name != "t3"]
    test_groups = [int(held_out[i][1]) for i in usable]
    plain = {
        "synthetic->train": Plain(synthetic, train, groups),
        "test->train": Plain(test, train, groups),
        "train->train": Plain(train, train, groups, own=groups),
        "synthetic->test": Plain(synthetic, test, [int(name[1]) for name in held_out]),
        "usable": Plain(synthetic, test[usable], test_groups),
    }
    return findings, out, plain, patients, groups


def tables(out):
    found = {"synthetic->train": pq.read_table(out / "images.parquet").to_pylist()}
    for row in pq.read_table(out / "baseline.parquet").to_pylist():
        found.setdefault(row["comparison"], []).append(row)
    return found


def column(rows, name):
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)


def test_full_size_correlations_of_every_comparison(case):
    _, out, plain, _, _ = case
    found = tables(out)
    assert list(found) == ["synthetic->train", "test->train", "train->train", "synthetic->test"]
    for name, rows in found.items():
        expected = plain[name]
        for of_column, values in (
            ("correlation", expected.cat.max(axis=(0, 2))),
            ("correlation_identity", expected.cat[0].max(axis=1)),
            ("correlation_mean", expected.ch.max(axis=(0, 2))),
        ):
            there = column(rows, of_column)
            compared = ~np.isnan(there)
            assert compared.sum() == (PEOPLE if name == "train->train" else len(rows))
            assert there[compared] == pytest.approx(values[compared], abs=1e-12)


def test_similarity_and_contrast_of_every_image(case):
    """The plain and the dihedral family."""
    _, out, plain, _, _ = case
    for name, rows in tables(out).items():
        for family in ("plain", "dihedral"):
            if name == "synthetic->test" and family == "plain":
                continue
            _, r = plain[name].ranked(family)
            assert column(rows, f"similarity_{family}") == pytest.approx(r[:, 0], abs=ROUNDING)
            expected = plain[name].contrast(family)  # near 1 an error of r counts more
            found = column(rows, f"contrast_{family}")
            assert found == pytest.approx(expected, rel=2e-3, abs=2 * ROUNDING)


def test_who_is_nearest_and_how(case):
    _, out, plain, patients, groups = case
    rows = tables(out)["synthetic->train"]
    names = [" = ".join(sorted({p for p, g in zip(patients, groups, strict=True) if g == code},
                               key=patients.index)) for code in range(max(groups) + 1)]  # fmt: skip
    for family in ("plain", "dihedral"):
        order, _ = plain["synthetic->train"].ranked(family)
        assert [row[f"patient_{family}"] for row in rows] == [names[g] for g in order[:, 0]]
    for index, row in enumerate(rows):
        if row["family"] in {"plain", "dihedral"}:
            image, turn = plain["synthetic->train"].match(row["family"])
            assert row["match_id"] == f"train{image[index]}"
            assert row["patient_id"] == patients[image[index]]
            assert row["transform"] == NAMES[turn[index]]
    assert sum(row["family"] in {"plain", "dihedral"} for row in rows) >= 6


def test_patients_that_share_a_picture_are_one_person(case):
    findings, out, _, _, _ = case
    assert sorted(map(sorted, findings.merged_patients)) == [["p0", "p58"], ["p10", "p3", "p4"]]
    assert findings.baseline.num_groups == 57
    assert (findings.baseline.num_images, findings.baseline.num_patients) == (120, 60)
    rows = tables(out)["synthetic->train"]
    assert [rows[i]["match_id"] for i in (0, 1)] == ["train7", "train117"], "the first of equals"


def test_p_values_are_counted_below_the_tail_and_below_its_share_above(case):
    findings, out, _, _, _ = case
    found = tables(out)
    among = found["train->train"]
    described = {row.family: row for row in findings.baseline.families}
    for family in FAMILIES:
        null = column(among, f"contrast_{family}")
        null = np.sort(null[~np.isnan(null)])
        tail = described[family]
        assert (tail.num_images, tail.num_groups) == (
            len(null),
            57 if family in {"plain", "dihedral"} else len(set(people_of(case, family))),
        )
        assert [tail.contrast_median, tail.contrast_99, tail.contrast_maximum] == pytest.approx(
            np.quantile(null, [0.5, 0.99, 1.0])
        )
        contrast = column(found["synthetic->train"], f"contrast_{family}")
        p = column(found["synthetic->train"], f"p_{family}")
        above = (null[None] >= contrast[:, None]).sum(axis=1)
        counted = (1 + above) / (1 + len(null))
        limit = np.inf
        if tail.tail_threshold is not None:
            number = int(0.1 * len(null))
            limit = tail.tail_threshold
            assert limit == pytest.approx(null[-1 - number])
            beyond = int((null > limit).sum())
            assert tail.tail_share == pytest.approx((1 + beyond) / (1 + len(null)))
            assert (p[contrast > limit] <= tail.tail_share).all()
            assert (p[contrast > null[-1] + 1] < counted[contrast > null[-1] + 1]).all()
        assert p[contrast <= limit] == pytest.approx(counted[contrast <= limit])
    assert described["plain"].tail_threshold is not None
    assert described["dihedral"].tail_threshold is not None


def people_of(case, family):
    _, out, _, _, groups = case
    among = tables(out)["train->train"]
    rows = {row["image_id"]: row[f"contrast_{family}"] is not None for row in among}
    return [groups[i] for i in range(len(groups)) if rows[f"train{i}"]]


def test_families_are_paid_for_and_lists_drawn(case):
    findings, out, _, _, _ = case
    found = tables(out)
    rows, among = found["synthetic->train"], found["train->train"]
    p_family = np.stack([column(rows, f"p_{family}") for family in FAMILIES], axis=1)
    p = np.minimum(1, 4 * p_family.min(axis=1))
    assert column(rows, "p_value") == pytest.approx(p)
    for row, values in zip(rows, p_family, strict=True):
        clearest = FAMILIES[int(values.argmin())]
        alike = [
            family
            for family, value in zip(FAMILIES, values, strict=True)
            if value <= 10 * values.min() and row[f"patient_{family}"] == row[f"patient_{clearest}"]
        ]
        assert row["family"] == alike[0]
    described = {row.family: row for row in findings.baseline.families}
    for row in rows:
        null = column(among, f"contrast_{row['family']}")
        null = null[~np.isnan(null)]
        contrast = row[f"contrast_{row['family']}"]
        most = described[row["family"]].most_per_group
        assert most == max(Counter(people_of(case, row["family"])).values())
        at_least = int((null >= contrast).sum())
        expected = min(1, 4 * (most + at_least) / (most + len(null)))
        assert row["p_conservative"] == pytest.approx(expected)
        threshold = described[row["family"]].tail_threshold
        assert row["extrapolated"] == (threshold is not None and contrast > threshold)
    for flag, share in (("flagged", 0.05), ("unusual", 0.20)):
        order = np.argsort(p, kind="stable")
        passed = [k for k in range(16) if p[order[k]] <= share * (k + 1) / 16]
        listed = set(order[: max(passed, default=-1) + 1].tolist())
        assert {i for i, row in enumerate(rows) if row[flag]} == listed
    steps = np.sort(p) * 16 / np.arange(1, 17)
    expected = np.minimum(1, np.minimum.accumulate(steps[::-1])[::-1])
    assert np.sort(column(rows, "q_value")) == pytest.approx(expected)
    flagged = [i for i, row in enumerate(rows) if row["flagged"]]
    assert set(range(6)) <= set(flagged), "the six copies"
    assert (findings.counts.flagged, findings.counts.expected) == (
        len(flagged),
        pytest.approx(0.05 * len(flagged)),
    )


def test_people_behind_the_copies(case):
    findings, out, plain, patients, groups = case
    rows = tables(out)["synthetic->train"]
    flagged = [i for i, row in enumerate(rows) if row["flagged"]]
    place = [int(row["match_id"].removeprefix("train")) for row in rows]
    points_to = [groups[m] for m in place]
    by_person = Counter(points_to[i] for i in flagged)
    found = {tuple(leak.image_ids): leak for leak in findings.patients}
    assert len(found) == len(by_person) == findings.counts.patients == findings.affected.seen
    numbers = [leak.num_copies for leak in findings.patients]
    assert numbers == sorted(numbers, reverse=True)
    density = densities(plain["train->train"], groups)
    rank = {g: k for k, g in enumerate(sorted(density, key=density.get))}
    for leak in findings.patients:
        own = [int(name.rpartition("-")[2]) for name in leak.image_ids]
        (code,) = {points_to[i] for i in own}
        assert leak.num_copies == by_person[code] == len(own)
        names = {p for p, g in zip(patients, groups, strict=True) if g == code}
        assert set(leak.patient_id.split(" = ")) == names
        assert leak.match_ids == sorted({f"train{place[i]}" for i in own})
        turns = [NAMES.index(rows[i]["transform"]) for i in own]
        pairs = [
            plain["synthetic->train"].cat[t, i, place[i]] for t, i in zip(turns, own, strict=True)
        ]
        assert leak.best_correlation == pytest.approx(max(pairs), abs=1e-12)
        p = sorted(rows[i]["p_value"] for i in range(16) if points_to[i] == code)
        simes = min(len(p) * value / (k + 1) for k, value in enumerate(p))
        assert leak.p_value == pytest.approx(simes)
        assert leak.density_rank == pytest.approx(rank[code] / 56)
    once, twice = (sum(n == k for n in by_person.values()) for k in (1, 2))
    affected = findings.affected
    assert (affected.singletons, affected.doubletons) == (once, twice)
    assert affected.chao1 == pytest.approx(
        min(57, len(by_person) + once * (once - 1) / (2 * (twice + 1)))
    )
    assert affected.next_new == pytest.approx(once / 16)
    most = Counter(place[i] for i in flagged)
    assert {image.match_id: image.num_copies for image in findings.most_copied} == {
        f"train{m}": n for m, n in most.items() if n > 1
    }
    assert findings.most_copied


def densities(among, groups):
    """Mean z to the ten nearest other people, from each person's nearest pairs of images."""
    table = among.by_group("dihedral")
    found = {}
    for person in set(groups):
        own = [i for i, g in enumerate(groups) if g == person]
        highest = sorted((z(table[own, g].max()) for g in set(groups) - {person}), reverse=True)
        found[person] = np.mean(highest[:10])
    return found


def test_the_summed_up_distributions(case):
    findings, out, plain, _, _ = case
    found = tables(out)
    assert {row.comparison for row in findings.distributions} == set(found)
    for row in findings.distributions:
        expected = plain[row.comparison]
        compared = ~np.isnan(column(found[row.comparison], "correlation"))
        highest = expected.cat.max(axis=(0, 2))[compared]
        score = expected.grid.max(axis=(0, 2))
        values = (
            expected.cat[0].max(axis=1)[compared].mean(),
            highest.mean(),
            expected.ch.max(axis=(0, 2))[compared].mean(),
            np.median(highest),
            np.quantile(highest, 0.99),
            highest.max(),
            np.median(score),
            np.quantile(score, 0.99),
            score.max(),
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
        ) == pytest.approx(values, abs=ROUNDING)
        assert row.num_images == compared.sum()


def test_the_yardstick_is_the_clean_part_of_the_test_set(case):
    findings, out, plain, _, _ = case
    rows = tables(out)["test->train"]
    assert [i for i, row in enumerate(rows) if row["left_out"]] == [30]
    clean = plain["test->train"].cat.max(axis=(0, 2))[:30]
    baseline = findings.baseline
    assert baseline.yardstick == "test->train"
    assert (baseline.median, baseline.quantile_99, baseline.maximum) == pytest.approx(
        (np.median(clean), np.quantile(clean, 0.99), clean.max()), abs=1e-12
    )


def test_the_test_of_the_set_as_a_whole(case):
    """Its statistic exactly, its p-value by another permutation, within what chance allows."""
    findings, _, plain, _, _ = case
    train, test = (plain[name].by_group("dihedral") for name in ("synthetic->train", "usable"))
    table = np.concatenate([train, test], axis=1)
    ordered = np.sort(table, axis=1)[:, ::-1]
    weight = (z(ordered[:, 0]) - z(ordered[:, 1])) ** 2
    weight = np.minimum(weight, np.quantile(weight, 0.995, method="higher"))
    nearest = table.argmax(axis=1)
    per_person = np.bincount(nearest, weights=weight, minlength=60)
    share = per_person[:57].sum() / weight.sum()
    found = findings.membership
    assert (found.num_train_patients, found.num_test_patients) == (57, 3)
    assert found.matched_share == pytest.approx(share, abs=1e-4)
    assert found.expected_share == pytest.approx(57 / 60)
    assert found.delta == pytest.approx((share - 0.95) / 0.05, abs=1e-2)
    rng = np.random.default_rng(77)
    permuted = np.array([per_person[rng.permutation(60)[:57]].sum() for _ in range(9999)])
    p = (1 + (permuted >= per_person[:57].sum() * (1 - 1e-9)).sum()) / 10_000
    error = np.sqrt(p * (1 - p) * (1 / 9999 + 1 / 4999))
    assert found.p_value == pytest.approx(p, abs=4 * error + 1e-3)
    shares = permuted / weight.sum()
    assert (shares < found.band_low - 1e-6).mean() == pytest.approx(0.025, abs=0.01)
    assert found.band_high == pytest.approx(1.0), "most choices of three take no weight away"
    assert (shares > 1 - 1e-6).mean() > 0.025
    probability, leaked = 1.0, 0
    while probability > 0.05 and leaked < 57:
        probability *= (57 - leaked) / (60 - leaked)
        leaked += 1
    assert found.fewest_leaked_05 == (leaked if probability <= 0.05 else None)


def test_maxima_over_equally_many_people(case):
    """All 29,260 choices of 3 of 57 training people, against the 3 held-out ones."""
    findings, _, plain, _, _ = case
    train, test = (plain[name].by_group("dihedral") for name in ("synthetic->train", "usable"))
    choices = np.array(list(combinations(range(57), 3)))
    highest = test.max(axis=1)
    in_train, share = np.empty(16), np.empty(16)
    for query in range(16):
        reached = train[query][choices].max(axis=1)
        in_train[query] = reached.mean()
        share[query] = (reached > highest[query]).mean() + 0.5 * (reached == highest[query]).mean()
    found = findings.equal_size
    assert found.num_patients == 3
    assert found.train_mean == pytest.approx(in_train.mean(), abs=ROUNDING)
    assert found.test_mean == pytest.approx(highest.mean(), abs=ROUNDING)
    assert found.difference.estimate == pytest.approx((in_train - highest).mean(), abs=2 * ROUNDING)
    assert found.difference.low < found.difference.estimate < found.difference.high
    assert found.train_mean_all == pytest.approx(train.max(axis=1).mean(), abs=ROUNDING)
    assert findings.membership.equal_size_share == pytest.approx(share.mean(), abs=1e-4)


def test_the_evidence_shows_the_right_pairs_slices_and_numbers(case):
    _, out, plain, patients, groups = case
    expected = plain["synthetic->train"]
    found = tables(out)
    rows, among = found["synthetic->train"], found["train->train"]
    pairs = json.loads((out / "evidence" / "pairs.json").read_text())
    arrays = np.load(out / "evidence" / "pairs.npz", allow_pickle=False)
    order = sorted(
        range(16),
        key=lambda i: (
            not rows[i]["flagged"],
            not rows[i]["unusual"],
            rows[i]["p_value"],
            -max(rows[i][f"contrast_{f}"] or -1 for f in FAMILIES),
            i,
        ),
    )
    assert [int(pair["image_id"].rpartition("-")[2]) for pair in pairs] == order
    where = {(p, i % SLICES if i < 119 else 2): i for i, p in enumerate(patients)}
    clean = expected_clean(plain)
    for number, (pair, row) in enumerate(zip(pairs, order, strict=True)):
        family = pair["family"]
        place = int(pair["match_id"].removeprefix("train"))
        assert (pair["match_id"], family) == (rows[row]["match_id"], rows[row]["family"])
        slice_index = place % SLICES if place < 119 else 2
        for side, step in (("previous", -1), ("next", 1)):
            index = where.get((patients[place], slice_index + step))
            assert pair[f"{side}_id"] == (None if index is None else f"train{index}")
            assert arrays[f"has_{side}"][number] == (index is not None)
        turn = NAMES.index(pair["transform"])
        assert pair["correlation"] == pytest.approx(expected.cat[turn, row, place], abs=1e-12)
        assert pair["correlation_mean"] == pytest.approx(expected.ch[turn, row, place], abs=1e-12)
        assert pair["baseline_correlation_above"] == int((clean >= pair["correlation"]).sum())
        assert pair["baseline_correlation_size"] == 30
        null = column(among, f"contrast_{family}")
        assert pair["baseline_above"] == int((null >= pair["contrast"]).sum())
        assert pair["baseline_size"] == int((~np.isnan(null)).sum())
        if family in {"plain", "dihedral"}:
            people, r = expected.ranked(family)
            second = people[row, 1]
            assert set(pair["second_patient_id"].split(" = ")) == {
                p for p, g in zip(patients, groups, strict=True) if g == second
            }
            assert pair["similarity"] == pytest.approx(r[row, 0], abs=ROUNDING)
            assert pair["second_similarity"] == pytest.approx(r[row, 1], abs=ROUNDING)


def expected_clean(plain):
    return plain["test->train"].cat.max(axis=(0, 2))[:30]
