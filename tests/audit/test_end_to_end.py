"""What must hold of a whole audit, whatever the sets: verdicts, refusals, odd images."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.conftest import SIZE, TEST, TRAIN, image_set, innocents, slices_of, small

import likeness
from likeness import ImageSet
from likeness.errors import ImageMismatchError, OptionError

pytestmark = pytest.mark.usefixtures("quick")

FEW = {"self_check": False, "evidence": 0}
"""For audits of which the self-check is not looked at."""


def check_of(findings, name):
    return next(check for check in findings.checks if check.name == name)


@pytest.fixture(scope="module")
def clear(quick, train, test):
    """300 innocent images, and enough planted copies for a lower bound above 90 %."""
    return likeness.audit(train, innocents(300), test, options=small(planted=49))


def test_innocent_images_alone_are_cleared_with_what_would_have_been_found(clear):
    assert clear.verdict.code == "NO_COPY_DETECTED"
    assert clear.counts.flagged == 0
    assert clear.self_check.passed
    assert [(row.level, row.caught) for row in clear.self_check.levels] == [
        ("L0", 49),
        ("L1", 49),
        ("L2", 49),
    ]
    for row in clear.self_check.levels:
        assert row.sensitivity_low == pytest.approx(0.025 ** (1 / 49))
        assert row.rate_bound == pytest.approx((1 - 0.025 ** (1 / 300)) / 0.025 ** (1 / 49))
    negative = clear.self_check.negative
    assert (negative.source, negative.num_images, negative.num_folds) == ("test", 60, 10)
    assert clear.membership.available
    assert clear.membership.p_value > 0.05


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"self_check": False}, "self-check was not run"),
        ({"planted": 14}, "That the audit recognises altered copies was not shown"),
    ],
)
def test_without_a_measured_sensitivity_there_is_no_clearance(train, test, changes, words):
    findings = likeness.audit(train, innocents(300), test, options=small(**changes))
    assert findings.verdict.code == "INCONCLUSIVE"
    assert any(words in reason for reason in findings.verdict.reasons)


@pytest.mark.parametrize("changes", [{"self_check": False}, {"planted": 14}])
def test_what_forbids_a_clearance_hides_no_copies(train, test, innocent, planted, changes):
    synthetic = np.concatenate([innocent[:20], planted[0]])
    findings = likeness.audit(train, synthetic, test, options=small(**changes))
    assert findings.verdict.code == "COPIES_FOUND"
    assert len(findings.copies) == 5
    assert findings.verdict.reasons, "how sure the list is, is said"


def test_too_few_images_are_not_cleared(train, test):
    findings = likeness.audit(train, innocents(60), test, options=small(planted=49))
    assert findings.verdict.code == "INCONCLUSIVE"
    assert any("60 synthetic images are too few" in text for text in findings.verdict.reasons)


def test_without_a_test_set_the_verdict_stands_and_says_copies_only(train, innocent, planted):
    copied = likeness.audit(train, np.concatenate([innocent[:30], planted[0]]), options=small())
    assert copied.verdict.code == "COPIES_FOUND"
    assert "copies only" in copied.verdict.sentence.lower()
    assert not copied.membership.available
    assert "no test set" in copied.membership.reason
    assert copied.equal_size is None
    assert copied.self_check.negative.source == "train"
    assert copied.self_check.negative.membership_p is None
    cleared = likeness.audit(train, innocents(300), options=small(planted=49))
    assert cleared.verdict.code == "NO_COPY_DETECTED"
    assert "copies only" in cleared.verdict.sentence.lower()


def test_train_and_test_are_not_interchangeable(train, test, innocent, planted):
    """With the sets swapped the planted copies are copies of test images: not of training ones."""
    synthetic = np.concatenate([innocent[:60], planted[0]])
    swapped = likeness.audit(image_set(range(1000, 1110)), synthetic, train, options=small())
    assert not {c.match_id for c in swapped.copies} & set(train.image_ids)
    assert swapped.verdict.code not in {"COPIES_FOUND", "TRAINING_SIGNAL"}
    assert swapped.membership.delta < 0


def test_with_few_training_people_altered_copies_show_in_the_set_as_a_whole(innocent):
    """80 images of 40 people allow no p-value below 1/81: no copy is named, and no set cleared."""
    train, test = image_set(range(40)), image_set(range(1000, 1040))
    darker = train.take(range(0, 60, 2)) // 2 + 40
    synthetic = np.concatenate([darker, innocent[:10]])
    findings = likeness.audit(train, synthetic, test, options=small())
    assert findings.counts.flagged == 0
    assert findings.verdict.code == "TRAINING_SIGNAL"
    assert findings.membership.p_value <= 0.01
    assert findings.membership.delta > 0.5
    assert not findings.self_check.sensitive
    assert all(row.tail_threshold is None for row in findings.baseline.families)


def test_images_equal_to_a_training_image_are_copies_without_statistics(innocent):
    train, test = image_set(range(40)), image_set(range(1000, 1040))
    synthetic = np.concatenate([train.take([6, 13]), innocent[:60]])
    findings = likeness.audit(train, synthetic, test, options=small())
    assert findings.verdict.code == "COPIES_FOUND"
    assert {copy.match_id for copy in findings.copies} == {train.image_ids[i] for i in (6, 13)}
    assert "2 synthetic images equal a training image" in findings.verdict.reasons[0]


def test_without_flips_no_family_turns(train, test, planted, innocent):
    synthetic = np.concatenate([planted[0], innocent[:40]])
    findings = likeness.audit(train, synthetic, test, options=small(flips=False))
    assert {copy.transform for copy in findings.copies} <= {"identity"}


def test_other_slices_of_training_patients_as_test_set_fail_the_negative_control(
    train, innocent, planted
):
    """Under other names, and not so alike that they are found out before anything is decided."""
    hidden = np.concatenate([slices_of(patient, 4)[3:] for patient in range(60)])
    wrong = ImageSet.from_arrays(hidden, patient_ids=[f"other{i}" for i in range(60)])
    synthetic = np.concatenate([innocent[:40], planted[0][1:]])  # but for the exact copy
    findings = likeness.audit(train, synthetic, wrong, options=small())
    spoilt = [pair for pair in findings.duplicates if "test" in {pair.first_set, pair.second_set}]
    assert not spoilt, "no pair reaches the limit for near-duplicates"
    assert findings.verdict.code == "INCONCLUSIVE"
    assert "Real pictures of other people" in findings.verdict.reasons[0]
    negative = findings.self_check.negative
    assert (negative.source, negative.passed) == ("test", False)
    assert set(negative.flagged_ids) <= set(wrong.image_ids)
    assert findings.copies, "they are listed all the same, for whoever knows better"


def test_a_test_set_full_of_training_images_is_not_used_as_held_out(train, innocent, planted):
    spoilt = image_set([*range(1000, 1055), 0, 1, 2, 3], prefix="t")
    synthetic = np.concatenate([innocent[:40], planted[0]])
    findings = likeness.audit(train, synthetic, spoilt, options=small())
    assert findings.verdict.code == "COPIES_FOUND"
    check = check_of(findings, "Test set")
    assert (check.status, check.detail[:14]) == ("FAIL", "8 of 118 test ")
    assert "4 patients are also in train" in check.detail
    assert not findings.membership.available
    assert "6.8% of the test images" in findings.membership.reason
    assert findings.duplicates_total >= 8
    assert findings.self_check.negative.num_images == 55
    other = likeness.audit(train, innocent[:40], spoilt, options=small(**FEW))
    assert other.verdict.code == "INCONCLUSIVE"
    assert "8 of 118 test images" in other.verdict.reasons[0]


def test_a_few_training_patients_in_the_test_set_leave_and_the_rest_serves(train, innocent):
    spoilt = image_set([*range(1000, 1059), 0], prefix="t")
    findings = likeness.audit(train, innocent[:60], spoilt, options=small())
    assert check_of(findings, "Test set").status == "WARN"
    assert findings.membership.available
    assert findings.membership.num_test_patients == 59
    assert findings.self_check.negative.num_images == 59
    assert not set(findings.self_check.negative.flagged_ids) & {"tp0_z0", "tp0_z1"}


def test_without_any_baseline_there_is_no_verdict(innocent):
    one = ImageSet.from_arrays(slices_of(1, 5), patient_ids=["p"] * 5)
    findings = likeness.audit(one, innocent[:20], options=small())
    assert findings.verdict.code == "INCONCLUSIVE"
    assert findings.baseline.comparison is None
    assert "one patient" in findings.verdict.reasons[0]
    assert not findings.copies
    assert not findings.self_check.run
    assert "no image could be judged" in findings.methods
    assert "baseline   none" in str(findings)


def test_a_handful_of_training_images_is_no_baseline(innocent):
    few = ImageSet.from_arrays(innocents(12, first=400), patient_ids=[f"p{i}" for i in range(12)])
    findings = likeness.audit(few, innocent[:20], options=small())
    assert findings.verdict.code == "INCONCLUSIVE"
    assert "too few training images" in findings.verdict.reasons[0]


@pytest.mark.parametrize("known", [0, 80])
def test_many_unknown_patients_are_counted_and_forbid_a_clearance(known):
    train = ImageSet.from_arrays(
        innocents(110, first=400),
        patient_ids=[*(f"p{i}" for i in range(known)), *[None] * (110 - known)],
    )
    findings = likeness.audit(train, innocents(40), options=small(**FEW))
    check = check_of(findings, "Patients known")
    assert check.status == "WARN"
    assert f"{110 - known} of 110 training images" in check.detail
    assert findings.verdict.code == "INCONCLUSIVE"
    assert f"{110 - known} of 110 training images" in findings.verdict.reasons[0]


def test_slices_of_unknown_patients_hide_a_copy_and_so_forbid_a_clearance(planted):
    """Another slice of the same person is nearly as near: the copy stands out from nobody."""
    nameless = np.concatenate([slices_of(patient, 3) for patient in range(110)])
    synthetic = np.concatenate([innocents(40), nameless[[13]]])
    findings = likeness.audit(ImageSet.from_arrays(nameless), synthetic, options=small(**FEW))
    assert findings.verdict.code != "NO_COPY_DETECTED"
    known = ImageSet.from_arrays(nameless, patient_ids=[f"p{i // 3}" for i in range(330)])
    findings = likeness.audit(known, synthetic, options=small(**FEW))
    assert [copy.patient_id for copy in findings.copies] == ["p4"]


def test_a_constant_synthetic_image_is_listed_and_never_ranked(train, test, innocent):
    flat = np.full((1, 2, SIZE, SIZE), 9, dtype=np.uint8)
    synthetic = np.concatenate([innocent[:20], flat])
    findings = likeness.audit(train, synthetic, test, options=small(**FEW))
    assert findings.counts.undefined == 1
    assert len(findings.undefined_ids) == 1
    assert not {c.image_id for c in findings.copies} & set(findings.undefined_ids)
    assert findings.rates.num_audited == 20
    detail = check_of(findings, "Complete search").detail
    assert f"{20 * 220} pairs compared = 21 synthetic x 220 training images less 220" in detail


def test_a_set_of_constant_images_only_is_inconclusive(train, test):
    flat = np.full((5, 2, SIZE, SIZE), 9, dtype=np.uint8)
    findings = likeness.audit(train, flat, test, options=small())
    assert findings.verdict.code == "INCONCLUSIVE"
    assert (findings.counts.undefined, findings.rates.num_audited) == (5, 0)
    assert not findings.self_check.run


def test_constant_real_images_are_no_obstacle(innocent, planted, train, test):
    """An empty slice of everybody: equal, but nobody's duplicate, and never planted."""
    flat = np.zeros((110, 2, SIZE, SIZE), dtype=np.uint8)
    images = np.concatenate([train.take(range(220)), flat])
    names = [*train.patient_ids, *(f"p{i}" for i in range(110))]
    with_empty = ImageSet.from_arrays(images, patient_ids=names)
    held_out = ImageSet.from_arrays(
        np.concatenate([test.take(range(120)), flat[:60]]),
        patient_ids=[*test.patient_ids, *(f"p{1000 + i}" for i in range(60))],
    )
    synthetic = np.concatenate([innocent[:40], planted[0], flat[:1]])
    findings = likeness.audit(with_empty, synthetic, held_out, options=small(local_sample=330))
    assert findings.merged_patients == []
    assert {pair.second_id for pair in findings.duplicates} == {"image-00003"}
    assert findings.membership.num_test_patients == 60
    assert len(findings.copies) == 5
    assert [row.caught for row in findings.self_check.levels] == [28, 28, 28]


