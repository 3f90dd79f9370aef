"""What an audit compares at full size, beside the scores, and the images that are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness._audit.assemble import (
    distribution_of,
)
from likeness._audit.comparisons import ByPerson, Highest, Searcher, sample_of_patients
from likeness._audit.duplicates import (
    Contamination,
    contamination_of_test,
    exact_across,
    exact_within,
    near_duplicates,
)
from likeness._audit.inputs import (
    Inputs,
)
from likeness._audit.scoring import AllScores, not_constant
from likeness._findings import (
    DuplicatePair,
)
from likeness.search import SearchResult
from likeness.types import Flags

LISTED_DUPLICATES = 500
"""Duplicate pairs that `findings.json` lists; all are counted."""


@dataclass(frozen=True)
class Compared:
    """What was compared at full size, and the scores at the scale of decisions."""

    synthetic: Highest
    synthetic_result: SearchResult
    test: Highest | None
    train: Highest | None
    synthetic_test: Highest | None
    scores: AllScores
    contamination: Contamination | None
    """Of the test set; None without one."""

    @property
    def usable_test(self) -> Flags | None:
        """(t,) test images of people whom training has not seen."""
        return None if self.contamination is None else ~self.contamination.images


def compare_sets(inputs: Inputs, searcher: Searcher, scores: AllScores) -> Compared:
    """Run the searches at full size, the baselines first."""
    train, options = inputs.train, searcher.options
    test = contamination = synthetic_test = among_train = None
    if inputs.test is not None and scores.test is not None:
        contamination = contamination_of_test(
            inputs.test,
            train,
            scores.test.rows["dihedral"],
            scores.test.rankings["dihedral"],
            options.near_duplicate,
            train_varies=scores.train_varies,
        )
        test, _ = searcher.compare("test->train", inputs.test, train)
    few = sample_of_patients(train.patient_codes, options.local_sample, options.seed)
    if train.num_patients > 1:
        groups = scores.people.of_images(train)
        among_train, _ = searcher.compare(
            "train->train", train.subset(few), ByPerson(train, groups), own=groups[few]
        )
    highest, result = searcher.compare("synthetic->train", inputs.synthetic, train)
    if inputs.test is not None:
        synthetic_test, _ = searcher.compare("synthetic->test", inputs.synthetic, inputs.test)
    return Compared(highest, result, test, among_train, synthetic_test, scores, contamination)


def find_duplicates(inputs: Inputs, compared: Compared, limit: float) -> list[DuplicatePair]:
    """List equal and almost equal images, exact ones first."""
    pairs = exact_within(inputs.train, "train")
    pairs += exact_within(inputs.synthetic, "synthetic")
    pairs += exact_across(inputs.synthetic, "synthetic", inputs.train, "train")
    if inputs.test is not None:
        pairs += exact_within(inputs.test, "test")
        pairs += exact_across(inputs.test, "test", inputs.train, "train")
        pairs += exact_across(inputs.synthetic, "synthetic", inputs.test, "test")
    scores = compared.scores
    blank = _constant_images(inputs, scores)
    pairs = [pair for pair in pairs if (pair.first_set, pair.first_id) not in blank]
    exact = {_images_of(pair) for pair in pairs}
    sampled = inputs.train.subset(scores.null.rows["dihedral"])
    near = near_duplicates(sampled, "train", inputs.train, scores.oriented_by_patient, limit)
    if inputs.test is not None and scores.test is not None:
        near += near_duplicates(
            inputs.test.subset(scores.test.rows["dihedral"]),
            "test",
            inputs.train,
            scores.test.rankings["dihedral"],
            limit,
        )
    return pairs + [pair for pair in near if _images_of(pair) not in exact]


def _constant_images(inputs: Inputs, scores: AllScores) -> set[tuple[str, str]]:
    """Return (set, id) of images without variance: equal, but no duplicates of each other."""
    constant = {
        "train": (inputs.train, ~scores.train_varies),
        "synthetic": (inputs.synthetic, scores.synthetic["dihedral"].image[:, 0] < 0),
    }
    if inputs.test is not None and scores.test_scorer is not None:
        constant["test"] = (inputs.test, ~not_constant(scores.test_scorer))
    return {
        (role, images.image_ids[row])
        for role, (images, rows) in constant.items()
        for row in np.flatnonzero(rows)
    }


def _images_of(pair: DuplicatePair) -> frozenset[tuple[str, str]]:
    """Return the two images, whichever comes first; sets may use the same ids."""
    return frozenset({(pair.first_set, pair.first_id), (pair.second_set, pair.second_id)})


def distributions_of(compared: Compared) -> list[Any]:
    scores = compared.scores
    rows = [distribution_of(compared.synthetic, scores.synthetic["dihedral"])]
    if compared.test is not None and scores.test is not None:
        rows.append(distribution_of(compared.test, scores.test.rankings["dihedral"]))
    if compared.train is not None:
        rows.append(distribution_of(compared.train, scores.null.rankings["dihedral"]))
    if compared.synthetic_test is not None and scores.synthetic_test is not None:
        rows.append(distribution_of(compared.synthetic_test, scores.synthetic_test))
    return rows
