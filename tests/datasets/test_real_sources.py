"""Facts about the real sets, found by hand before this code was written."""

import shutil
from pathlib import Path

import pytest

from likeness.datasets import (
    BratsOptions,
    ChestXrayOptions,
    SplitRule,
    inspect_path,
    prepare_brats,
    prepare_chest_xray,
)
from likeness.datasets.patient_ids import assign_patients, parse_patient_rule
from likeness.datasets.walk import find_files

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real sets are not here"),
]


def test_names_of_the_chest_xrays_hold_3654_children():
    files = find_files(DATA / "cxr").files
    found = assign_patients(parse_patient_rule("auto"), [file.text for file in files])
    assert (found.rule.text, found.coverage) == ("cxr", 1.0)
    assert len(files) == 5216
    assert found.num_patients == 3654
    counts = {}
    for name in found.ids:
        counts[name] = counts.get(name, 0) + 1
    assert sum(count > 1 for count in counts.values()) == 643
    assert max(counts, key=counts.get) == "person23_bacteria"
    assert counts["person23_bacteria"] == 30


def test_622_slices_pass_the_rule_on_flair(tmp_path):
    """The stored 8-bit intensities, unscaled, as the set's description counts them."""
    options = BratsOptions(
        channels=("t1", "flair", "t1ce", "seg"), scaling="none", foreground_channel="flair"
    )
    made = prepare_brats(DATA / "lgg", tmp_path / "out", options=options)
    assert made.tallies == {"slices": 1246, "slices_below_foreground": 624}
    assert len(made.image_set) == 622
    assert made.accounting.found == 128
    assert made.image_set.image_shape == (4, 256, 256)


def test_a_mixture_of_real_chest_xrays(tmp_path):
    files = find_files(DATA / "cxr").files[::100]
    for file in files:
        path = tmp_path / "source" / file.text
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.path, path)
    kinds = inspect_path(tmp_path / "source", decode=False).kinds
    assert {kind.shape[0] for kind in kinds} == {1, 3}
    made = prepare_chest_xray(
        tmp_path / "source",
        tmp_path / "out",
        options=ChestXrayOptions(),
        split=SplitRule(test_share=0.2),
    )
    assert made.accounting.used == len(files)
    assert made.sets["train"].image_shape == (1, 256, 256)
    assert not set(made.sets["train"].patient_ids) & set(made.sets["test"].patient_ids)


def test_a_real_patient_in_the_papers_form(tmp_path):
    made = prepare_brats(DATA / "ms", tmp_path / "out")
    assert made.image_set.channels == ("t1", "t2", "flair", "t1ce", "seg")
    assert made.image_set.image_shape == (5, 256, 256)
    assert made.image_set.patient_names == ("patient07",)
    assert 0 < len(made.image_set) < 182