def test_an_image_that_is_constant_only_at_block_means_is_counted_too():
    """128 x 128 pixels: a chequerboard of single pixels vanishes in blocks of 2 x 2."""
    board = (np.indices((128, 128)).sum(axis=0) % 2 * 200).astype(np.uint8)
    big = np.kron(innocents(130), np.ones((4, 4), dtype=np.uint8))
    synthetic = np.concatenate([big[110:], np.broadcast_to(board, (1, 2, 128, 128))])
    train = ImageSet.from_arrays(big[:110], patient_ids=[f"p{i}" for i in range(110)])
    findings = likeness.audit(train, synthetic, options=small(**FEW))
    assert findings.counts.undefined == len(findings.undefined_ids) == 1
    assert findings.rates.num_audited == 20


def test_a_copy_in_a_channel_that_only_one_person_has_is_found(innocent):
    """That channel is constant in all training images but those of p0: there is no second r_ch."""
    images = innocents(110, first=400)
    images[1:, 1] = 7
    train = ImageSet.from_arrays(images, patient_ids=[f"p{i}" for i in range(110)])
    half = images[:1].copy()
    half[:, 0] = 3
    findings = likeness.audit(train, np.concatenate([innocent[:20], half]), options=small(**FEW))
    assert [(copy.patient_id, copy.family) for copy in findings.copies] == [("p0", "tiles")]


