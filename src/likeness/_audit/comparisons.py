"""The four searches of an audit at full size, each reduced to one row per query image.

These numbers are what the paper reports and what the report shows; nothing is decided on them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness._audit.baselines import Places
from likeness._audit.options import AuditOptions
from likeness._cluster import Cluster
from likeness._files import hash_of_json
from likeness._findings import Comparison
from likeness._progress import Progress, Task
from likeness.datasets import ImageSet
from likeness.search import EngineChoice, SearchOptions, SearchResult, plan_search, search
from likeness.types import Flags, Floats, Images, Integers


@dataclass(frozen=True)
class Highest:
    """What every query image reaches among the references of one comparison.

    All arrays have one row per query. A query without a score has NaN and -1 there.
    """

    comparison: Comparison
    query_ids: tuple[str, ...]
    query_patients: tuple[str, ...]
    correlation: Floats
    """Highest r_cat at full size over references and transforms."""
    correlation_identity: Floats
    """Highest r_cat at full size without any transform: the paper's number."""
    correlation_mean: Floats
    """Highest r_ch at full size over references and transforms."""
    match: Integers
    """Reference image where `correlation` is reached; -1 for none."""
    transform: NDArray[np.int8]
    """Index into `TRANSFORMS` of what is done to the query there; -1 for none."""
    undefined: Flags
    """Constant in every channel that is compared."""
    num_reference_patients: int
    pairs: int

    def rows(self, keep: Flags) -> Highest:
        """Return the rows where `keep` is True."""
        index = np.flatnonzero(keep)
        return Highest(
            self.comparison,
            tuple(self.query_ids[i] for i in index),
            tuple(self.query_patients[i] for i in index),
            self.correlation[index],
            self.correlation_identity[index],
            self.correlation_mean[index],
            self.match[index],
            self.transform[index],
            self.undefined[index],
            self.num_reference_patients,
            self.pairs,
        )

    @property
    def num_patients(self) -> int:
        """Patients among the queries."""
        return len(set(self.query_patients))


@dataclass(frozen=True)
class Searcher:
    """Runs comparisons with the same settings, each with a place to resume."""

    options: AuditOptions
    channels: tuple[int, ...]
    engine: EngineChoice
    places: Places
    progress: Progress
    cluster: Cluster | None = None
    """None for this process alone."""

    def search_options(self) -> SearchOptions:
        """Return the settings that all searches of one audit share."""
        return SearchOptions(
            top_k=self.options.top_k,
            top_patients=self.options.top_patients,
            transforms=self.options.transforms,
            channels=self.channels,
        )

    def compare(
        self,
        comparison: Comparison,
        queries: ImageSet,
        references: ImageSet | ByPerson,
        *,
        own: NDArray[np.int32] | None = None,
    ) -> tuple[Highest, SearchResult]:
        """Search every query among the references.

        Parameters
        ----------
        own
            (n,) patient of the references that each query must not meet (its own), or None.
        """
        options = self.search_options()
        checkpoint = self.places.search(comparison, queries, references, options)
        checkpoint.mkdir(parents=True, exist_ok=True)
        if self.cluster is not None:
            result = self.cluster.search(
                queries,
                references,
                options=options,
                query_groups=own,
                checkpoint=checkpoint,
                name=comparison.replace("->", " -> "),
            )
            return _highest(comparison, queries, references, result), result
        plan = plan_search(
            queries,
            references,
            options=options,
            memory_bytes=self.options.memory_bytes,
            threads=self.options.threads,
        )
        self.progress.say(
            f"{comparison.replace('->', ' -> ')}: {plan.num_pairs:,} pairs, {plan.query_block:,} "
            f"queries at a time, {plan.needs_bytes / 2**20:.0f} MiB, about "
            f"{plan.seconds(self.engine.gops):.0f} s"
        )
        result = search(
            queries,
            references,
            options=options,
            engine=self.engine,
            memory_bytes=self.options.memory_bytes,
            threads=self.options.threads,
            query_groups=own,
            progress=_Named(self.progress, comparison),
            checkpoint=checkpoint,
        )
        return _highest(comparison, queries, references, result), result


class ByPerson:
    """A set in which patients that are one person have one code.

    Parameters
    ----------
    groups
        (n,) the person of each image, from 0.
    """

    def __init__(self, images: ImageSet, groups: NDArray[np.int32]) -> None:
        self._images = images
        self.image_shape, self.dtype = images.image_shape, images.dtype
        self.channels = images.channels
        self.patient_codes = groups
        self.num_patients = int(groups.max()) + 1
        self.fingerprint = hash_of_json([images.fingerprint, groups.tolist()])

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> Images:
        """Return images `start` to `stop`."""
        return self._images.read(start, stop)

    def read_into(self, start: int, stop: int, out: Images) -> None:
        """Read images `start` to `stop` into `out`."""
        self._images.read_into(start, stop, out)

    def read_ahead(self, start: int, stop: int) -> None:
        """Pass on that images `start` to `stop` will be read soon."""
        self._images.read_ahead(start, stop)

    def derived_from(self) -> tuple[ImageSet, None]:
        """Return the set whose stored rows are those of this one."""
        return self._images, None


class _Named:
    """Shows the search under the name of its comparison."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name.replace("->", " -> ")

    def task(
        self, name: str, total: float, *, unit: str = "images"
    ) -> AbstractContextManager[Task]:
        """Open the task under the comparison's name."""
        return self._progress.task(self._name, total, unit=unit)

    def say(self, text: str) -> None:
        """Pass the line on."""
        self._progress.say(text)


def sample_of_patients(patient_codes: NDArray[np.int32], size: int, seed: int) -> Integers:
    """Choose at most `size` images so that every patient has about the same number.

    Patients with few images give all of theirs; the others share what is left. Which of a
    patient's images are taken is drawn with `seed`.

    Returns
    -------
    ndarray
        Sorted image indices.
    """
    if len(patient_codes) <= size:
        return np.arange(len(patient_codes))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(patient_codes))
    codes = patient_codes[shuffled]
    # Position of each image within its own patient, in shuffled order: the first images of all
    # patients come before the second ones.
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    position = np.empty(len(codes), dtype=np.int64)
    lengths = np.diff(np.append(starts, len(codes)))
    position[order] = np.arange(len(codes)) - np.repeat(starts, lengths)
    chosen = shuffled[np.argsort(position, kind="stable")[:size]]
    return np.sort(chosen)


def _highest(
    comparison: Comparison, queries: ImageSet, references: ImageSet | ByPerson, result: SearchResult
) -> Highest:
    return Highest(
        comparison=comparison,
        query_ids=queries.image_ids,
        query_patients=tuple(queries.patient_names[code] for code in queries.patient_codes),
        correlation=result.top.correlation[:, 0],
        correlation_identity=result.identity,
        correlation_mean=result.top_mean.correlation_mean[:, 0],
        match=result.top.reference_index[:, 0],
        transform=result.top.transform[:, 0],
        undefined=result.undefined_queries,
        num_reference_patients=references.num_patients,
        pairs=result.num_pairs,
    )
