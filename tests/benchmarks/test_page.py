"""The page of benchmarks shows what runs wrote, and nothing else."""

import json
import re

import pytest

from benchmarks import render
from benchmarks.surviving_shares import GRIDS, NEEDED

CIRCUMSTANCES = {
    "machine": {"processor": "Some CPU", "cores": 2, "memory_gib": 23.5, "flags": ["avx2"],
                "system": "Linux", "python": "3.11", "load_before": 0.1},
    "commit": "abc", "versions": {"numpy": "2"}, "when": "2026-01-01", "settings": {"quick": False},
}  # fmt: skip


def test_the_page_is_what_the_results_say():
    """Write it anew with `python -m benchmarks.render`."""
    assert render.PAGE.read_text() == render.page(render.load())


def test_figures_of_the_page_exist():
    for name in re.findall(r"!\[[^]]*\]\((.*?)\)", render.PAGE.read_text()):
        assert (render.PAGE.parent / name).is_file()


def test_without_results_no_number_is_shown():
    text = render.page({})
    assert "yes" not in text
    assert "no**" not in text
    assert text.count("Not measured yet") == 9


def test_quick_runs_are_refused(tmp_path):
    (tmp_path / "growth.json").write_text(json.dumps({"settings": {"quick": True}}))
    with pytest.raises(ValueError, match="growth"):
        render.load(tmp_path)


def test_shares_stand_in_their_columns():
    """Whatever the order in the file."""
    shares = {str(grid): {name: grid / 1000 + k / 10**5 for k, name in enumerate(NEEDED)}
              for grid in GRIDS}  # fmt: skip
    mixed = {grid: dict(reversed(row.items())) for grid, row in sorted(shares.items())}
    found = {"name": "some", "queries": 1, "references": 2, "patients": 2, "shape": [4, 256, 256],
             "shares": mixed}  # fmt: skip
    text = render.shares({**CIRCUMSTANCES, "sets": [found]})
    assert "| grid | top 1 | top 20 | 2 patients |" in text
    assert "| 32 x 32 | 3.2 % | 3.2 % | 3.2 % |" in text
    assert text.index("16 x 16") < text.index("64 x 64") < text.index("128 x 128")


def test_a_goal_that_is_missed_is_shown_as_missed():
    entry = {**CIRCUMSTANCES, "sizes": [3000, 91_271], "exponent": 1.02, "queries": 1000,
             "exponent_step_by_step": [1.02],
             "seconds": {"3000": {"median": 1.0, "least": 1.0, "greatest": 1.0},
                         "91271": {"median": 33.0, "least": 33.0, "greatest": 34.0}}}  # fmt: skip
    text = render.page({"growth": entry})
    assert "| exponent below 1 | 1.020 | **no** |" in text
    assert "| 91,271 | 33 (33 to 34) |" in text


def test_speeds_of_training_and_costs_are_shown():
    row = {"median": 2.0, "least": 1.5, "greatest": 2.5}
    entry = {**CIRCUMSTANCES, "times_faster": 1.96,
             "training": [{"model": "ddpm", "preset": "tiny", "pixels": 32, "batch": 64,
                           "images_per_second": row, "seconds_per_thousand": 500.0,
                           "peak_memory_gb": 0.61}],
             "costs": [{"preset": "tiny", "pixels": 32, "parameters": 1_191_233,
                        "forward_gflop": 0.4976, "guided_diffusion_gflop": 0.4976}],
             "activations": [{"activation": "product", "pixels": 32, "batch": 16,
                              "seconds_forward_and_backward": row}]}  # fmt: skip
    text = render.page({"generators": entry})
    assert "| ddpm tiny | 32 | 64 | 2 (1.5 to 2.5) | 500 | 0.61 |" in text
    assert "| tiny | 32 | 1,191,233 | 0.498 | 0.498 |" in text
    assert "| product | 16 | 2 (1.5 to 2.5) |" in text


def test_results_of_other_scripts_become_tables():
    rows = [{"engine": "numpy", "gops": 12.5}, {"engine": "other", "gops": 100_000}]
    text = render.other("engines", {**CIRCUMSTANCES, "title": "Engines", "rows": rows})
    assert "## Engines" in text
    assert "| engine | gops |" in text
    assert "| other | 100,000 |" in text


def test_the_growth_chart_is_drawn_from_the_numbers(tmp_path):
    pytest.importorskip("matplotlib")
    row = {"median": 2.0, "least": 1.5, "greatest": 2.5}
    entry = {"sizes": [10, 20], "queries": 3, "exponent": 0.5,
             "seconds": {"10": row, "20": row, "10, brute force": row}}  # fmt: skip
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    render.draw_growth(entry, first)
    render.draw_growth(entry, second)
    assert first.read_bytes() == second.read_bytes()
    assert b"<svg" in first.read_bytes()