def test_pictures_that_are_not_square_are_not_said_to_be_turned_by_quarters(planted, train):
    def narrow(images):
        return np.ascontiguousarray(images[..., :24])

    sets = ImageSet.from_arrays(narrow(train.take(range(220))), patient_ids=train.patient_ids)
    synthetic = narrow(np.concatenate([innocents(20), planted[0][:4]]))
    findings = likeness.audit(sets, synthetic, options=small())
    assert "4 orientations" in findings.methods
    assert "eight" not in findings.methods
    assert {copy.patient_id for copy in findings.copies} >= {
        train.patient_ids[row] for row in planted[1][:3]
    }
    kinds = {kind.kind for level in findings.self_check.levels for kind in level.kinds}
    assert "rot180" in kinds
    assert "rot90" not in kinds


def test_one_channel_that_is_constant_everywhere_changes_nothing(train, innocent, planted):
    def with_constant(images):
        images = images.copy()
        images[:, 1] = 17
        return images

    def first_only(images):
        return np.ascontiguousarray(images[:, :1])

    found = []
    for change in (with_constant, first_only):
        sets = ImageSet.from_arrays(
            change(train.take(range(220))), image_ids=train.image_ids, patient_ids=train.patient_ids
        )
        synthetic = change(np.concatenate([innocent[:20], planted[0]]))
        findings = likeness.audit(sets, synthetic, options=small(self_check=False))
        found.append([(c.image_id, c.match_id, c.transform, c.p_value) for c in findings.copies])
    assert len(found[0]) == 5
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def in_bytes(quick, train, innocent, planted):
    synthetic = np.concatenate([innocent[:20], planted[0]])
    return likeness.audit(train, synthetic, options=small(self_check=False))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_number_types_give_the_same_copies(in_bytes, train, innocent, planted, dtype):
    """Times 100 and in another type, every correlation is the same but for rounding."""
    synthetic = np.concatenate([innocent[:20], planted[0]])

    def scaled(images):
        return (np.asarray(images).astype(np.float64) * 100).astype(dtype)

    other = ImageSet.from_arrays(
        scaled(train.take(range(220))), image_ids=train.image_ids, patient_ids=train.patient_ids
    )
    second = likeness.audit(other, scaled(synthetic), options=small(self_check=False))
    assert len(in_bytes.copies) == 5
    for a, b in zip(
        *(sorted(f.copies, key=lambda c: c.image_id) for f in (in_bytes, second)), strict=True
    ):
        assert (a.image_id, a.match_id, a.transform) == (b.image_id, b.match_id, b.transform)
        assert a.correlation == pytest.approx(b.correlation, abs=1e-6)
        assert a.similarity == pytest.approx(b.similarity, abs=1e-6)
        assert a.p_value == pytest.approx(b.p_value, rel=0.02)


