"""What the comparison of measures could get wrong without anybody seeing it."""

import numpy as np
import pytest
from tests.benchmarks.test_page import CIRCUMSTANCES

from benchmarks import measures, render


def test_wilsons_limits_solve_his_equation():
    """A limit p lies 1.96 standard errors, of p itself, from the share."""
    for found, count in ((0, 40), (7, 40), (40, 40)):
        entry = measures.wilson(found, count)
        for limit in (entry["low"], entry["high"]):
            if 0 < limit < 1:
                error = np.sqrt(limit * (1 - limit) / count)
                assert abs(entry["share"] - limit) == pytest.approx(1.959963984540054 * error)
        assert entry["low"] <= entry["share"] <= entry["high"]


def test_no_more_than_the_allowed_share_exceeds_the_threshold():
    values = np.random.default_rng(0).normal(size=250)
    for allowed in (0.0, 0.01, 0.1):
        limit = measures.threshold_of(values, allowed)
        assert (values > limit).sum() == int(250 * allowed)


def test_exact_copies_are_all_found_and_named():
    class Given:
        references, innocents, copies, side, steps, width = 8, 4, 8, 32, 2, 8

    found = measures.found_in(measures.chests, Given)
    assert [row["measure"] for row in found["measures"]][-1] == "autoencoder"
    for row in found["measures"][:2]:
        assert row["levels"]["L0"]["right_reference"]["share"] == 1
        assert sum(n for _, n in row["by_kind"].values()) == 8 * len(row["levels"])


def test_shares_stand_in_their_columns_and_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    cell = {"share": 0.5, "low": 0.25, "high": 0.75}
    levels = {"L0": {"found": cell, "right_reference": {"share": 0.125, "low": 0, "high": 1}}}
    row = {"measure": "ssim", "let_through": {"share": 0, "low": 0, "high": 0.02}}
    found = {"shape": [1, 64, 64], "measures": [{**row, "levels": levels}],
             "autoencoder": {"error": 0.1, "error_of_mean_image": 0.2}}  # fmt: skip
    given = {"copies": 4, "references": 9, "innocents": 5, "steps": 10, "width": 8}
    entry = {**CIRCUMSTANCES, "settings": given, "allowed": 0.01, "kinds": {"chests": found}}
    text = render.measures_found(entry)
    assert "| chests | ssim | 0 % (0 to 2) | 50 % (25 to 75) | 12 % |" in text
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    render.draw_measures(entry, first)
    render.draw_measures(entry, second)
    assert first.read_bytes() == second.read_bytes()
    side = {"pairs": 9, **{key: {"median": 0.002, "least": 0.001, "greatest": 0.003}
            for key in ("seconds_per_pair", "times_scipy", "times_search")}}  # fmt: skip
    text = render.measure_costs({**CIRCUMSTANCES, "shape": [4, 8, 8], "sides": {"ssim": side}})
    assert "| ssim | 9 | 2 (1 to 3) | 0.002 (0.001 to 0.003) |" in text
