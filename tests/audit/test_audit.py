"""The whole audit on small made-up sets: what it finds, what it writes, how it fails."""

from __future__ import annotations

import csv
import json
import stat

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.audit.conftest import image_set, slices_of

import likeness
from likeness import AuditOptions, ImageSet
from likeness.errors import ImageMismatchError, LockedError, OptionError

FILES = {
    "COMPLETE",
    "CITATION.md",
    "baseline.parquet",
    "errors.csv",
    "findings.json",
    "images.parquet",
    "matches.parquet",
    "patients.parquet",
    "report-INTERNAL.html",
    "settings.toml",
    "summary.html",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, train, test, innocent, planted):
    out = tmp_path_factory.mktemp("finished") / "audit"
    synthetic = np.concatenate([innocent[:200], planted[0], innocent[200:]])
    findings = likeness.audit(train, synthetic, test, out=out)
    return findings, out


def test_every_planted_copy_is_found_with_its_image_and_its_orientation(finished, train, planted):
    findings, _ = finished
    _, rows, transforms = planted
    found = {copy.image_id: copy for copy in findings.copies}
    ids = sorted(found)  # rows of an array are named in order
    planted_ids = [f for f in ids if found[f].match_id in {train.image_ids[r] for r in rows}]
    assert len(planted_ids) == 5
    by_match = {copy.match_id: copy for copy in findings.copies}
    for row, transform in zip(rows, transforms, strict=True):
        copy = by_match[train.image_ids[row]]
        assert copy.transform == transform
        assert copy.patient_id == train.patient_ids[row]
    assert findings.verdict.code == "COPIES_FOUND"


def test_correlations_of_copies_are_those_of_the_two_images(finished, train, planted):
    """Compared with numpy.corrcoef of the very pixels."""
    findings, _ = finished
    copies, rows, _ = planted
    exact = next(c for c in findings.copies if c.match_id == train.image_ids[rows[0]])
    assert exact.correlation == 1.0
    noisy = next(c for c in findings.copies if c.match_id == train.image_ids[rows[1]])
    first, second = copies[1].astype(float), train.take([rows[1]])[0].astype(float)
    assert noisy.correlation == pytest.approx(
        np.corrcoef(first.ravel(), second.ravel())[0, 1], abs=1e-12
    )
    channels = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    assert noisy.correlation_per_channel == pytest.approx(channels, abs=1e-12)
    assert noisy.correlation_mean == pytest.approx(np.mean(channels), abs=1e-12)


def test_counts_add_up_and_expected_stands_beside_found(finished):
    findings, _ = finished
    counts = findings.counts
    assert (counts.synthetic, counts.train, counts.test) == (305, 150, 125)
    assert counts.expected == pytest.approx(0.01 * 305)
    assert counts.flagged == len(findings.copies)
    assert counts.patients == len(findings.patients) == len({c.patient_id for c in findings.copies})
    assert sum(leak.num_copies for leak in findings.patients) == counts.flagged
    assert counts.pairs == 305 * 150
    assert findings.baseline.comparison == "test->train"
    assert findings.baseline.num_images == 125


def test_all_outputs_are_there_private_and_follow_their_schema(finished):
    findings, out = finished
    assert {path.name for path in out.iterdir() if path.is_file()} - {".lock"} == FILES
    for name in FILES - {"summary.html", "COMPLETE", "CITATION.md"}:
        assert stat.S_IMODE((out / name).stat().st_mode) & 0o077 == 0, name
    content = json.loads((out / "findings.json").read_text())
    jsonschema.validate(content, likeness.findings_schema())
    assert likeness.Findings.read(out) == findings
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "counts": {}}, likeness.findings_schema())


