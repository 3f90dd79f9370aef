"""Copies are found when they come, by the audit's own rule, and the curve holds true numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from likeness import ImageSet, audit
from likeness._progress import SilentProgress
from likeness.errors import ImageMismatchError, OptionError
from likeness.monitoring import TrainingAudit, to_8_bit
from likeness.monitoring.history import next_look, read_losses
from likeness.monitoring.progress_figure import draw_progress


class Told(SilentProgress):
    """Keeps the lines."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def mean_highest(images, references):
    """Slowly, pair by pair."""
    return np.mean(
        [
            max(np.corrcoef(image.ravel(), other.ravel())[0, 1] for other in references)
            for image in images
        ]
    )


def test_copies_are_found_at_their_step_and_not_before(progressed):
    _, _, (before, two, four) = progressed
    assert before.copies == ()
    assert before.verdict != "COPIES_FOUND"
    assert not before.should_stop
    assert [(copy.sample, copy.patient_id) for copy in two.copies] == [(5, "a17"), (40, "a80")]
    assert all(copy.identical and copy.confirmed for copy in two.copies)
    assert two.verdict == "COPIES_FOUND"
    assert two.should_stop
    assert [copy.sample for copy in four.copies] == [5, 40, 41, 50]
    assert not four.copies[-1].identical
    assert four.copy_rate == 4 / 60


def test_the_curve_holds_what_numpy_says(progressed, pictures):
    train, test, _ = pictures
    _, given, checks = progressed
    for images, check in zip(given, checks, strict=True):
        assert check.mean_highest == pytest.approx(mean_highest(images, train), abs=1e-12)
        assert check.mean_highest_test == pytest.approx(mean_highest(images, test), abs=1e-12)
        assert check.baseline == pytest.approx(mean_highest(test, train), abs=1e-12)
        assert check.baseline_low < check.baseline < check.baseline_high


def test_a_check_says_what_an_audit_says(progressed, sets, options):
    _, given, checks = progressed
    findings = audit(
        sets[0],
        ImageSet.from_arrays(given[2], channels=sets[0].channels),
        sets[1],
        options=replace(options, evidence=4),
    )
    check = checks[2]
    assert check.verdict == findings.verdict.code
    assert list(check.reasons) == findings.verdict.reasons
    listed = sorted(findings.copies, key=lambda copy: copy.image_id)
    assert [copy.image_id for copy in check.copies] == [copy.match_id for copy in listed]
    assert [copy.p_value for copy in check.copies] == [copy.p_value for copy in listed]
    rate = findings.rates.copy_rate
    assert (check.copy_rate_low, check.copy_rate_high) == (rate.low, rate.high)
    means = {each.comparison: each.mean_correlation_identity for each in findings.distributions}
    assert check.mean_highest == means["synthetic->train"]
    assert check.mean_highest_test == means["synthetic->test"]
    assert check.baseline == means["test->train"]


def test_alpha_is_spent_over_the_looks(progressed):
    _, _, checks = progressed
    assert [check.look for check in checks] == [1, 2, 3]
    assert [check.stop_level for check in checks] == [0.05 / 2, 0.05 / 6, 0.05 / 12]
    assert sum(0.05 / (k * (k + 1)) for k in range(1, 10_000)) <= 0.05


def test_the_same_samples_are_the_same_look_and_others_a_new_one(progressed):
    _, _, checks = progressed
    assert next_look(checks, 2000, checks[1].images_sha256) == 2
    assert next_look(checks, 2000, "others") == 4
    assert next_look([], 1, "any") == 1


def test_another_process_goes_on_and_a_repeated_step_replaces_its_line(
    progressed, sets, options, tmp_path
):
    audit, given, checks = progressed
    lines = (audit.out / "audits.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1000, 2000, 3000]
    folder, told = tmp_path / "again", Told()
    shutil.copytree(audit.out, folder)
    again = TrainingAudit(*sets, out=folder, num_samples=60, options=options, progress=told)
    assert any("60 samples per check" in line for line in told.lines)  # and nothing is warned
    assert again.checks == checks
    assert again.check(given[1], 2000, loss=1 / 2000) == checks[1]
    assert again.checks == checks
    assert again.check(given[0], 3000).copies == ()
    assert [check.step for check in again.checks] == [1000, 2000, 3000]
    assert again.checks[2].look == 4
    assert not list(folder.glob("work/step-*"))
    with pytest.raises(OptionError, match="other images or settings"):
        TrainingAudit(sets[1], sets[0], out=folder, options=options)


def test_constant_samples_are_no_copies(progressed, sets, tmp_path):
    audit, _, _ = progressed
    blank = np.zeros((20, 1, 32, 32), np.uint8)
    looked = audit._real.look_at(  # the folder's checks are for the other tests
        ImageSet.from_arrays(blank, channels=sets[0].channels), work=tmp_path
    )
    assert not looked.flagged.copies.any()
    assert not looked.varies.any()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 1, 32, 32), np.float32), "to_8_bit"),
        (np.zeros((2, 32, 32, 1), np.uint8), "channels come last"),
        (np.zeros((2, 1, 16, 16), np.uint8), "expected"),
        (np.zeros((2, 1, 32, 32), np.uint16), "uint16"),
        (np.zeros((0, 1, 32, 32), np.uint8), "no sample"),
    ],
)
def test_samples_unlike_the_training_images_are_refused(progressed, images, words):
    with pytest.raises(ImageMismatchError, match=words):
        progressed[0].check(images, 4000)


def test_conversion_rounds_and_cuts_off():
    levels = np.arange(256, dtype=np.uint8)
    assert (to_8_bit(levels / 127.5 - 1) == levels).all()
    assert (to_8_bit(levels.astype(np.float32) / 255, low=0) == levels).all()
    assert to_8_bit([-7.0, 9.0]).tolist() == [0, 255]
    with pytest.raises(ImageMismatchError, match="diverged"):
        to_8_bit([np.nan])
    with pytest.raises(OptionError, match="below"):
        to_8_bit([0.0], low=1)


def test_what_is_too_little_is_said_before_the_training(sets, pictures, options, tmp_path):
    train, _, _ = pictures
    few = ImageSet.from_arrays(train[:15], patient_ids=[f"a{i}" for i in range(15)])
    with pytest.warns(UserWarning, match="No copy can be named"):
        audit = TrainingAudit(few, sets[1], out=tmp_path, options=options)
    assert len(audit.doubts) == 1
    check = audit.check(train[:3], 1)
    assert check.verdict == "INCONCLUSIVE"
    assert not check.should_stop
    assert check.mean_highest == pytest.approx(1)


def test_the_figure_shows_losses_of_the_run(progressed, tmp_path):
    pytest.importorskip("matplotlib")
    audit, _, checks = progressed
    assert (audit.out / "progress.png").read_bytes().startswith(b"\x89PNG")
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"step": 2, "loss": 0.5}\n{"step": 1, "loss": 0.75}\n{"step": 3, "lo')
    assert {name: (s.tolist(), v.tolist()) for name, (s, v) in read_losses(metrics).items()} == {
        "loss": ([1, 2], [0.75, 0.5])
    }
    draw_progress(tmp_path / "p.png", checks, metrics=metrics)
    assert (tmp_path / "p.png").stat().st_size > 10_000


@pytest.mark.skipif("sys.platform == 'win32'")
def test_what_names_patients_is_its_owners_alone(progressed):
    audit, _, _ = progressed
    assert audit.out.joinpath("audits.jsonl").stat().st_mode & 0o077 == 0
