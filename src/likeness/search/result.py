"""What a search returns. Absent entries have index -1 and correlation NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness.types import Flags, Floats, Integers, Transform

if TYPE_CHECKING:
    from likeness.search.plan import SearchPlan


@dataclass(frozen=True)
class TopImages:
    """The most correlated reference images of every query, best first."""

    reference_index: Integers
    """(n, k); -1 where there are fewer than k."""
    transform: NDArray[np.int8]
    """(n, k), into `likeness.types.TRANSFORMS`: what, applied to the query, lays it on the
    reference; -1 where absent."""
    correlation: Floats
    """(n, k), all pixels of all channels as one vector; NaN where absent or undefined."""
    correlation_mean: Floats
    """(n, k), mean over channels, of the same pair and transform; NaN where absent or undefined."""


@dataclass(frozen=True)
class TopPatients(TopImages):
    """The most correlated patients of every query, each with its best image, best first."""

    patient_code: NDArray[np.int32]
    """(n, L), into the patients of the references; -1 where absent."""


@dataclass(frozen=True)
class SearchResult:
    """Everything that one search found: n queries, m references."""

    top: TopImages
    """Ranked by `correlation`."""
    top_mean: TopImages
    """Ranked by `correlation_mean`."""
    patients: TopPatients
    """Ranked by `correlation`."""
    patients_mean: TopPatients
    """Ranked by `correlation_mean`."""
    identity: Floats
    """(n,) highest `correlation` without flips and turns: the paper's number. NaN where absent."""
    identity_index: Integers
    """(n,) where it is reached; -1 where absent."""
    identity_mean: Floats
    """(n,) highest `correlation_mean` without flips and turns."""
    identity_mean_index: Integers
    """(n,) where it is reached."""
    undefined_queries: Flags
    """(n,) whose chosen channels are all constant: compared with nothing."""
    undefined_references: Flags
    """(m,) likewise."""
    transforms: tuple[Transform, ...]
    """What was tried; quarter turns are missing where images are not square."""
    channels: tuple[int, ...]
    """Channels compared."""
    plan: SearchPlan
    engine: str
    engine_check: str
    num_pairs: int
    """Pairs compared: those with the own patient or with an undefined image do not count, nor do
    flips and turns."""
    num_compared: int
    """Pairs whose pixels were compared in this run, each flip or turn counted by the filter: the
    others provably cannot be listed."""
    seconds: float
    """Time of this run; what an earlier, interrupted run did is not in it."""