def test_the_tables_agree_with_the_findings(finished):
    findings, out = finished
    images = pq.read_table(out / "images.parquet").to_pylist()
    assert len(images) == findings.counts.synthetic
    flagged = {row["image_id"] for row in images if row["flagged"]}
    assert flagged == {copy.image_id for copy in findings.copies}
    assert all((row["score"] > findings.baseline.threshold) == row["flagged"] for row in images)
    matches = pq.read_table(out / "matches.parquet").to_pylist()
    best = {row["query_id"]: row for row in matches if row["rank"] == 1}
    assert {key: row["correlation"] for key, row in best.items()} == {
        row["image_id"]: row["correlation"] for row in images
    }
    baseline = pq.read_table(out / "baseline.parquet").to_pylist()
    assert {row["comparison"] for row in baseline} == {
        "test->train",
        "train->train",
        "synthetic->test",
    }
    with (out / "errors.csv").open() as stream:
        assert list(csv.DictReader(stream)) == []


def test_the_evidence_lies_on_the_training_image(finished):
    findings, out = finished
    pairs = json.loads((out / "evidence" / "pairs.json").read_text())
    arrays = np.load(out / "evidence" / "pairs.npz", allow_pickle=False)
    assert [pair["image_id"] for pair in pairs[: len(findings.copies)]] == [
        copy.image_id for copy in findings.copies
    ]
    for row, pair in enumerate(pairs):
        r = np.corrcoef(
            arrays["synthetic"][row].astype(float).ravel(),
            arrays["train"][row].astype(float).ravel(),
        )[0, 1]
        assert r == pytest.approx(pair["correlation"], abs=1e-12)


def test_the_same_audit_again_gives_the_same_findings(finished, train, test, innocent, planted):
    findings, out = finished
    before = (out / "matches.parquet").read_bytes()
    synthetic = np.concatenate([innocent[:200], planted[0], innocent[200:]])
    again = likeness.audit(train, synthetic, test, out=out)
    assert again.copies == findings.copies
    assert again.provenance.run_id == findings.provenance.run_id
    assert (out / "matches.parquet").read_bytes() == before


@pytest.mark.parametrize(
    "options", [{"memory_bytes": 300 << 20}, {"threads": 1}, {"engine": "numpy"}]
)
def test_memory_threads_and_engine_change_no_number(
    finished, train, test, innocent, planted, options
):
    findings, _ = finished
    synthetic = np.concatenate([innocent[:200], planted[0], innocent[200:]])
    other = likeness.audit(train, synthetic, test, options=AuditOptions(**options))
    assert other.copies == findings.copies
    assert other.baseline == findings.baseline
    assert other.distributions == findings.distributions


def test_train_and_test_are_not_interchangeable(finished, train, test, innocent, planted):
    """With the sets swapped the planted copies are copies of test images: not of training ones."""
    synthetic = np.concatenate([innocent[:200], planted[0], innocent[200:]])
    swapped = likeness.audit(test, synthetic, train)
    assert not {c.match_id for c in swapped.copies} & set(train.image_ids)
    assert swapped.verdict.code != "COPIES_FOUND"


def test_innocent_images_alone_are_no_finding(train, test, innocent):
    findings = likeness.audit(train, innocent, test)
    assert findings.verdict.code in {"NO_COPY_DETECTED", "INCONCLUSIVE"}
    assert findings.baseline.num_patients == 25


def test_without_a_test_set_the_verdict_says_copies_only(train, innocent, planted):
    findings = likeness.audit(train, np.concatenate([innocent, planted[0]]))
    assert findings.baseline.comparison == "train->train"
    assert findings.verdict.code == "COPIES_FOUND"
    assert "copies only" in findings.verdict.sentence


def test_a_test_set_full_of_training_images_is_not_used(train, innocent, planted):
    spoilt = image_set([*range(100, 120), 0, 1, 2], prefix="t")
    findings = likeness.audit(train, np.concatenate([innocent, planted[0]]), spoilt)
    assert findings.baseline.comparison == "train->train"
    assert "15 of 115" in findings.baseline.reason
    assert any(c.name == "Test set" and c.status == "FAIL" for c in findings.checks)
    assert findings.duplicates_total >= 15
    assert findings.verdict.code == "COPIES_FOUND"


