"""The patients behind flagged images: how many, how surely, and how many more are likely.

Patients are not a sample, so a binomial interval for their number would mean nothing. What is said
instead comes from how often each was met: patients met once point to others that were not met at
all, as rare species do.

Source: Chao 1984 (lower estimate of the number of classes, bias-corrected form); Good 1953 (the
chance that the next draw is new); Simes 1986. That patient-level p-values are combined by Simes is
a heuristic: the guarantee of Benjamini-Hochberg is on images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.calibration.multiplicity import adjusted
from likeness.errors import InputError
from likeness.scores.ranking import fisher
from likeness.types import Flags, Floats, Integers

NEIGHBOURS: Final = 10
"""Other patients whose likeness tells how crowded a patient's surroundings are."""


@dataclass(frozen=True)
class AffectedPatients:
    """Training patients with at least one flagged image, most images first."""

    patient: Integers
    """(s,) patient code."""
    num_flagged: Integers
    """(s,) flagged images that point to the patient, at least 1."""
    best_image: Integers
    """(s,) flagged image with the smallest p-value, then the highest score; the first of equals."""
    best_score: Floats
    """(s,) highest score among the patient's flagged images."""
    p: Floats
    """(s,) Simes p-value over all images that point to the patient."""
    adjusted_p: Floats
    """(s,) the same adjusted for all K patients (Benjamini-Hochberg); patients that no image points
    to count with p = 1."""
    num_once: int
    """Patients with exactly one flagged image, f1."""
    num_twice: int
    """Patients with exactly two, f2."""
    at_least: float
    """Chao's lower estimate of all patients that images of this generator reproduce, seen or not:
    ``s + f1 (f1 - 1) / (2 (f2 + 1))``, at most K."""
    next_is_new: float
    """Good's estimate of the probability that the next image reproduces a patient not yet seen,
    f1 / m."""

    def __len__(self) -> int:
        return len(self.patient)


def affected_patients(
    patient: NDArray[np.integer],
    flagged: Flags,
    p: Floats,
    score: Floats,
    *,
    num_patients: int,
) -> AffectedPatients:
    """List the patients that flagged images point to.

    Parameters
    ----------
    patient
        (m,) patient that each image points to; negative for none.
    flagged
        (m,).
    p
        (m,) p-value of each image, in [0, 1].
    score
        (m,) such as the highest correlation; NaN for none.
    num_patients
        K, training patients.

    Raises
    ------
    InputError
        If lengths differ, a code is K or more, or a flagged image points to nobody.
    """
    patient = np.asarray(patient, dtype=np.int64)
    if not patient.shape == flagged.shape == p.shape == score.shape:
        msg = (
            f"patient {patient.shape}, flagged {flagged.shape}, p {p.shape} and score "
            f"{score.shape} must have one entry per image."
        )
        raise InputError(msg)
    if patient.max(initial=-1) >= num_patients or (patient[flagged] < 0).any():
        msg = f"Flagged images must point to patients from 0 to {num_patients - 1}."
        raise InputError(msg)
    counts = np.bincount(patient[flagged], minlength=num_patients)
    simes = simes_by_patient(patient, p, num_patients)
    simes_adjusted = adjusted(simes)
    seen = np.flatnonzero(counts)
    seen = seen[np.lexsort((seen, simes[seen], -counts[seen]))]
    comparable = np.where(np.isnan(score), -np.inf, score)
    best_image = np.empty(len(seen), dtype=np.int64)
    best_score = np.empty(len(seen))
    for row, code in enumerate(seen):
        images = np.flatnonzero(flagged & (patient == code))
        best_image[row] = images[np.lexsort((images, -comparable[images], p[images]))[0]]
        best_score[row] = comparable[images].max()
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return AffectedPatients(
        patient=seen,
        num_flagged=counts[seen],
        best_image=best_image,
        best_score=np.where(np.isneginf(best_score), np.nan, best_score),
        p=simes[seen],
        adjusted_p=simes_adjusted[seen],
        num_once=once,
        num_twice=twice,
        at_least=min(chao_lower_estimate(len(seen), once, twice), float(num_patients)),
        next_is_new=once / len(patient) if len(patient) else 0.0,
    )


def chao_lower_estimate(seen: int, once: int, twice: int) -> float:
    """Return how many there are at least: ``seen + f1 (f1 - 1) / (2 (f2 + 1))``."""
    return seen + once * (once - 1) / (2.0 * (twice + 1))


def simes_by_patient(patient: NDArray[np.integer], p: Floats, num_patients: int) -> Floats:
    """Return (K,) ``min_j n p_(j) / j`` over the n images that point to each patient; 1 for none.

    Parameters
    ----------
    patient
        (m,) negative for none.
    p
        (m,) in [0, 1].
    num_patients
        K.
    """
    patient, p = np.asarray(patient, dtype=np.int64), np.asarray(p, dtype=np.float64)
    kept = patient >= 0
    order = np.lexsort((p[kept], patient[kept]))
    codes, ordered = patient[kept][order], p[kept][order]
    counts = np.bincount(codes, minlength=num_patients)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    rank = np.arange(1, len(codes) + 1) - starts[codes]
    result = np.ones(num_patients)
    np.minimum.at(result, codes, ordered * counts[codes] / rank)
    return result


def local_density(
    similarity: Floats,
    group: NDArray[np.integer],
    own: NDArray[np.integer],
    *,
    num_patients: int,
    neighbours: int = NEIGHBOURS,
) -> Floats:
    """Return (K,) the mean z to the nearest other patients; sparse surroundings are a higher risk.

    Parameters
    ----------
    similarity
        (N, L) for every training image the highest correlation with each of its nearest L *other*
        patients, falling; NaN where absent. Exact if L is at least `neighbours`.
    group
        (N, L) those patients; negative where absent.
    own
        (N,) patient of each training image.
    num_patients
        K.
    neighbours
        How many others, at least 1; fewer where there are fewer.

    Returns
    -------
    ndarray
        NaN for a patient without any neighbour. `density_rank` sorts them.

    Source: isolated training images are memorised first, Merger, Goldt 2026 (arXiv 2606.14390).
    """
    if neighbours < 1:
        msg = f"neighbours is {neighbours}; at least 1 is needed."
        raise InputError(msg)
    z = fisher(similarity)
    mine = np.broadcast_to(np.asarray(own)[:, None], z.shape)
    present = (group >= 0) & ~np.isnan(z)
    mine, other, value = mine[present], np.asarray(group)[present], z[present]
    # Per pair of patients the highest z first; then per patient the highest pairs first.
    order = np.lexsort((-value, other, mine))
    mine, other, value = mine[order], other[order], value[order]
    first = np.ones(len(mine), dtype=np.bool_)
    first[1:] = (mine[1:] != mine[:-1]) | (other[1:] != other[:-1])
    mine, value = mine[first], value[first]
    order = np.lexsort((-value, mine))
    mine, value = mine[order], value[order]
    counts = np.bincount(mine, minlength=num_patients)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
    density = np.full(num_patients, np.nan)
    for code in np.flatnonzero(counts):
        part = value[starts[code] : starts[code] + min(neighbours, counts[code])]
        density[code] = part.mean()
    return density


def density_rank(density: Floats) -> Integers:
    """Return (K,) 1 for the most isolated patient, 2 for the next; patients without a density last.

    Parameters
    ----------
    density
        (K,) from `local_density`.
    """
    order = np.argsort(density, kind="stable")  # NaN goes last
    rank = np.empty(len(density), dtype=np.int64)
    rank[order] = np.arange(1, len(density) + 1)
    return rank
