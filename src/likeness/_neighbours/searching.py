"""How these tools call the search: short lists, full size alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.search import ImageSource, SearchOptions, SearchResult, search
from likeness.search.source import ANNOTATION_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likeness.datasets import ImageSet
    from likeness.types import Transform


@dataclass(frozen=True)
class Resources:
    """With what and where a search runs; it changes no result."""

    engine: str = "auto"
    memory_bytes: int = 2 << 30
    threads: int | None = None
    progress: Progress = SILENT


def run_search(
    queries: ImageSource,
    references: ImageSource,
    *,
    transforms: tuple[Transform, ...],
    resources: Resources,
    checkpoint: Path,
    channels: tuple[int, ...] | None = None,
    top_k: int = 1,
    top_patients: int = 2,
    own: NDArray[np.int32] | None = None,
) -> SearchResult:
    """Search at the size that the sources have."""
    return search(
        queries,
        references,
        options=SearchOptions(
            top_k=top_k,
            top_patients=top_patients,
            transforms=transforms,
            channels=channels,
        ),
        engine=resources.engine,
        memory_bytes=resources.memory_bytes,
        threads=resources.threads,
        query_groups=own,
        progress=resources.progress,
        checkpoint=checkpoint,
    )


def compared_channels(images: ImageSet) -> tuple[int, ...]:
    """Return the indices of the channels that hold pictures, not annotations."""
    annotations = {*ANNOTATION_NAMES, *(name.casefold() for name in images.annotation_channels)}
    kept = tuple(i for i, name in enumerate(images.channels) if name.casefold() not in annotations)
    return kept or tuple(range(len(images.channels)))


def own_codes(queries: ImageSet, references: ImageSet) -> NDArray[np.int32]:
    """Return (n,) the patient among the references that each query shows; -1 for none.

    Patients go by name. Images without a patient go by their own, and are met by nobody of the
    other set.
    """
    if queries is references:
        return references.patient_codes
    known = {name for name in references.patient_ids if name is not None}
    code_of = {name: code for code, name in enumerate(references.patient_names) if name in known}
    codes = [-1 if name is None else code_of.get(name, -1) for name in queries.patient_ids]
    return np.array(codes, dtype=np.int32)