def test_without_any_baseline_there_is_no_verdict(innocent):
    one = ImageSet.from_arrays(slices_of(1, 5), patient_ids=["p"] * 5)
    findings = likeness.audit(one, innocent)
    assert findings.verdict.code == "INCONCLUSIVE"
    assert findings.baseline.threshold is None
    assert not findings.copies


def test_without_patient_ids_a_clearance_is_refused(innocent):
    train = ImageSet.from_arrays(np.concatenate([slices_of(p, 1) for p in range(400, 550)]))
    findings = likeness.audit(train, innocent)
    assert findings.verdict.code != "NO_COPY_DETECTED"


def test_a_constant_synthetic_image_is_listed_and_never_ranked(train, test, innocent):
    flat = np.full((1, 2, 64, 64), 9, dtype=np.uint8)
    findings = likeness.audit(train, np.concatenate([innocent, flat]), test)
    assert findings.counts.undefined == 1
    assert len(findings.undefined_ids) == 1
    assert not {c.image_id for c in findings.copies} & set(findings.undefined_ids)


def test_an_image_that_is_constant_only_at_block_means_is_counted_too(innocent):
    """128 x 128 pixels: a chequerboard of single pixels vanishes in blocks of 2 x 2."""
    board = (np.indices((128, 128)).sum(axis=0) % 2 * 200).astype(np.uint8)
    big = np.kron(innocent[::2][:130], np.ones((2, 2), dtype=np.uint8))
    synthetic = np.concatenate([big[100:], np.broadcast_to(board, (1, 2, 128, 128))])
    train = ImageSet.from_arrays(big[:100], patient_ids=[f"p{i}" for i in range(100)])
    findings = likeness.audit(train, synthetic)
    assert findings.counts.undefined == len(findings.undefined_ids) == 1
    assert findings.counts.expected == pytest.approx(0.30)
    row = next(d for d in findings.distributions if d.comparison == "synthetic->train")
    assert row.num_images == findings.counts.synthetic - findings.counts.undefined


def test_near_duplicates_alone_do_not_make_copies_of_all_flagged_images(train, test, planted):
    """25 patients allow many flags by chance; one exact copy is certain."""
    similar = np.concatenate([slices_of(p, 2) for p in range(200, 203)])
    synthetic = np.concatenate([planted[0][:1], similar])
    findings = likeness.audit(train, synthetic, test)
    assert findings.verdict.code == "COPIES_FOUND"
    assert "1 of them almost equal a picture" in findings.verdict.sentence
    more = likeness.audit(train, np.concatenate([planted[0]] * 3), test)
    assert "15 of them come closer" in more.verdict.sentence
    assert "at least 99 % of the real pictures of other people" in more.verdict.sentence


def test_pairs_with_a_constant_image_are_subtracted_in_words(train, test, innocent):
    flat = np.full((1, 2, 64, 64), 9, dtype=np.uint8)
    findings = likeness.audit(train, np.concatenate([innocent[:20], flat]), test)
    check = next(c for c in findings.checks if c.name == "Complete search")
    assert (
        f"{20 * 150} pairs compared = 21 synthetic x 150 training images less 150" in check.detail
    )


def test_pictures_that_are_not_square_are_not_said_to_be_turned_by_quarters(innocent):
    train = ImageSet.from_arrays(
        innocent[:150, :, :, :40], patient_ids=[f"p{i}" for i in range(150)]
    )
    findings = likeness.audit(train, innocent[150:, :, :, :40])
    assert "4 orientations" in findings.methods
    assert "eight" not in findings.methods


def test_equal_ids_in_two_sets_hide_no_near_duplicate(train, test):
    """The synthetic and the test image share an id and a match; only one pair is an equal one."""
    copy = test.take([0, 1])
    copy[0, 0, 0, 0] ^= 1
    mixed = ImageSet.from_arrays(
        np.concatenate([train.take(range(150)), copy[:1]]),
        image_ids=[*train.image_ids, "twin"],
        patient_ids=[*train.patient_ids, "other"],
    )
    synthetic = ImageSet.from_arrays(copy, image_ids=[test.image_ids[0], "s1"])
    findings = likeness.audit(mixed, synthetic, test)
    found = {(p.kind, p.first_set, p.second_set) for p in findings.duplicates}
    assert ("exact", "synthetic", "train") in found
    assert ("near", "test", "train") in found


