import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.making import plan_of, raw

from likeness.datasets import ImageSet, verify
from likeness.datasets.accounting import LeftOut
from likeness.datasets.options import RunOptions
from likeness.datasets.splits import SplitRule, build_split, choose_patients, refuse_overlap
from likeness.datasets.units import Unit
from likeness.errors import ManifestError, OptionError, SplitOverlapError

RUN = RunOptions()


@pytest.fixture
def source(tmp_path):
    for number in range(12):
        raw(tmp_path / "source" / f"{'abcdef'[number % 6]}{number}.raw", images=2, seed=number)
    return tmp_path / "source"


@given(st.integers(2, 40), st.integers(0, 3), st.data())
def test_so_many_patients_are_held_out_whatever_the_order(count, seed, data):
    names = [f"P{n}" for n in range(count)]
    held_out = data.draw(st.integers(1, count - 1))
    rule = SplitRule(test_patients=held_out, seed=seed)
    sides = choose_patients(names, rule)
    assert sorted(sides) == sorted(names)
    assert sum(side == "test" for side in sides.values()) == held_out
    assert choose_patients([*reversed(names), *names], rule) == sides


def test_the_seed_decides():
    names = [f"P{n}" for n in range(40)]
    sides = [choose_patients(names, SplitRule(test_patients=9, seed=seed)) for seed in range(4)]
    assert len({json.dumps(side, sort_keys=True) for side in sides}) == 4


@pytest.mark.parametrize("rule", [SplitRule(test_patients=3), SplitRule(test_share=0.01)])
def test_no_side_may_be_empty(rule):
    with pytest.raises(OptionError, match="at least one on each side"):
        choose_patients(["a", "b", "c"], rule)


@pytest.mark.parametrize(
    "values",
    [{}, {"test_patients": 1, "test_share": 0.5}, {"test_patients": 0}, {"test_share": 1.0}],
)
def test_rules_are_checked(values):
    with pytest.raises(OptionError, match="--test"):
        SplitRule(**values)


def test_a_split_shares_no_patient_and_loses_no_file(source, tmp_path):
    plan = plan_of(source, left_out=(LeftOut("README", "find", "other_file", "none"),))
    out = tmp_path / "out"
    made = build_split(out, plan, SplitRule(test_patients=2, seed=5), run=RUN)
    train, test = made.sets["train"], made.sets["test"]
    assert (train.num_patients, test.num_patients) == (4, 2)
    assert not set(train.patient_ids) & set(test.patient_ids)
    assert len(train) + len(test) == 24
    assert made.accounting.summary() == "found 13 files = 12 used + 1 left out (1 other_file)"
    assert train.fingerprint == ImageSet.open(out / "train").fingerprint
    assert verify(out / "train").ok
    assert verify(out / "test").ok
    record = json.loads((out / "split.json").read_text())
    assert record["sets"]["test"]["patients"] == sorted(set(test.patient_ids))
    assert test.record["split"]["seed"] == 5
    assert "README" in (out / "left_out.csv").read_text()
    again = build_split(out, plan, SplitRule(test_patients=2, seed=5), run=RUN)
    assert again.accounting == made.accounting
    with pytest.raises(OptionError, match=r"split\.num_patients was"):
        build_split(out, plan, SplitRule(test_patients=3, seed=5), run=RUN)


def test_files_without_patient_cannot_be_split(source, tmp_path):
    plan = plan_of(source)
    units = [*plan.units[1:], Unit(plan.units[0].files, plan.units[0].key, None)]
    with pytest.raises(OptionError, match=r"never by image: say with --patient-id"):
        build_split(
            tmp_path / "out", plan_of(source, units=units), SplitRule(test_patients=2), run=RUN
        )
    assert not (tmp_path / "out").exists()


def test_a_table_decides(source, tmp_path):
    table = tmp_path / "split.csv"
    table.write_text("patient,split\na,train\nb,test\nc,train\nd,val\ne,train\nf,test\nz,test\n")
    made = build_split(tmp_path / "out", plan_of(source), SplitRule(table=table), run=RUN)
    parts = {name: sorted(set(images.patient_ids)) for name, images in made.sets.items()}
    assert parts == {"train": ["a", "c", "e"], "test": ["b", "f"], "val": ["d"]}
    names = [unit.key for unit in plan_of(source).units]
    lines = [f"{name};{'test' if name[0] in 'ab' else 'train'}" for name in names]
    table.write_text("\n".join(["path;set", *lines]))
    made = build_split(tmp_path / "out2", plan_of(source), SplitRule(table=table), run=RUN)
    assert sorted(set(made.sets["test"].patient_ids)) == ["a", "b"]


def test_a_table_that_divides_a_patient_is_refused(source, tmp_path):
    table = tmp_path / "split.csv"
    table.write_text("path,split\na0.raw,train\na6.raw,test\n")
    with pytest.raises(SplitOverlapError, match=r"patient 'a' into 'train' and 'test'"):
        build_split(tmp_path / "out", plan_of(source), SplitRule(table=table), run=RUN)
    table.write_text("patient,split\na,train\n")
    with pytest.raises(ManifestError, match=r"does not name 5 patients, for example 'b'"):
        build_split(tmp_path / "out", plan_of(source), SplitRule(table=table), run=RUN)
    table.write_text("patient,split\na,../x\n")
    with pytest.raises(ManifestError, match=r"'\.\./x'"):
        build_split(tmp_path / "out", plan_of(source), SplitRule(table=table), run=RUN)
    table.write_text("patient\na\n")
    with pytest.raises(ManifestError, match="columns"):
        build_split(tmp_path / "out", plan_of(source), SplitRule(table=table), run=RUN)


def test_overlapping_sets_are_found(source, tmp_path):
    made = build_split(tmp_path / "out", plan_of(source), SplitRule(test_patients=2), run=RUN)
    refuse_overlap(made.sets)
    train = made.sets["train"]
    with pytest.raises(
        SplitOverlapError, match=rf"1 patients.*{train.patient_names[0]!r} in a and b"
    ):
        refuse_overlap({"a": train, "b": train.subset([0])})
