"""Rules and tables on results that are made up so that the right answer is known."""

from dataclasses import replace
from functools import cache
from zlib import crc32

import numpy as np
import pytest

from likeness.calibration.memorization import memorization
from likeness.experiments.configurations import Run, find_configuration
from likeness.experiments.paper_values import TABLE_2, TABLE_3
from likeness.experiments.results import Control, Curve, Results, RunResult
from likeness.experiments.rules import compare_all, conclude
from likeness.experiments.tables import findings_table, table_2, table_3

SMALL = find_configuration("small-cpu")
NUMBERS = {"LGG-150": 150, "CXR-150": 150, "CXR-1500": 1500}


RUNS = {run.name: run for run in SMALL.runs}


def result(run: Run, mean: float, *, distance: float = 10.0) -> RunResult:
    evaluation = {"frechet_distance": {"value": distance}}
    return replace(measured(run.name, mean), evaluation=evaluation)


@cache
def measured(name: str, mean: float) -> RunResult:
    run = RUNS[name]
    rng = np.random.default_rng(crc32(name.encode()))
    held_out = np.random.default_rng(0).normal(0.8, 0.02, 400)
    synthetic = rng.normal(mean, 0.02, 300)
    points = []
    for seen in run.snapshots:
        share = seen / run.images
        early = (
            synthetic if seen == run.images else rng.normal(0.8 + share * (mean - 0.8), 0.02, 64)
        )
        points.append(
            (seen, *memorization(early, held_out, np.arange(400), name=f"{run.name}{seen}"))
        )
    found, draws = memorization(synthetic, held_out, np.arange(400), name=run.name)
    return RunResult(
        run=run,
        found=found,
        draws=draws,
        sharp=found,
        blur=0.5,
        curve=Curve(*zip(*points, strict=True)),
        synthetic=synthetic,
        held_out=held_out,
        with_held_out=synthetic,
        verdict={"verdict": "COPIES_FOUND", "copies": 7, "synthetic": 300, "patients": 3},
        evaluation=None,
        training_images=NUMBERS[run.data],
    )


MEANS = {
    "lgg-150-ddpm-medium-0": 0.95,
    "lgg-150-stylegan3-medium-0": 0.82,
    "cxr-150-ddpm-medium-0": 0.85,
    "cxr-150-stylegan3-medium-0": 0.80,
    "cxr-1500-ddpm-medium-0": 0.80,
    "cxr-150-ddpm-small-0": 0.82,
}


def mean_of(run: Run) -> float:
    return MEANS[run.name[:-1] + "0"]


@pytest.fixture
def results():
    runs = tuple(result(run, mean_of(run)) for run in SMALL.runs)
    return Results(SMALL, runs, {"LGG-150": Control(10, 10, 9, None)}, ())


def test_a_clear_difference_supports_the_findings(results):
    found = compare_all(results)
    assert {one.finding for one in found} == {"F1", "F2", "F3", "F4"}
    whole = {(one.finding, one.basis): one for one in found if "LGG" not in one.first}
    assert whole["F1", "whole training"].answer == "supported"
    assert whole["F2", "equal images seen"].answer == "supported"
    assert "80,000 images seen" in whole["F2", "equal images seen"].first
    # 8,000 of 150 images are as many epochs as 80,000 of 1,500.
    assert "8,000 images seen" in whole["F2", "equal epochs"].first
    assert "80,000 images seen" in whole["F2", "equal epochs"].second
    assert conclude(found, "F3") == "supported"


def test_two_widths_alone_decide_nothing_with_however_many_seeds(results):
    found = compare_all(results)
    assert [one.answer for one in found if one.finding == "F4"] == ["supported"] * 2
    assert conclude(found, "F4") == "undecided"


def test_three_widths_decide(results):
    large = replace(RUNS["cxr-150-ddpm-medium-0"], size="large")
    bigger = replace(result(RUNS["cxr-150-ddpm-medium-0"], 0.9), run=large)
    found = compare_all(replace(results, runs=(*results.runs, bigger)))
    assert conclude(found, "F4") == "supported"


