"""The sentence says what was found, with its numbers, and nothing more."""

import re
from dataclasses import replace

import pytest
from tests.report.factory import make_audit
from tests.report.test_pages import FORBIDDEN

from likeness.report.verdicts import SAYS_NOTHING, verdict_sentence


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return make_audit(tmp_path_factory.mktemp("verdict") / "audit", num_synthetic=400).findings


def write(findings, code, **changes):
    parts = {
        "counts": findings.counts,
        "baseline": findings.baseline,
        "affected": findings.affected,
        "self_check": findings.self_check,
        "membership": findings.membership,
        "reasons": ["Something is missing."],
        "copies_only": False,
        "copies": findings.copies,
    }
    return verdict_sentence(code, **(parts | changes))


def test_copies_found_names_images_patients_rarity_mistakes_and_consequence(findings):
    sentence = write(findings, "COPIES_FOUND")
    assert sentence == (
        "We compared 400 synthetic images with 400 training images of 100 patients. 9 synthetic "
        "images reproduce a picture of a particular training patient; 3 patients are affected. The "
        "correspondence is so close to one patient, and so much closer than to any other, that "
        "among real pictures of different people it occurred in none of 200 comparisons. We expect "
        "at most 5 % of the listed images to be listed by mistake, on average. These images should "
        "be treated as pictures of the patients concerned."
    )


def test_the_weakest_copy_says_how_rare_they_are(findings):
    copies = [
        replace(findings.copies[0], baseline_above=0, baseline_size=5000),
        replace(findings.copies[1], baseline_above=3, baseline_size=4000),
        replace(findings.copies[2], baseline_above=3, baseline_size=9000),
    ]
    sentence = write(findings, "COPIES_FOUND", copies=copies)
    assert "it occurred in 3 of 4,000 comparisons." in sentence
    assert " comparisons" not in write(findings, "COPIES_FOUND", copies=[])


def test_one_copy_is_said_in_the_singular(findings):
    sentence = write(
        findings,
        "COPIES_FOUND",
        counts=replace(findings.counts, flagged=1),
        affected=replace(findings.affected, seen=1),
    )
    assert "1 synthetic image reproduces a picture" in sentence
    assert "1 patient is affected." in sentence
    assert "This image should be treated as a picture of the patient concerned." in sentence


def test_unknown_patients_are_not_called_patients(findings):
    sentence = write(findings, "COPIES_FOUND", patients_known=False)
    assert "of 100 patients" not in sentence
    assert "3 training images are affected (whose pictures these are is not known)." in sentence


def test_training_signal_gives_both_shares_and_the_chance(findings):
    found = replace(findings.membership, matched_share=0.942, expected_share=0.8333, p_value=0.0004)
    sentence = write(findings, "TRAINING_SIGNAL", membership=found)
    assert "No single one of the 400 synthetic images could be shown to copy a patient." in sentence
    assert "(94.2 % against 83.3 % expected)" in sentence
    assert "about 1 in 2,500 (p = 0.0004)" in sentence


def test_no_copy_gives_the_lowest_sensitivity_and_the_highest_bound_of_mandatory_levels(findings):
    levels = [
        replace(level, sensitivity_low=low, rate_bound=bound, mandatory=mandatory)
        for level, low, bound, mandatory in zip(
            findings.self_check.levels,
            (0.98179, 0.9512, 0.92, 0.5, 0.4),
            (0.00375, 0.00388, 0.0041, 0.3, 0.4),
            (True, True, True, False, False),
            strict=True,
        )
    ]
    check = replace(findings.self_check, levels=levels)
    sentence = write(findings, "NO_COPY_DETECTED", self_check=check)
    assert sentence.startswith("None of the 400 images was recognised as a copy.")
    assert "in at least 92 % of cases" in sentence
    assert "in more than 0.41 % of images" in sentence
    assert all((level.words in sentence) == level.mandatory for level in levels)
    assert sentence.endswith(SAYS_NOTHING)
    assert "copies only" not in sentence


