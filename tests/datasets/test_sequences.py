from pathlib import Path

import pytest

from likeness.datasets.sequences import detect_layout, group_sequences
from likeness.datasets.walk import SourceFile
from likeness.errors import OptionError


def files(*texts):
    return [SourceFile(Path("/src") / text, text, 1, 0) for text in texts]


ENDINGS = [("T1", "T1"), ("T2", "T2"), ("FLAIR", "flair"), ("T1CE", "T1ce"), ("Seg", "seg")]
PAPER = files(*(f"{a}/{number}{b}.png" for number in ("007", "x-8") for a, b in ENDINGS))


def test_the_papers_folders():
    assert detect_layout(PAPER) == "paper"
    made = group_sequences(PAPER, layout="paper")
    assert made.channels == ("t1", "t2", "flair", "t1ce", "seg")
    assert [group.key for group in made.groups] == ["007", "x-8"]
    assert [file.text for file in made.groups[0].files] == [
        "T1/007T1.png", "T2/007T2.png", "FLAIR/007flair.png", "T1CE/007T1ce.png", "Seg/007seg.png",
    ]  # fmt: skip
    assert made.left_out == ()


@pytest.mark.parametrize(
    "endings",
    [["_t1", "_t1ce", "_t2", "_flair", "_seg"], ["-t1n", "-t1c", "-t2w", "-t2f", "-seg"]],
)
def test_the_endings_of_brats(endings):
    given = files(*(f"A-1/A-1{end}.nii.gz" for end in endings))
    assert detect_layout(given) == "brats"
    made = group_sequences(given, layout="brats", channels=("flair", "t1ce", "t1"))
    assert [file.text for file in made.groups[0].files] == [
        f"A-1/A-1{endings[index]}.nii.gz" for index in (3, 1, 0)
    ]
    assert {(item.path, item.code) for item in made.left_out} == {
        (f"A-1/A-1{endings[2]}.nii.gz", "not_selected"),
        (f"A-1/A-1{endings[4]}.nii.gz", "not_selected"),
    }


@pytest.mark.parametrize(
    ("pattern", "texts", "keys"),
    [
        (
            "{id}_{channel}.png",
            ["d/1_ct.png", "d/1_pet.png", "e/1_ct.png", "e/1_pet.png"],
            ["d/1", "e/1"],
        ),
        ("{channel}/{id}.png", ["ct/1.png", "pet/1.png"], ["1"]),
        ("s.{channel}({id}).png", ["s.ct(a b).png", "s.pet(a b).png"], ["a b"]),
    ],
)
def test_patterns(pattern, texts, keys):
    made = group_sequences(files(*texts, "README.png"), layout=pattern, channels=("pet", "ct"))
    assert [group.key for group in made.groups] == keys
    assert all(group.channels == ("pet", "ct") for group in made.groups)
    assert [item.path for item in made.left_out] == ["README.png"]


def test_incomplete_groups_are_left_out_as_a_whole():
    given = files("1_t1.nii", "1_t2.nii", "2_t1.nii", "3_t2.nii", "3_t1.nii", "3_t1.nii.gz")
    made = group_sequences(given, layout="brats")
    assert [group.key for group in made.groups] == ["1"]
    assert {(item.path, item.code) for item in made.left_out} == {
        ("2_t1.nii", "missing_channel"),
        ("3_t1.nii", "ambiguous_channel"),
        ("3_t1.nii.gz", "ambiguous_channel"),
        ("3_t2.nii", "ambiguous_channel"),
    }
    made = group_sequences(given, layout="brats", allow_missing=["t2"])
    assert [group.channels for group in made.groups] == [("t1", "t2"), ("t1",)]


def test_bad_requests_are_refused():
    with pytest.raises(OptionError, match="have t1, t2"):
        group_sequences(files("1_t1.nii", "1_t2.nii"), layout="brats", channels=("flair",))
    with pytest.raises(OptionError, match="pattern with"):
        group_sequences(PAPER, layout="{id}.png")
    assert detect_layout(files("a.png", "b.png")) is None
    assert detect_layout(files("a_t1.png", "b_t1.png")) is None
    assert detect_layout([]) is None
