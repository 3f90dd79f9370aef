"""Mixtures, membership, bounds and rules on banks whose truth is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.validate.making import made_bank

from likeness._validate import ValidationOptions
from likeness._validate.coverage import run_coverage
from likeness._validate.intervals import Measured
from likeness._validate.membership import NOVEL as NOVEL_SET
from likeness._validate.membership import run_membership
from likeness._validate.mixtures import (
    MIXED,
    NOVEL,
    SEVERAL,
    STRANGER,
    TEST_COPIES,
    TWO,
    judged_innocents,
    run_mixtures,
)
from likeness._validate.panel import run_panel
from likeness._validate.splits import Calibrated, divide, innocent_rows
from likeness._validate.table import is_reached, make_table

OPTIONS = ValidationOptions(
    splits=4, null_splits=12, membership_splits=60, synthetic=150, permutations=199
)


@pytest.fixture(scope="module")
def clear():
    """Copies that nobody can miss."""
    return made_bank()


@pytest.fixture(scope="module")
def hopeless():
    """Copies that are no nearer to their patients than anybody."""
    return made_bank(lift=0.0, seed=1)


@pytest.fixture(scope="module")
def mixed(clear):
    return run_mixtures(clear, OPTIONS)


def found_at(results, rate):
    kinds = results.kinds.values()
    return sum(k.found[rate].sum() for k in kinds) / sum(k.tried[rate].sum() for k in kinds)


def test_clear_copies_are_found_at_every_rate_and_alone(mixed):
    for rate in (0.005, 0.01, 0.05, 0.2):
        assert found_at(mixed, rate) == 1
    for kind in mixed.kinds.values():
        assert np.array_equal(kind.alone, kind.judged)
        assert kind.judged.max() <= OPTIONS.splits
        # Only copies of patients who were trained on are ever in a mixture.
        assert (kind.tried[0.2][kind.judged == 0] == 0).all()
        assert kind.tried[0.005].sum() > kind.judged.sum() / 4


def test_hopeless_copies_are_not_found_and_innocents_are_left_alone(hopeless):
    results = run_mixtures(hopeless, OPTIONS)
    assert found_at(results, 0.2) < 0.01
    assert np.mean(results.any_flag[NOVEL]) <= 0.25
    assert np.mean(results.per_image[NOVEL]) < 0.02


def test_false_discoveries_are_few_and_counted(mixed):
    for kind in (NOVEL, "shrunk_70", TEST_COPIES):
        for shares in mixed.false_share[kind].values():
            assert len(shares) == OPTIONS.splits
            assert np.mean(shares) < 0.15


def test_a_wrong_patient_counts_as_false_in_the_stricter_number(clear):
    """Every copy is given the next patient's name: nothing is right any more."""
    moved = made_bank()
    for part in moved.of("copy"):
        part.queries.truth[:] = (part.queries.truth + 1) % moved.num_groups
    results = run_mixtures(moved, OPTIONS)
    assert found_at(results, 0.2) < 0.05
    strict = np.mean(results.false_or_wrong[NOVEL][0.2])
    mild = np.mean(results.false_share[NOVEL][0.2])
    assert strict > 0.9
    assert mild < 0.5


def test_the_curve_rises_and_ends_at_everything(mixed):
    for curve in mixed.roc.values():
        assert (np.diff(curve) >= 0).all()
        assert curve[-1] == 1
        assert curve[np.searchsorted(mixed.false_positive_rates, 0.01)] > 0.95


def test_membership_has_its_size_and_its_power(clear):
    results = run_membership(clear, OPTIONS)
    sizes = {kind: np.mean(np.array(p) <= 0.05) for kind, p in results.innocent.items()}
    assert set(sizes) == {NOVEL_SET, "shrunk_70", "shrunk_40", "copies of held-out patients"}
    assert all(size <= 0.15 for size in sizes.values())
    assert sizes["copies of held-out patients"] <= 0.02
    power = [np.mean(np.array(p) <= 0.05) for p in results.power.values()]
    assert power[-1] > 0.8
    assert power[-1] > power[0]
    hidden = [np.mean(np.array(p) <= 0.05) for p in results.contaminated.values()]
    assert hidden[1] <= hidden[0]


def test_bounds_hold_and_a_broken_one_would_be_seen(clear, monkeypatch):
    results = run_coverage(clear, OPTIONS)
    held = [x for rates in results.held.values() for cell in rates.values() for x in cell]
    assert len(held) == 3 * 3 * OPTIONS.splits * 10
    assert np.mean(held) > 0.95
    import likeness._validate.coverage as module

    real = module.copy_rate_bound
    monkeypatch.setattr(
        module, "copy_rate_bound", lambda k, m, caught, planted: real(0, m, planted, planted)
    )
    broken = run_coverage(clear, OPTIONS)
    assert not all(broken.held["L0"][0.05])


