"""One way of scoring for everything: synthetic images, the null, planted copies, innocents."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._progress import SILENT
from likeness.scores._query_parts import Part
from likeness.scores.decision_scale import StoredDecisions, decision_images
from likeness.scores.indexes import ReferenceIndexes, shared_indexes
from likeness.scores.orientations import rank_orientations
from likeness.scores.ranking import FAMILIES, Family, PatientRanking, stack_rankings
from likeness.scores.registration import RegistrationOptions, rank_registered
from likeness.scores.stages import (
    FAMILIES_OF,
    Question,
    Stage,
    hash_of_numbers,
    needed_stages,
    part_around,
    part_ranges,
)
from likeness.scores.tiles import TileOptions, rank_tiles
from likeness.scores.unfinished import FORGETFUL, StoredState, Unfinished
from likeness.search._threads import count_threads
from likeness.search.options import SearchOptions
from likeness.search.source import check_sources, chosen_channels
from likeness.types import TRANSFORMS, Transform

if TYPE_CHECKING:
    from pathlib import Path

    from likeness._progress import Progress
    from likeness.scores.store import ScoreStore
    from likeness.search.source import ImageSource

_SHARE: Final[dict[Stage, float]] = {"oriented": 1.0, "tiles": 2.0, "registered": 8.0}
"""Of the time, for the progress that is shown."""
Rankings = dict[Family, PatientRanking]


@dataclass(frozen=True)
class ScorerOptions:
    """How images are scored. Only the last two do not change the result."""

    grid: int = 64
    """Blocks along each axis at the scale of decisions."""
    depth: int = 64
    """Groups kept per query in the plain and the dihedral family."""
    local_depth: int = 10
    """Groups kept per query in the other two."""
    transforms: tuple[Transform, ...] = TRANSFORMS
    tiles: TileOptions = field(default_factory=TileOptions)
    registration: RegistrationOptions = field(default_factory=RegistrationOptions)
    memory_bytes: int = 1 << 30
    threads: int | None = None

    def key(self) -> dict[str, object]:
        """Return what the result depends on, as JSON values."""
        values = asdict(self)
        del values["memory_bytes"], values["threads"]
        return values


class Scorer:
    """Compares queries with one set of references, always in the same way.

    Parameters
    ----------
    references
        m images.
    channels
        Indices of the channels that are compared; None for all but annotations.
    groups
        (m,) exclusion group of each reference; None for its patient.
    options
        See there.
    store
        Where finished scores are kept, so that a killed run goes on; None for nowhere.
    """

    def __init__(
        self,
        references: ImageSource,
        *,
        channels: tuple[int, ...] | None = None,
        groups: NDArray[np.int32] | None = None,
        options: ScorerOptions | None = None,
        store: ScoreStore | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.references = references
        self.options = options or ScorerOptions()
        self.channels = chosen_channels(references, SearchOptions(channels=channels))
        self.groups = np.asarray(
            references.patient_codes if groups is None else groups, dtype=np.int32
        )
        self.store = store
        self._groups_hash = hash_of_numbers(self.groups)
        self._expected = 0
        self._known: ReferenceIndexes | None = None
        self._asked: tuple[ImageSource, StoredDecisions] | None = None
        self._progress = progress

    @property
    def reference_scale(self) -> StoredDecisions:
        """The references at the scale of decisions."""
        return self._indexes.scale

    def score(
        self,
        queries: ImageSource,
        *,
        excluded: NDArray[np.int32] | None = None,
        families: tuple[Family, ...] = FAMILIES,
        depth: int | None = None,
        name: str = "score",
    ) -> Rankings:
        """Rank the groups of the references for every query.

        Parameters
        ----------
        queries
            n images of the same shape, channels and number type.
        excluded
            (n,) group that a query must not meet (its own), -1 for none.
        families
            Which families; the registered one needs the plain, dihedral and tile rankings as
            proposals and computes them if need be.
        depth
            Groups kept in the plain and the dihedral family; None for that of the options.
        name
            Shown with the progress.

        Returns
        -------
        dict
            One `PatientRanking` of n rows per family asked for.

        Raises
        ------
        ImageMismatchError, NoImagesError, InputError
            If the sets cannot be compared.
        """
        question = self.question(queries, excluded=excluded, depth=depth)
        self._expected += len(queries)
        # Registered scores that are all there need nothing else.
        wanted = self._wanted(question, families)
        whole = sum(_SHARE[stage] for stage in wanted)
        found: Rankings = {}
        with self._progress.task(name, len(queries), unit="images") as task:
            for stage in wanted:
                parts = []
                for start, stop in part_ranges(stage, len(queries)):
                    before = {
                        family: ranking.rows(np.arange(start, stop))
                        for family, ranking in found.items()
                    }
                    parts.append(self._part(question, stage, start, stop, before))
                    task.advance((stop - start) * _SHARE[stage] / whole)
                for family in FAMILIES_OF[stage]:
                    found[family] = stack_rankings([part[family] for part in parts])
        return {family: found[family] for family in families}

    def question(
        self,
        queries: ImageSource,
        *,
        excluded: NDArray[np.int32] | None = None,
        depth: int | None = None,
    ) -> Question:
        """Return what the scores of some queries depend on; arguments and errors as in `score`."""
        check_sources(queries, self.references)
        return Question(
            queries, self.references, self.channels, self._groups_hash, excluded,
            self.options.depth if depth is None else depth, self.options,
        )  # fmt: skip

    def score_part(self, question: Question, stage: Stage, start: int, stop: int) -> Rankings:
        """Compute one part of one stage and save it, or find it saved.

        What a registered part needs of the other stages is taken from the store, or computed.
        """
        found = self._load(question, stage, start, stop)
        if found is not None:
            return found
        before: Rankings = {}
        if stage == "registered":
            for earlier in ("oriented", "tiles"):
                before |= self._rows_of(question, earlier, start, stop)
        return self._part(question, stage, start, stop, before)

    def _rows_of(self, question: Question, stage: Stage, start: int, stop: int) -> Rankings:
        """Return the rankings of some queries, out of the part of `stage` in which they lie."""
        first, last = part_around(stage, start, len(question.queries))
        part = self._part(question, stage, first, last, {})
        rows = np.arange(start - first, stop - first)
        return {family: ranking.rows(rows) for family, ranking in part.items()}

    def _wanted(self, question: Question, families: tuple[Family, ...]) -> tuple[Stage, ...]:
        asked = tuple(
            stage for stage in needed_stages(families) if set(FAMILIES_OF[stage]) & set(families)
        )
        count = len(question.queries)
        if "registered" in asked and any(
            not self._saved(question, "registered", start, stop)
            for start, stop in part_ranges("registered", count)
        ):
            return needed_stages(families)
        return asked

    def _saved(self, question: Question, stage: Stage, start: int, stop: int) -> bool:
        return self._load(question, stage, start, stop) is not None

    def _load(self, question: Question, stage: Stage, start: int, stop: int) -> Rankings | None:
        if self.store is None:
            return None
        return self.store.load(
            question.key(stage, start, stop), families=FAMILIES_OF[stage], rows=stop - start
        )

    def _part(
        self, question: Question, stage: Stage, start: int, stop: int, before: Rankings
    ) -> Rankings:
        found = self._load(question, stage, start, stop)
        if found is not None:
            return found
        if self.store is None:
            return self._compute(question, stage, start, stop, before, FORGETFUL)
        key = question.key(stage, start, stop)
        state = StoredState(self.store, key)
        found = self._compute(question, stage, start, stop, before, state)
        self.store.save(key, found)
        state.forget()
        return found

    def _compute(
        self,
        question: Question,
        stage: Stage,
        start: int,
        stop: int,
        before: Rankings,
        state: Unfinished,
    ) -> Rankings:
        options, indexes = self.options, self._indexes
        # Many small scorings together may be worth an index.
        expected = max(self._expected, len(question.queries))
        scale = self._scale_of(question.queries).part(start, stop)
        excluded = None if question.excluded is None else question.excluded[start:stop]
        if stage == "oriented":
            plain, dihedral = rank_orientations(
                scale,
                indexes.scale,
                groups=self.groups,
                excluded=excluded,
                transforms=options.transforms,
                depth=question.depth,
                index=indexes.orientations(expected),
                threads=options.threads,
                memory_bytes=options.memory_bytes,
                state=state,
            )
            return {"plain": plain, "dihedral": dihedral}
        if stage == "tiles":
            ranking = rank_tiles(
                scale,
                indexes.scale,
                groups=self.groups,
                excluded=excluded,
                depth=options.local_depth,
                options=options.tiles,
                index=indexes.tiles(options.tiles, expected),
                threads=options.threads,
                memory_bytes=options.memory_bytes,
                state=state,
            )
            return {"tiles": ranking}
        ranking = rank_registered(
            Part(question.queries, start, stop),
            self.references,
            scale,
            indexes.scale,
            channels=self.channels,
            groups=self.groups,
            excluded=excluded,
            proposals=[before["plain"], before["dihedral"], before["tiles"]],
            depth=options.local_depth,
            options=options.registration,
            index=indexes.features,
            threads=options.threads,
            memory_bytes=options.memory_bytes,
            state=state,
        )
        return {"registered": ranking}

    def _scale_of(self, queries: ImageSource) -> StoredDecisions:
        """Return the block means of all queries, kept as long as the same queries are asked for."""
        if self._asked is None or self._asked[0] is not queries:
            found = decision_images(queries, self.channels, grid=self.options.grid, work=self._work)
            self._asked = queries, found
        return self._asked[1]

    @property
    def _work(self) -> Path | None:
        return None if self.store is None else self.store.folder

    @property
    def _indexes(self) -> ReferenceIndexes:
        if self._known is None:
            self._known = shared_indexes(
                self.references,
                self.channels,
                self.options.grid,
                work=self._work,
                threads=count_threads(self.options.threads),
                progress=self._progress,
            )
        return self._known
