from dataclasses import replace

import pytest
from tests.report.factory import make_audit

from likeness._findings import AffectedPatients, Interval
from likeness.report import sentences, text
from likeness.report.audit_files import read_audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences") / "audit"
    make_audit(folder)
    return read_audit(folder)


def plain(lines):
    joined = lines if isinstance(lines, str) else " ".join(lines)
    return joined.replace("\N{NO-BREAK SPACE}", " ")


def test_without_real_pairs_no_yardstick_is_claimed(audit):
    baseline = replace(audit.findings.baseline, median=None)
    sentence = sentences.yardstick(baseline, audit.pairs[0])
    assert sentence.startswith("There is no yardstick")
    assert "hundred" not in sentence


def test_how_rare_a_pair_is(audit):
    pair = replace(audit.pairs[0], baseline_above=2, baseline_size=4000, p_value=0.02)
    measured = plain(sentences.how_rare(replace(pair, extrapolated=False)))
    assert "in 2 of 4,000 comparisons" in measured
    assert "about 1 in 50 (p = 0.02)" in measured
    assert "Extrapolated" not in measured
    extrapolated = plain(sentences.how_rare(replace(pair, extrapolated=True, p_conservative=0.05)))
    assert "Without extrapolation the chance is at most about 1 in 20 (p = 0.05)" in extrapolated
    assert "no baseline" in sentences.how_rare(replace(pair, baseline_size=0))


@pytest.mark.parametrize(
    ("affected", "words"),
    [
        (AffectedPatients(0, 0, 0, 0.0, 0.0), "No patient has a listed image."),
        (AffectedPatients(1, 1, 0, 1.0, 0.001), "1 patient has a listed image; 1 of them has"),
        (AffectedPatients(12, 6, 2, 17.2, 0.006), "at least 5 more patients that a larger set"),
        (AffectedPatients(3, 0, 3, 3.0, 0.0), "Nothing suggests further patients"),
    ],
)
def test_how_many_patients_a_larger_set_would_show(affected, words):
    assert words in sentences.more_patients(affected)


@pytest.mark.parametrize(
    ("rank", "words"),
    [(0.0, "almost nobody"), (0.2, "few others"), (0.5, "as most"), (0.9, "many"), (None, "not")],
)
def test_density_in_words(rank, words):
    assert words in sentences.density(rank)


def test_the_released_set_and_future_images_are_apart(audit):
    rates = audit.findings.rates
    here = plain(sentences.released_set(rates, 9))
    assert "All 120 images of this set were audited. 9 copies found." in here
    assert "generator" not in here
    later = plain(sentences.future_images(rates, 9, audit.findings.self_check))
    assert "further images of the same generator" in later
    assert later.count("also those that the audit overlooks") == 3
    part = plain(sentences.released_set(replace(rates, num_in_set=121, unseen_in_set=1), 0))
    assert "No copy was found" in part
    assert "1 recognisable copy is among the 1 others" in part


def test_rates_without_a_limit_say_so(audit):
    check = audit.findings.self_check
    levels = [replace(level, rate_bound=None) for level in check.levels]
    later = sentences.future_images(audit.findings.rates, 0, replace(check, levels=levels))
    assert plain(later).count("no upper limit can be given") == 3
    absent = sentences.future_images(audit.findings.rates, 0, replace(check, run=False, levels=[]))
    assert "no upper limit for altered copies" in plain(absent)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.0, 0.0, 0.003741), "none and 0.38 %"),
        (Interval(0.02, 0.011, 0.031), "1.1 % and 3.1 %"),
    ],
)
def test_intervals_never_promise_nothing(interval, words):
    assert plain(sentences.ends(interval)) == words


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.0001, "more than chance explains"), (0.03, "may point"), (0.4, "does not show that")],
)
def test_the_set_level_result_in_one_sentence(audit, p, words):
    found = replace(audit.findings.membership, p_value=p)
    assert words in sentences.membership_reading(found)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "0.50"),
        (0.0025, "about 1 in 400 (p = 0.0025)"),
        (1 / 9876, "about 1 in 9,900 (p = 0.0001)"),
        (3e-7, "about 1 in 3.3 million (p = 3.0 \N{MULTIPLICATION SIGN} 10⁻⁷)"),
        (1e-13, "far below 1 in a million million (p = 1.0 \N{MULTIPLICATION SIGN} 10⁻¹³)"),
        (0.0, "less than 1 in a million"),
    ],
)
def test_probabilities_as_odds(value, words):
    assert plain(text.probability(value)) == words
