"""What must not be concluded from audits that stand beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from likeness._compare.differences import DECIDING, unlike
from likeness._compare.rows import Row
from likeness.report.text import many

FEW_PEOPLE: Final = 20
"""Percentile intervals of a bootstrap over fewer patients are too narrow."""


def notices_of(rows: Sequence[Row], differences: dict[str, list[str]]) -> tuple[str, ...]:
    """Return one sentence or two for everything that limits the comparison."""
    return (*_between(rows, differences), *_within(rows))


def _between(rows: Sequence[Row], differences: dict[str, list[str]]) -> list[str]:
    told = []
    if words := unlike(differences):
        told.append(
            f"These audits are of unlike images ({words}). No number of one may be held against "
            "that of another."
        )
    if "train set" in differences:
        sizes = [row.train_patients or row.train for row in rows]
        noun = "patients" if all(row.train_patients for row in rows) else "patients or images"
        how = (
            f" ({min(sizes):,} to {max(sizes):,} {noun}): the highest of many is higher than the "
            "highest of few"
            if min(sizes) < max(sizes)
            else ""
        )
        told.append(
            f"The training sets differ{how}. Do not compare the mean highest correlations; compare "
            "gap, share above and AUC, for which each audit has its own baseline."
        )
    if "baseline" in differences:
        told.append(
            "The baselines are of different kinds: held-out images in one audit, training images "
            "among other people in another."
        )
    elif "test set" in differences and any(row.baseline_of == "test->train" for row in rows):
        told.append(
            "The held-out images differ, so gap, share above and AUC have different zero points."
        )
    if len({row.synthetic for row in rows}) > 1:
        told.append(
            "The audits are of different numbers of synthetic images: more images show more "
            "patients. Compare the shares, not the counts."
        )
    if rules := [name.removeprefix("setting ") for name in DECIDING if name in differences]:
        told.append(
            f"Copies were looked for by different rules ({', '.join(rules)}): what the audits list "
            "cannot be held against each other."
        )
    return told


def _within(rows: Sequence[Row]) -> list[str]:
    told = []
    for row in rows:
        if row.baseline_of is None:
            told.append(
                f"{row.name} has no baseline of real images: nothing says whether its mean is high."
            )
        elif row.baseline_patients < FEW_PEOPLE:
            people = many(row.baseline_patients, "person", "people")
            told.append(
                f"The baseline of {row.name} is of {people}: too few for its intervals, which are "
                "too narrow."
            )
        if row.undefined:
            images = many(row.undefined, "synthetic image")
            told.append(f"{row.name}: {images} without contrast left out of all means.")
    for result, words in (("failed", "failed"), ("not run", "was not run")):
        names = [row.name for row in rows if row.self_check == result]
        if names:
            told.append(
                f"The self-check {words} in {', '.join(names)}: there may be more copies than are "
                "listed."
            )
    return told
