"""The audit's trial of itself: who plays the innocent, what counts as caught, what follows."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import false_discovery_control
from tests.audit.conftest import image_set, innocents, small

import likeness
from likeness._audit import planting, self_check
from likeness._audit.baselines import Places
from likeness._audit.duplicates import contamination_of_test
from likeness._audit.inputs import open_inputs
from likeness._audit.null import choose_null
from likeness._audit.planting import PlantedCopies
from likeness._audit.scoring import score_all
from likeness._audit.self_check import Fold, Trial, check_itself, control_folds
from likeness._findings import NegativeControl
from likeness._progress import SILENT
from likeness.scores import FAMILIES

pytestmark = pytest.mark.usefixtures("quick")


class Case:
    """The scores of three sets, and the null."""

    def __init__(self, folder, train, synthetic, test, **changes):
        self.options = small(**changes)
        self.inputs = open_inputs(
            train, synthetic, test, work=folder / "sets", options=self.options, progress=SILENT
        )
        self.scores = score_all(
            self.inputs, self.options, places=Places(folder, folder), progress=SILENT
        )
        self.groups = self.scores.people.of_images(self.inputs.train)
        self.contamination = None
        if self.inputs.test is not None:
            self.contamination = contamination_of_test(
                self.inputs.test,
                self.inputs.train,
                self.scores.test.rows["dihedral"],
                self.scores.test.rankings["dihedral"],
                0.995,
            )

        usable = None
        if self.contamination is not None:
            usable = self.scores.test.keep(~self.contamination.images)
        self.null = choose_null(
            self.scores, self.inputs.train, self.inputs.test, usable, seed=self.options.seed
        )
        self.nulls = self.null.families

    def folds(self, seed=0):
        return control_folds(
            self.scores, self.nulls, self.inputs.train, self.null.control, seed=seed
        )

    def check(self):
        return check_itself(self.scores, self.null, self.inputs, self.contamination, self.options)


@pytest.fixture(scope="module")
def with_test(quick, tmp_path_factory, train, test):
    return Case(tmp_path_factory.mktemp("with"), train, innocents(5), test)


@pytest.fixture(scope="module")
def alone(quick, tmp_path_factory, train):
    return Case(tmp_path_factory.mktemp("alone"), train, innocents(5), None)


def test_held_out_people_play_the_innocent_once_each(with_test):
    source, folds = with_test.folds()
    assert source == "test"
    assert [len(fold.rows) for fold in folds] == [6] * 10
    people = with_test.inputs.test.patient_codes[np.concatenate([fold.rows for fold in folds])]
    assert sorted(people.tolist()) == list(range(60))
    rows = np.concatenate([fold.rows for fold in folds])
    order = np.argsort(rows)
    judged = self_check.judge(with_test.scores.test.at(rows[order]), with_test.nulls)
    assert np.concatenate([fold.p for fold in folds])[order] == pytest.approx(judged.p)


def test_no_person_of_a_fold_is_in_its_own_references_or_null(alone, monkeypatch):
    """What the fold is judged by is written down as it passes."""
    seen = []

    def noting(rankings, nulls, **more):
        seen.append((rankings, nulls))
        return judge(rankings, nulls, **more)

    def noting_null(rankings, groups):
        seen.append((rankings, groups))
        return null_of(rankings, groups)

    judge, null_of = self_check.judge, self_check.null_of
    monkeypatch.setattr(self_check, "judge", noting)
    monkeypatch.setattr(self_check, "null_of", noting_null)
    source, folds = alone.folds()
    assert (source, len(folds), len(seen)) == ("train", 10, 20)
    everybody = []
    for number, fold in enumerate(folds):
        (rest, rest_groups), (queries, nulls) = seen[2 * number : 2 * number + 2]
        playing = set(alone.groups[fold.rows].tolist())
        assert len(playing) == len(fold.rows) == 11
        everybody += playing
        for family in FAMILIES:
            assert not playing & set(rest_groups[family].tolist())
            assert not playing & set(nulls[family].groups.tolist())
            assert not playing & set(rest[family].group[:, :2].ravel().tolist())
            assert not playing & set(queries[family].group.ravel().tolist())
    assert sorted(everybody) == list(range(110))


def test_a_fold_is_judged_as_if_its_people_had_never_been_there(alone, tmp_path):
    """References and null without them, searched anew, give the numbers that were at hand."""
    _, folds = alone.folds()
    rows = folds[0].rows
    inside = np.isin(alone.groups, alone.groups[rows])
    train = alone.inputs.train
    anew = Case(tmp_path, train.subset(np.flatnonzero(~inside)), train.subset(rows), None)
    families = ("plain", "dihedral", "tiles")
    for family in families:
        null = alone.scores.null
        keep = ~np.isin(np.arange(110), alone.groups[rows])
        at_hand = null.at(rows)[family].keep_groups(keep)
        assert at_hand.contrast() == pytest.approx(anew.scores.synthetic[family].contrast())
    # The sample of the tiles is drawn at random; plain and dihedral images are all there.
    for family in families[:2]:
        rest = null.keep(~inside).rankings[family].keep_groups(keep)
        assert rest.contrast() == pytest.approx(anew.scores.null.rankings[family].contrast())


def test_too_few_held_out_people_leave_it_to_the_training_people(quick, tmp_path, train):
    case = Case(tmp_path, train, innocents(3), image_set(range(1000, 1049)))
    source, folds = case.folds()
    assert source == "train"
    assert sum(len(fold.rows) for fold in folds) == 110


def test_people_who_are_in_train_do_not_play_the_innocent(quick, tmp_path, train):
    case = Case(tmp_path, train, innocents(3), image_set([*range(1000, 1060), 4, 5], prefix="t"))
    source, folds = case.folds()
    names = {case.inputs.test.patient_ids[row] for fold in folds for row in fold.rows}
    assert source == "test"
    assert len(names) == 60
    assert not names & {"p4", "p5"}


@pytest.fixture
def forgotten(with_test):
    """The folder of planted copies, of which nothing is kept before and after the test."""
    folder = with_test.scores.scorer.store.folder.parent / "planted"
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_copies_of_every_mandatory_level_are_planted_and_named(with_test):
    trial = with_test.check()
    assert [copies.level for copies in trial.planted] == ["L0", "L1", "L2"]
    for copies in trial.planted:
        assert len(copies.kinds) == len(copies.p) == len(copies.right) == 28
        assert copies.right.all()
        assert (copies.p * 300 <= 0.05).all()
    assert trial.reduced
    assert trial.inflation == 1.0
    assert trial.negative.membership_p is not None
    check = trial.finish(num_judged=300, num_flagged=0)
    assert [row.caught for row in check.levels] == [28, 28, 28]
    assert {kind.kind for kind in check.levels[1].kinds} == {"noise", "blur", "blend"}
    assert all(sum(kind.planted for kind in row.kinds) == 28 for row in check.levels)


def test_planted_copies_are_ranked_once(with_test, forgotten, monkeypatch):
    """And what is found again is what was found; other copies are planted anew."""
    first = with_test.check()
    monkeypatch.setattr(planting, "plant_level", lambda *_: pytest.fail("planted again"))
    again = with_test.check()
    for one, other in zip(first.planted, again.planted, strict=True):
        assert (one.level, one.kinds) == (other.level, other.kinds)
        assert one.p.tobytes() == other.p.tobytes()
        assert one.right.tobytes() == other.right.tobytes()
    files = sorted(forgotten.iterdir())
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:-1])
    with pytest.raises(pytest.fail.Exception, match="planted again"):
        with_test.check()


@pytest.mark.usefixtures("forgotten")
def test_planted_copies_are_of_as_many_people_as_there_can_be(with_test, monkeypatch):
    taken = []

    def noting(images, level, rng, donors):
        taken.append(images)
        return plant(images, level, rng, donors)

    plant = planting.plant_level
    monkeypatch.setattr(planting, "plant_level", noting)
    with_test.check()
    train = with_test.inputs.train.read(0, 220)
    assert len(taken) == 3
    for images in taken:
        rows = [int(np.flatnonzero((train == image).all(axis=(1, 2, 3)))[0]) for image in images]
        assert len(set(with_test.groups[rows].tolist())) == 28


@pytest.mark.usefixtures("forgotten")
def test_a_copy_that_names_the_wrong_person_is_not_caught(with_test, monkeypatch):
    def shuffled(images, level, rng, donors):
        return plant(np.roll(images, 1, axis=0), level, rng, donors)

    plant = planting.plant_level
    monkeypatch.setattr(planting, "plant_level", shuffled)
    trial = with_test.check()
    assert not any(copies.right.any() for copies in trial.planted)
    check = trial.finish(num_judged=100, num_flagged=0)
    assert [row.caught for row in check.levels] == [0, 0, 0]
    assert [row.rate_bound for row in check.levels] == [None, None, None]
    assert not check.sensitive


def negative(**changes):
    values = {
        "source": "test",
        "num_folds": 10,
        "folds_with_flags": 0,
        "num_images": 60,
        "num_flagged": 0,
        "share_below_01": 0.0,
        "inflation": 1.0,
        "flagged_ids": [],
        "passed": True,
        "membership_p": None,
    }
    return NegativeControl(**{**values, **changes})


def trial_of(p, right=None, **changes):
    p = np.asarray(p, dtype=np.float64)
    right = np.ones(len(p), dtype=bool) if right is None else np.asarray(right)
    planted = [PlantedCopies("L0", ("identity",) * len(p), p, right)]
    return Trial(1.0, changes.pop("negative", negative()), planted, reduced=False, fdr=0.05)


@pytest.mark.parametrize(("images", "caught"), [(10, 3), (50, 2), (51, 1), (500, 1), (501, 0)])
def test_caught_is_what_would_be_listed_as_the_only_copy_in_the_set(images, caught):
    """p <= 0.05 / m, whatever else is in the set."""
    check = trial_of([1e-4, 1e-3, 5e-3]).finish(num_judged=images, num_flagged=0)
    assert check.levels[0].caught == caught


def test_the_lower_bound_decides_not_the_share():
    """35 of 35 leave 10 % possible, 36 of 36 do not; one miss in 100 is still enough."""
    for planted, missed, sensitive in (
        (35, 0, False),
        (36, 0, True),
        (100, 1, True),
        (60, 2, False),
    ):
        p = [1e-9] * (planted - missed) + [0.5] * missed
        check = trial_of(p).finish(num_judged=300, num_flagged=0)
        assert (check.sensitive, check.passed) == (sensitive, sensitive)
        assert bool(check.reason) != sensitive


def test_flagged_innocents_fail_the_check_though_the_copies_are_caught():
    check = trial_of([1e-9] * 50, negative=negative(passed=False)).finish(
        num_judged=300, num_flagged=0
    )
    assert check.sensitive
    assert not check.passed
    assert "real pictures of other people" in check.reason


def test_without_an_image_or_when_switched_off_nothing_was_checked():
    assert not trial_of([1e-9]).finish(num_judged=0, num_flagged=0).run
    off = Trial(1.0, None, [], reduced=False, fdr=0.05, skipped=True)
    check = off.finish(num_judged=300, num_flagged=0)
    assert (check.run, check.passed, check.sensitive) == (False, False, False)
    assert "switched off" in check.reason


def test_p_values_that_are_too_small_for_innocents_are_multiplied_for_all(
    with_test, train, test, tmp_path, monkeypatch
):
    """Three of 60 innocents at p = 0.01 or less where one in a hundred is expected: times five."""
    low = np.full(60, 0.5)
    low[[0, 20, 40]] = 0.009
    rows = with_test.scores.test.in_all_families
    folds = [Fold(rows[6 * n : 6 * n + 6], low[6 * n : 6 * n + 6]) for n in range(10)]
    synthetic = np.concatenate([innocents(10), train.take([3, 31])])

    def p_values(out):
        findings = likeness.audit(train, synthetic, test, out=tmp_path / out, options=small())
        table = pq.read_table(tmp_path / out / "images.parquet").to_pydict()
        return findings, np.array(table["p_value"]), table

    plain, before, _ = p_values("plain")
    monkeypatch.setattr(self_check, "control_folds", lambda *_a, **_k: ("test", folds))
    inflated, after, table = p_values("inflated")
    factor = inflated.self_check.negative.inflation
    assert plain.self_check.negative.inflation == 1.0
    assert factor == pytest.approx(0.05 / 0.01)
    assert inflated.self_check.negative.share_below_01 == pytest.approx(0.05)
    assert after == pytest.approx(np.minimum(1, factor * before))
    assert table["q_value"] == pytest.approx(false_discovery_control(after))
    assert table["flagged"] == [q <= 0.05 for q in table["q_value"]]
    assert plain.counts.flagged == 2


def test_the_number_of_planted_copies_is_asked_for_and_fewer_than_usual_is_said(with_test):
    assert with_test.options.planted < 200
    assert with_test.check().reduced
    assert likeness.AuditOptions().planted == self_check.USUAL_PLANTED