def test_two_names_for_one_person_count_as_one_everywhere(innocent, train):
    """p0 and "again" share a picture; copies of either are of one person."""
    images = np.concatenate([train.take(range(220)), train.take([0]), slices_of(0, 4)[3:]])
    names = [*train.patient_ids, "again", "again"]
    sets = ImageSet.from_arrays(images, patient_ids=names)
    synthetic = np.concatenate([innocent[:30], images[[0, 221, 5]]])
    findings = likeness.audit(sets, synthetic, options=small(self_check=False))
    assert findings.merged_patients == [["again", "p0"]] or findings.merged_patients == [
        ["p0", "again"]
    ]
    assert len(findings.copies) == 3, "a copy of the shared picture stands out"
    assert findings.baseline.num_groups == 110
    assert findings.counts.train_patients == 111
    assert findings.counts.patients == findings.affected.seen == len(findings.patients) == 2
    assert findings.patients[0].num_copies == 2
    assert check_of(findings, "One person, one id").status == "WARN"
    assert findings.baseline.maximum < 0.99, "one person is no yardstick for himself"


def test_equal_ids_in_two_sets_hide_no_near_duplicate(train, test):
    """The synthetic and the test image share an id and a match; only one pair is an equal one."""
    copy = test.take([0, 1])
    copy[0, 0, 0, 0] ^= 1
    mixed = ImageSet.from_arrays(
        np.concatenate([train.take(range(220)), copy[:1]]),
        image_ids=[*train.image_ids, "twin"],
        patient_ids=[*train.patient_ids, "other"],
    )
    synthetic = ImageSet.from_arrays(copy, image_ids=[test.image_ids[0], "s1"])
    findings = likeness.audit(mixed, synthetic, test, options=small(**FEW))
    found = {(p.kind, p.first_set, p.second_set) for p in findings.duplicates}
    assert ("exact", "synthetic", "train") in found
    assert ("near", "test", "train") in found


def test_differing_shapes_are_refused_with_a_table(train):
    with pytest.raises(ImageMismatchError, match=r"train +2x32x32.*\n +synthetic +1x32x32"):
        likeness.audit(train, np.zeros((3, 1, SIZE, SIZE), dtype=np.uint8))


def test_a_channel_that_is_not_there_is_named(train, innocent):
    with pytest.raises(OptionError, match="'flair'"):
        likeness.audit(train, innocent, options=small(channels=("flair",)))


@pytest.mark.parametrize("seed", range(2))
def test_innocent_images_are_not_said_to_be_copies(seed):
    """New people in all three sets, every time."""
    first = 10_000 * (seed + 1)
    train = image_set(range(first, first + len(TRAIN)))
    test = image_set(range(first + 1000, first + 1000 + len(TEST)))
    options = small(seed=seed, planted=7, evidence=0)
    findings = likeness.audit(train, innocents(60, first + 2000), test, options=options)
    assert findings.verdict.code != "COPIES_FOUND"
    assert findings.self_check.negative.passed