def test_rules_of_the_literature(clear):
    """Copies with z 4 above the others: d1/d2 is small; shrunk images are near to everybody."""
    results = run_panel(clear, OPTIONS)
    shares = {rule: {k: np.mean(v) for k, v in kinds.items()}
              for rule, kinds in results.flagged.items()}  # fmt: skip
    assert shares["highest_r"]["identity"] == 1
    assert shares["highest_r"]["shrunk_70"] == 1  # near to everybody, and accused
    assert shares["highest_r"][NOVEL] < 0.05
    assert shares["dar"][NOVEL] == pytest.approx(0.05, abs=0.05)
    assert shares["ratio_patients"]["identity"] == 1
    assert shares["ratio_patients"]["shrunk_70"] < 0.05
    assert shares["ratio_images"]["identity"] == 1
    assert np.mean(results.set_alarms["shrunk_70"]) == 1
    assert len(results.set_alarms[NOVEL]) == OPTIONS.null_splits


def test_the_table_has_every_row_with_its_goal(clear, mixed):
    rows = make_table(
        clear, mixed, run_membership(clear, OPTIONS), run_coverage(clear, OPTIONS), OPTIONS
    )
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    by_name = {row.name: row for row in rows}
    assert by_name["L0"].goal_low == 0.99
    assert by_name["L0"].estimate == 1
    assert by_name["L0"].alone == 1
    assert by_name["L0"].reached
    assert by_name["identity"].reached is None
    assert by_name["any flag, novel"].goal_high == 0.10
    assert by_name["false discoveries, novel"].goal_high == 0.07
    assert (by_name["size, shrunk_70"].goal_low, by_name["size, shrunk_70"].goal_high) == (
        0.03,
        0.08,
    )
    assert by_name["bound L1"].estimate > 0.9
    for row in rows:
        assert row.low <= row.estimate + 1e-12 <= row.high + 2e-12, row.name


@pytest.mark.parametrize(
    ("estimate", "low", "high", "goal", "small", "large"),
    [
        (0.99, 0.9, 1.0, (0.98, None), True, True),
        (0.97, 0.9, 0.99, (0.98, None), True, False),
        (0.9, 0.8, 0.97, (0.98, None), False, False),
        (0.08, 0.05, 0.2, (None, 0.07), True, False),
        (0.02, 0.0, 0.04, (0.03, 0.08), True, False),
        (0.02, 0.0, 0.025, (0.03, 0.08), False, False),
        (0.05, 0.03, 0.08, (0.03, 0.08), True, True),
        (float("nan"), 0.0, 1.0, (0.98, None), False, False),
        (0.5, 0.4, 0.6, (None, None), None, None),
    ],
)
def test_when_a_goal_is_reached(estimate, low, high, goal, small, large):
    measured = Measured(estimate, low, high, 30, "patients")
    assert is_reached(measured, goal, large=False) is small
    assert is_reached(measured, goal, large=True) is large


def test_an_average_that_names_one_of_its_patients_names_no_stranger():
    bank = made_bank(kinds={"identity": "L0"})
    part = bank.parts["identity"]
    truth = part.queries.truth
    others = (truth + 1) % bank.num_groups
    members = np.full((len(truth), 5), -1)
    # Row k of the set is of group k // 3. Odd averages are said to be made of others.
    odd = np.arange(len(truth)) % 2 == 1
    members[:, 0] = np.where(odd, (truth + 2) % bank.num_groups, truth) * 3
    members[:, 1] = others * 3
    queries = replace(part.queries, name="average", role="control", members=members)
    bank.parts["average"] = replace(part, queries=queries)
    calibrated = Calibrated(bank, divide(bank.num_groups, seed=0, number=0))
    innocents = judged_innocents(bank, calibrated)
    rows = innocent_rows(bank.parts["average"], bank, calibrated.split)
    low, strange = innocents[TWO].p < 1e-4, innocents[STRANGER].p < 1e-4
    assert low.sum() > 10
    assert np.array_equal(strange, low & odd[rows])


NOT_MIXED = {TWO, STRANGER, MIXED, TEST_COPIES}


def test_averages_of_two_are_told_apart_and_not_mixed_in():
    bank = made_bank(kinds={"identity": "L0"})
    part = bank.parts["identity"]
    members = np.full((len(part.queries.truth), 5), -1)
    members[:, 0], members[:, 1] = part.queries.truth * 3, (part.queries.truth + 1) * 3 % 30
    members[::3, 2] = 0
    queries = replace(part.queries, name="average", role="control", members=members)
    bank.parts["average"] = replace(part, queries=queries)
    split = divide(bank.num_groups, seed=0, number=0)
    innocents = judged_innocents(bank, Calibrated(bank, split))
    sizes = (members[innocent_rows(bank.parts["average"], bank, split)] >= 0).sum(axis=1)
    assert len(innocents[TWO].p) == (sizes == 2).sum() > 0
    assert len(innocents[SEVERAL].p) == (sizes == 3).sum() > 0
    mixed = sum(len(found.p) for name, found in innocents.items() if name not in NOT_MIXED)
    assert len(innocents[MIXED].p) == mixed