def test_seeds_are_compared_with_their_like(results):
    found = compare_all(results)
    whole = [one for one in found if one.finding == "F1" and one.basis == "whole training"]
    assert len(whole) == 3  # one seed on LGG-150, two on CXR-150
    for one in found:
        assert ("seed 1" in one.first) == ("seed 1" in one.second)
    assert any("seed 1" in one.first for one in whole)
    assert len({one.whatever_seed for one in whole}) == 2


def test_every_seed_has_a_row(results):
    named = [(row[0], row[2]) for row in table_2(results).rows]
    assert ("CXR-150", "diffusion") in named
    assert ("CXR-150", "diffusion, seed 1") in named
    assert ("LGG-150", "StyleGAN3, seed 1") not in named
    assert len(set(named)) == len(named)
    assert [row[2] for row in table_3(results).rows] == ["diffusion", "diffusion, seed 1"]


def test_a_difference_the_other_way_contradicts(results):
    models = {"ddpm": 0.81, "stylegan3": 0.84}
    runs = tuple(result(run, models[run.model]) for run in SMALL.runs)
    found = [one for one in compare_all(replace(results, runs=runs)) if one.finding == "F1"]
    assert {one.answer for one in found if one.basis == "whole training"} == {"contradicted"}


def test_a_poor_generator_confounds(results):
    runs = tuple(
        result(run, mean_of(run), distance=50.0 if run.model == "stylegan3" else 10.0)
        for run in SMALL.runs
    )
    found = compare_all(replace(results, runs=runs))
    assert {one.confounded for one in found if one.basis == "whole training"} >= {True}
    table = findings_table(replace(results, runs=runs), found)
    assert "confounded with quality" in table.to_markdown()


def test_what_was_not_run_is_said(results):
    runs = tuple(one for one in results.runs if one.run.model == "ddpm")
    less = replace(results, runs=runs, left_out=("lgg-150-stylegan3-medium-0",))
    assert conclude(compare_all(less), "F1") == "not run"
    row = next(row for row in table_2(less).rows if row[:3] == ("LGG-150", "BRATS20", "StyleGAN3"))
    assert "not run" in row
    assert row[4] == "44.86"  # what the paper printed stands there all the same
    assert "Not run: lgg-150-stylegan3-medium-0." in table_2(less).to_markdown()


def test_tables_have_a_cell_for_every_column(results):
    found = compare_all(results)
    for table in (table_2(results), table_3(results), findings_table(results, found)):
        assert table.rows
        for row in table.rows:
            assert len(row) == len(table.columns)
        assert table.to_csv().count("\n") == len(table.rows) + 1
        assert any("Limit" in note for note in table.notes)


def test_the_numbers_of_table_2_are_those_of_the_runs(results):
    table = table_2(results)
    row = next(row for row in table.rows if row[0] == "LGG-150" and row[2] == "diffusion")
    cells = dict(zip(table.columns, row, strict=True))
    one = results.of("LGG-150", "ddpm")
    assert cells["highest r, ours"].startswith(f"{one.synthetic.mean():.3f} (")
    assert cells["highest r, held-out images"].startswith(f"{one.held_out.mean():.3f} (")
    assert cells["highest r, paper"] == "0.985"
    assert cells["copies listed by the audit"] == "7 of 300"
    assert cells["FID, ours"] == "no weights given"


def test_the_papers_numbers_are_complete():
    assert len(TABLE_2) == 8
    assert len(TABLE_3) == 12
    # The default size stands in both tables.
    for (data, model), row in TABLE_2.items():
        if (data, model, "medium") in TABLE_3:
            assert TABLE_3[data, model, "medium"] == row.correlation


def test_a_configuration_that_is_too_short_answers_nothing(results):
    short = replace(results, configuration=replace(SMALL, decides=False))
    text = findings_table(short, compare_all(short)).to_markdown()
    assert "**trained too short to tell**" in text
    for answer in ("supported |", "**supported**", "contradicted |"):
        assert answer not in text
