"""The searches behind `find_resemblance`, and the numbers taken from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._neighbours.searching import Resources, run_search
from likeness.similarity import possible_transforms
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.datasets import ImageSet
    from likeness.search import SearchResult
    from likeness.types import Floats, Integers, Transform

LISTED: Final = 8
"""Patients that are listed per synthetic image: a rank beyond is "not among the nearest 8"."""


@dataclass(frozen=True)
class Searches:
    """Everything that was compared."""

    among_all: SearchResult
    """Synthetic images among all references."""
    among_asked: SearchResult
    """Synthetic images among the images of the patients asked for."""
    asked_rows: Integers
    """Their rows in the references."""
    asked: ImageSet
    """Their images."""
    people: SearchResult
    """Images of other people among the synthetic images: the yardstick."""
    transforms: tuple[Transform, ...]


@dataclass(frozen=True)
class OnePatient:
    """Every synthetic image against one patient; n images."""

    code: int
    """Of the patient in the references."""
    rows: Integers
    """(m,) images of the patient in the references."""
    match: Integers
    """(n,) their image that each synthetic image resembles most, as a row of the references; -1
    where nothing could be compared."""
    transform: NDArray[np.int8]
    """(n,) what lays the synthetic image on it; -1 where absent."""
    correlation: Floats
    """(n,) r_cat at full size."""
    correlation_mean: Floats
    """(n,) r_ch of the same pair."""
    rank: Integers
    """(n,) place of the patient among all, from 1; 0 for beyond the patients listed."""
    next_correlation: Floats
    """(n,) highest r_cat with another patient; NaN where there is none."""


def run_searches(
    synthetic: ImageSet,
    references: ImageSet,
    people: ImageSet,
    codes: list[int],
    *,
    channels: tuple[int, ...],
    flips: bool,
    work: Path,
    resources: Resources,
) -> Searches:
    """Compare the synthetic images with all references, with those asked for, and with `people`.

    Parameters
    ----------
    people
        Whose images are the yardstick; may be `references`.
    codes
        Patients asked for.
    """
    _, height, width = references.image_shape
    transforms = possible_transforms(TRANSFORMS if flips else ("identity",), height, width)
    rows = np.flatnonzero(np.isin(references.patient_codes, codes))
    asked = references.subset(rows)

    def searched(name: str, first: ImageSet, second: ImageSet, patients: int) -> SearchResult:
        return run_search(
            first,
            second,
            transforms=transforms,
            resources=resources,
            checkpoint=work / name,
            channels=channels,
            top_patients=patients,
        )

    return Searches(
        among_all=searched("all", synthetic, references, LISTED),
        among_asked=searched("asked", synthetic, asked, max(2, len(codes))),
        asked_rows=rows,
        asked=asked,
        people=searched("people", people, synthetic, 2),
        transforms=transforms,
    )


def one_patient(found: Searches, references: ImageSet, code: int) -> OnePatient:
    """Take one patient out of the searches."""
    name = references.patient_names[code]
    listed = found.among_asked.patients
    mine = listed.patient_code == found.asked.patient_names.index(name)
    place = np.argmax(mine, axis=1)
    there = mine.any(axis=1)
    row = np.arange(len(place))

    def pick(values: NDArray[np.generic], absent: float) -> NDArray[np.generic]:
        return np.where(there, values[row, place], absent)

    image = pick(listed.reference_index, -1).astype(np.int64)
    correlation = pick(listed.correlation, np.nan).astype(np.float64)
    match = np.where(image < 0, -1, found.asked_rows[np.maximum(image, 0)])
    everyone = found.among_all.patients
    hits = everyone.patient_code == code
    rank = np.where(hits.any(axis=1), np.argmax(hits, axis=1) + 1, 0)
    return OnePatient(
        code=code,
        rows=np.flatnonzero(references.patient_codes == code),
        match=match,
        transform=pick(listed.transform, -1).astype(np.int8),
        correlation=correlation,
        correlation_mean=pick(listed.correlation_mean, np.nan).astype(np.float64),
        rank=rank.astype(np.int64),
        next_correlation=_best_other(everyone.correlation, everyone.patient_code, code),
    )


def highest_per_patient(people: ImageSet, result: SearchResult) -> Floats:
    """Return (K,) the highest r of each patient of `people` with any synthetic image; NaN if none.

    Only patients that are known by name count; the others are NaN.
    """
    known = {name for name in people.patient_ids if name is not None}
    highest = np.full(people.num_patients, -np.inf)
    values = result.top.correlation[:, 0]
    defined = ~np.isnan(values)
    np.maximum.at(highest, people.patient_codes[defined], values[defined])
    highest[np.isneginf(highest)] = np.nan
    if known:
        unknown = np.array([name not in known for name in people.patient_names])
        highest[unknown] = np.nan
    return highest


def nearest_counts(references: ImageSet, result: SearchResult) -> Integers:
    """Return (K,) for how many synthetic images each patient is the nearest of all."""
    nearest = result.patients.patient_code[:, 0]
    counts: Integers = np.bincount(nearest[nearest >= 0], minlength=references.num_patients)
    return counts


def _best_other(values: Floats, codes: NDArray[np.int32], code: int) -> Floats:
    """Return (n,) the highest of the other patients; two or more are listed, so one is there."""
    others = np.where((codes == code) | (codes < 0) | np.isnan(values), -np.inf, values)
    best = others.max(axis=1)
    return np.where(np.isneginf(best), np.nan, best)
