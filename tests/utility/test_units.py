"""Finished networks are kept, and only they."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from likeness.errors import OptionError
from likeness.utility import UtilityOptions, measure_classification, training
from likeness.utility.measuring import forecast

SHORT = UtilityOptions(steps=3, seeds=1, checks=1, bootstrap=100)


@pytest.fixture
def trained(monkeypatch):
    """Which networks were trained."""
    seen = []
    real = training.train_unit

    def watched(task, source, seed, options, shown):
        seen.append((source, seed))
        return real(task, source, seed, options, shown)

    monkeypatch.setattr(training, "train_unit", watched)
    return seen


def test_a_finished_network_is_not_trained_again(class_sets, tmp_path, trained):
    whole = measure_classification(*class_sets, options=SHORT, out=tmp_path)
    assert trained == [("real", 0), ("synthetic", 0), ("both", 0)]
    (kept,) = (tmp_path / "units").glob("synthetic-0-*.json")
    kept.unlink()
    trained.clear()
    again = measure_classification(*class_sets, options=SHORT, out=tmp_path)
    assert trained == [("synthetic", 0)]
    assert again.networks == whole.networks
    assert json.loads((tmp_path / "utility.json").read_text())["task"] == "classification"


def test_what_changes_a_network_trains_it_again(class_sets, make_classes, tmp_path, trained):
    train, synthetic, test = class_sets
    measure_classification(train, synthetic, test, options=SHORT, out=tmp_path)
    trained.clear()
    other = make_classes(10, 2, seed=5, name="o")
    with pytest.raises(OptionError, match="other sets or settings"):
        measure_classification(train, other, test, options=SHORT, out=tmp_path)
    measure_classification(train, other, test, options=SHORT, out=tmp_path, overwrite=True)
    assert trained == [("synthetic", 0), ("both", 0)]
    trained.clear()
    more = replace(SHORT, seeds=2, bootstrap=200)
    measure_classification(train, other, test, options=more, out=tmp_path, overwrite=True)
    assert trained == [("real", 1), ("synthetic", 1), ("both", 1)]
    trained.clear()
    longer = replace(SHORT, steps=4)
    measure_classification(train, other, test, options=longer, out=tmp_path, overwrite=True)
    assert len(trained) == 3


def test_a_damaged_unit_is_trained_again(class_sets, tmp_path, trained):
    measure_classification(*class_sets, options=SHORT, out=tmp_path)
    (kept,) = (tmp_path / "units").glob("real-0-*.json")
    kept.write_text("{")
    trained.clear()
    measure_classification(*class_sets, options=SHORT, out=tmp_path)
    assert trained == [("real", 0)]


def test_a_forecast_is_measured_and_writes_nothing(class_sets, tmp_path):
    out = tmp_path / "utility"
    about = forecast("classification", *class_sets, options=SHORT, out=out)
    assert about["networks"] == 3
    assert about["finished"] == 0
    assert about["seconds"] == pytest.approx(about["seconds_per_step"] * 9)
    assert about["seconds_per_step"] > 0
    assert not out.exists()