@pytest.mark.parametrize(
    ("low", "bound", "words"),
    [(0.98179, 0.003741, ("98.1 %", "0.38 %")), (0.9999, 0.1001, ("99.9 %", "10.1 %"))],
)
def test_bounds_are_rounded_to_the_side_that_claims_less(findings, low, bound, words):
    levels = [replace(findings.self_check.levels[0], sensitivity_low=low, rate_bound=bound)]
    check = replace(findings.self_check, levels=levels)
    sentence = write(findings, "NO_COPY_DETECTED", self_check=check)
    assert f"in at least {words[0]} of cases" in sentence
    assert f"in more than {words[1]} of images" in sentence


@pytest.mark.parametrize("bound", [None, 1.0])
def test_a_bound_that_does_not_exist_is_not_given(findings, bound):
    levels = [replace(level, rate_bound=bound) for level in findings.self_check.levels]
    check = replace(findings.self_check, levels=levels)
    sentence = write(findings, "NO_COPY_DETECTED", self_check=check)
    assert "No upper limit for the rate of copies can be given." in sentence
    assert "95 % certainty" not in sentence


def test_without_a_test_set_the_words_copies_only_stand(findings):
    for code in ("COPIES_FOUND", "NO_COPY_DETECTED"):
        assert "copies only" in write(findings, code, copies_only=True)


def test_without_a_self_check_no_sensitivity_is_claimed(findings):
    check = replace(findings.self_check, run=False, levels=[])
    sentence = write(findings, "NO_COPY_DETECTED", self_check=check)
    assert "was not measured" in sentence
    assert "at least" not in sentence


def test_images_that_were_not_judged_are_not_counted_as_clear(findings):
    sentence = write(findings, "NO_COPY_DETECTED", counts=replace(findings.counts, undefined=7))
    assert "None of the 393 images" in sentence
    assert "7 further images show nothing that could be compared and were not judged." in sentence


def test_inconclusive_gives_the_reason_and_what_is_needed(findings):
    none = replace(findings.counts, flagged=0)
    stated = ["There are 40 images.", "Needed: 300 images."]
    sentence = write(findings, "INCONCLUSIVE", counts=none, reasons=stated)
    assert sentence == (
        "The available data do not allow a statement. The reason: There are 40 images. No image "
        "was listed as a copy, but that is no result here. Needed: 300 images."
    )
    assert "cannot be relied on" in write(findings, "INCONCLUSIVE")


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"baseline": {"comparison": None}}, "Needed: training images of several patients"),
        ({"self_check": {"run": False}}, "Needed: an audit with its self-check"),
        ({"self_check": {"sensitive": False}}, "Needed: more training patients"),
        ({"counts": {"synthetic": 120}}, "Needed: at least 300 synthetic images."),
        ({"membership": {"p_value": 0.03}}, "Needed: more held-out patients"),
        ({}, "Needed: what the failed checks of this audit name."),
    ],
)
def test_what_is_needed_follows_from_the_parts(findings, change, needed):
    parts = {name: replace(getattr(findings, name), **values) for name, values in change.items()}
    assert needed in write(findings, "INCONCLUSIVE", **parts)


def test_all_that_is_needed_is_said_at_once(findings):
    sentence = write(
        findings,
        "INCONCLUSIVE",
        counts=replace(findings.counts, synthetic=120),
        self_check=replace(findings.self_check, sensitive=False),
    )
    assert "copies are recognised; at least 300 synthetic images." in sentence


@pytest.mark.parametrize(
    "code", ["COPIES_FOUND", "TRAINING_SIGNAL", "NO_COPY_DETECTED", "INCONCLUSIVE"]
)
def test_no_sentence_claims_what_no_audit_can(findings, code):
    for copies_only in (True, False):
        sentence = write(findings, code, copies_only=copies_only)
        assert not FORBIDDEN.search(sentence)
        assert "\N{NO-BREAK SPACE}" not in sentence
        assert not re.search(r"\s\s|\.\.|None\b(?! of)", sentence)
