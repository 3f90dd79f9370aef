"""The four verdicts, from their grounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from likeness._audit.verdict import Grounds, reach_verdict
from likeness._findings import Interval, Membership, NegativeControl, Rates, SelfCheck

NEGATIVE = NegativeControl(
    source="test",
    num_folds=10,
    folds_with_flags=0,
    num_images=100,
    num_flagged=0,
    share_below_01=0.01,
    inflation=1.0,
    flagged_ids=[],
    passed=True,
    membership_p=0.5,
)
CHECK = SelfCheck(
    run=True, reduced=False, passed=True, sensitive=True, negative=NEGATIVE, levels=[]
)
MEMBERSHIP = Membership(available=True, reason="", p_value=0.5)
RATES = Rates(
    copy_rate=Interval(0, 0, 0.01),
    excess_rate=Interval(0.0, -0.01, 0.01),
    auc=None,
    mean_difference=None,
    num_audited=1000,
    num_in_set=1000,
    unseen_in_set=0,
)
CLEAR = Grounds(
    num_judged=1000,
    num_flagged=0,
    num_identical=0,
    has_baseline=True,
    why_no_baseline="",
    self_check=CHECK,
    membership=MEMBERSHIP,
    rates=RATES,
    obstacles=[],
)
FAILED = replace(
    CHECK,
    passed=False,
    negative=replace(NEGATIVE, passed=False, num_flagged=9, folds_with_flags=4),
    reason="innocents flagged",
)
BLIND = replace(CHECK, passed=False, sensitive=False, reason="L1 90 of 200")
EXCESS = replace(RATES, excess_rate=Interval(0.05, 0.02, 0.08))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "NO_COPY_DETECTED"),
        ({"num_flagged": 1}, "COPIES_FOUND"),
        ({"num_flagged": 1, "self_check": BLIND}, "COPIES_FOUND"),
        ({"num_flagged": 1, "obstacles": ["x"]}, "COPIES_FOUND"),
        ({"num_flagged": 1, "self_check": FAILED}, "INCONCLUSIVE"),
        ({"num_flagged": 1, "has_baseline": False}, "INCONCLUSIVE"),
        ({"num_flagged": 2, "num_identical": 1, "self_check": FAILED}, "COPIES_FOUND"),
        ({"num_identical": 1, "has_baseline": False}, "INCONCLUSIVE"),
        ({"self_check": BLIND}, "INCONCLUSIVE"),
        ({"self_check": replace(CHECK, run=False, passed=False)}, "INCONCLUSIVE"),
        ({"obstacles": ["files are missing."]}, "INCONCLUSIVE"),
        ({"num_judged": 299}, "INCONCLUSIVE"),
        ({"num_judged": 300}, "NO_COPY_DETECTED"),
        ({"membership": replace(MEMBERSHIP, p_value=0.01)}, "TRAINING_SIGNAL"),
        ({"membership": replace(MEMBERSHIP, p_value=0.03)}, "INCONCLUSIVE"),
        ({"membership": replace(MEMBERSHIP, p_value=0.03), "rates": EXCESS}, "TRAINING_SIGNAL"),
        ({"rates": EXCESS}, "NO_COPY_DETECTED"),
        ({"membership": Membership(available=False, reason="no test set")}, "NO_COPY_DETECTED"),
    ],
)
def test_the_verdict_follows_the_rules(changes, code):
    found, reasons = reach_verdict(replace(CLEAR, **changes))
    assert found == code
    if code == "INCONCLUSIVE":
        assert reasons
        assert all(reason[-1] in ".;" for reason in reasons)


def test_images_equal_to_training_images_are_named_first():
    changed = replace(CLEAR, num_flagged=3, num_identical=2, self_check=FAILED)
    _, reasons = reach_verdict(changed)
    assert reasons[0].startswith("2 synthetic images equal a training image pixel by pixel")
    assert "Real pictures of other people were flagged too" in reasons[1]
