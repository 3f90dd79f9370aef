"""The policy file: defaults, every key, and nothing that is not known."""

from __future__ import annotations

import pytest

from likeness import ReleasePolicy
from likeness._release import read_policy
from likeness.errors import InputError, OptionError

WHOLE = """
format_version = 1
[image]
fdr = 0.3
registered_quantile = 0.99
withhold_transforms = ["mirrored"]
review_band = 0.01
[set]
max_copy_rate = 0.1
max_images_per_patient = 5
[require]
patient_disjoint = false
complete_search = false
self_check = false
conclusive = false
min_baseline_images = 20
max_skipped_train = 2
[approve]
names = ["AB", "CD"]
"""


def policy(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return read_policy(path)


def test_an_empty_file_is_the_defaults(tmp_path):
    made = policy(tmp_path, "")
    assert made == ReleasePolicy()
    assert (made.fdr, made.registered_quantile, made.review_band) == (0.20, 0.999, 0.005)
    assert made.withhold_transforms == ("mirrored", "rotated", "shifted")
    assert (made.max_copy_rate, made.max_images_per_patient) == (0.05, 3)
    assert (made.min_baseline_images, made.max_skipped_train) == (200, 0)
    assert made.patient_disjoint
    assert made.complete_search
    assert made.self_check
    assert made.conclusive
    assert made.loosened() == []


def test_every_key_of_the_file_arrives(tmp_path):
    made = policy(tmp_path, WHOLE)
    assert made == ReleasePolicy(
        fdr=0.3,
        registered_quantile=0.99,
        withhold_transforms=("mirrored",),
        review_band=0.01,
        max_copy_rate=0.1,
        max_images_per_patient=5,
        patient_disjoint=False,
        complete_search=False,
        self_check=False,
        conclusive=False,
        min_baseline_images=20,
        max_skipped_train=2,
        approvers=("AB", "CD"),
    )


def test_what_is_written_comes_back_with_the_same_hash(tmp_path):
    made = policy(tmp_path, WHOLE)
    swapped = "[approve]\nnames = ['AB', 'CD']\n" + WHOLE[: WHOLE.index("[approve]")].replace(
        "format_version = 1", ""
    )
    assert policy(tmp_path, swapped).sha256 == made.sha256 != ReleasePolicy().sha256


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[image]\nfdrr = 0.1", "Did you mean 'fdr'"),
        ("[image]\nself_check = false", "Did you mean 'self_check'"),
        ("[images]\nfdr = 0.1", "Did you mean 'image'"),
        ("fdr = 0.1", r"belongs into \[image\]"),
        ("image = 3", "must be a section"),
        ("format_version = 2", "format_version 2"),
        ("format_version = true", "format_version True"),
        ("[image]\nfdr = 0", "between 0 and 1"),
        ("[image]\nfdr = nan", "between 0 and 1"),
        ("[image]\nfdr = true", "expected a number"),
        ("[image]\nregistered_quantile = 1.2", "at most 1"),
        ("[image]\nwithhold_transforms = ['mirored']", "Did you mean 'mirrored'"),
        ("[image]\nwithhold_transforms = 'mirrored'", "a list of texts"),
        ("[image]\nreview_band = -1", "between 0 and 2"),
        ("[set]\nmax_copy_rate = 5", "between 0 and 1"),
        ("[set]\nmax_images_per_patient = 2.5", "a whole number"),
        ("[require]\nself_check = 'no'", "true or false"),
        ("[require]\nmax_skipped_train = -1", "0 or more"),
        ("[approve]\nnames = ['']", "empty name"),
        ("[image\n", "not TOML"),
    ],
)
def test_what_is_wrong_is_refused_in_words(tmp_path, text, hint):
    with pytest.raises(OptionError, match=hint):
        policy(tmp_path, text)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")


def test_weaker_rules_are_named_and_stricter_ones_are_not(tmp_path):
    strict = ReleasePolicy(fdr=0.5, registered_quantile=0.9, review_band=0.1, max_copy_rate=0.0)
    assert strict.loosened() == []
    weak = ReleasePolicy(fdr=0.1, self_check=False, withhold_transforms=("shifted",))
    assert weak.loosened() == [
        "fdr = 0.1 (default 0.2)",
        "withhold_transforms = shifted (default mirrored, rotated, shifted)",
        "self_check = false (default true)",
    ]