def test_a_threshold_of_the_users_is_not_said_to_come_from_the_baseline(train, test, innocent):
    findings = likeness.audit(
        train, innocent[:20], test, options=AuditOptions(threshold=0.5, evidence=0)
    )
    (line,) = [line for line in findings.describe() if line.startswith("threshold")]
    assert "set by hand" in line


def test_without_a_threshold_no_number_is_expected_by_chance(innocent):
    one = ImageSet.from_arrays(slices_of(1, 5), patient_ids=["p"] * 5)
    findings = likeness.audit(one, innocent[:20])
    assert "no image could be flagged" in findings.methods
    assert "expected by" not in findings.methods


def test_some_unknown_patients_are_counted_and_many_forbid_a_clearance(innocent):
    train = ImageSet.from_arrays(
        np.concatenate([slices_of(p, 1) for p in range(400, 550)]),
        patient_ids=[*(f"p{i}" for i in range(100)), *[None] * 50],
    )
    findings = likeness.audit(train, innocent)
    check = next(c for c in findings.checks if c.name == "Patients known")
    assert check.status == "WARN"
    assert "50 of 150 training images" in check.detail
    assert findings.verdict.code != "NO_COPY_DETECTED"


def test_differing_shapes_are_refused_with_a_table(train):
    with pytest.raises(ImageMismatchError, match=r"train +2x64x64.*\n +synthetic +1x64x64"):
        likeness.audit(train, np.zeros((3, 1, 64, 64), dtype=np.uint8))


def test_a_channel_that_is_not_there_is_named(train, innocent):
    with pytest.raises(OptionError, match="'flair'"):
        likeness.audit(train, innocent, options=AuditOptions(channels=("flair",)))


def test_two_runs_in_one_folder(train, innocent, tmp_path):
    from likeness._files import folder_lock

    likeness.audit(train, innocent[:120], out=tmp_path / "audit")
    with folder_lock(tmp_path / "audit"), pytest.raises(LockedError):
        likeness.audit(train, innocent[:120], out=tmp_path / "audit")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_number_types_give_the_same_copies(train, innocent, planted, dtype):
    """Times 100 and in another type, every correlation is the same but for rounding."""
    synthetic = np.concatenate([innocent[:20], planted[0]])
    findings = likeness.audit(train, synthetic)
    assert len(findings.copies) >= 5

    def scaled(images):
        return (np.asarray(images).astype(np.float64) * 100).astype(dtype)

    def scaled_set(images):
        return ImageSet.from_arrays(
            scaled(images.read(0, len(images))),
            image_ids=images.image_ids,
            patient_ids=images.patient_ids,
        )

    other = likeness.audit(scaled_set(train), scaled(synthetic))
    assert [(c.image_id, c.match_id, c.transform) for c in other.copies] == [
        (c.image_id, c.match_id, c.transform) for c in findings.copies
    ]
    for a, b in zip(other.copies, findings.copies, strict=True):
        assert a.correlation == pytest.approx(b.correlation, abs=1e-12)
        assert a.score == pytest.approx(b.score, abs=1e-12)


def test_without_patient_ids_many_flags_are_no_finding(test):
    """Every image alone would look like 150 people; the innocent images share patients."""
    train = ImageSet.from_arrays(np.concatenate([slices_of(p, 5) for p in range(30)]))
    nameless = ImageSet.from_arrays(test.read(0, len(test)))
    innocent = np.concatenate([slices_of(patient, 2) for patient in range(200, 350)])
    findings = likeness.audit(train, innocent, nameless)
    assert findings.counts.flagged > 3 * findings.counts.expected
    assert findings.verdict.code == "INCONCLUSIVE"
