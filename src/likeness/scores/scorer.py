"""One way of scoring for everything: synthetic images, the null, planted copies, innocents."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness._files import hash_of_json
from likeness._progress import SILENT
from likeness.scores.decision_scale import DecisionImages, decision_images
from likeness.scores.orientations import rank_orientations
from likeness.scores.ranking import FAMILIES, Family, PatientRanking, stack_rankings
from likeness.scores.registration import RegistrationOptions, rank_registered
from likeness.scores.tiles import TileOptions, rank_tiles
from likeness.search.options import SearchOptions
from likeness.search.source import check_sources, chosen_channels
from likeness.types import TRANSFORMS, Transform

if TYPE_CHECKING:
    from likeness._progress import Progress
    from likeness.scores.store import ScoreStore
    from likeness.search.source import ImageSource

QUERIES_AT_ONCE = 256
"""Queries whose scores are saved together."""


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
        self._scale: DecisionImages | None = None
        self._store = store
        self._progress = progress

    @property
    def reference_scale(self) -> DecisionImages:
        """The references at the scale of decisions."""
        if self._scale is None:
            self._scale = decision_images(self.references, self.channels, grid=self.options.grid)
        return self._scale

    def score(
        self,
        queries: ImageSource,
        *,
        excluded: NDArray[np.int32] | None = None,
        families: tuple[Family, ...] = FAMILIES,
        depth: int | None = None,
        name: str = "score",
    ) -> dict[Family, PatientRanking]:
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
        check_sources(queries, self.references)
        depth = self.options.depth if depth is None else depth
        wanted = _with_proposals(families)
        parts: list[dict[Family, PatientRanking]] = []
        with self._progress.task(name, len(queries), unit="images") as task:
            for start in range(0, len(queries), QUERIES_AT_ONCE):
                stop = min(start + QUERIES_AT_ONCE, len(queries))
                own = None if excluded is None else excluded[start:stop]
                part = _Part(queries, start, stop)
                key = self._key(queries, start, stop, own, families, depth)
                found = None if self._store is None else self._store.load(key)
                if found is None:
                    found = self._score(part, own, wanted, depth)
                    found = {family: found[family] for family in families}
                    if self._store is not None:
                        self._store.save(key, found)
                parts.append(found)
                task.advance(stop - start)
        return {family: stack_rankings([part[family] for part in parts]) for family in families}

    def _score(
        self,
        queries: _Part,
        excluded: NDArray[np.int32] | None,
        families: frozenset[Family],
        depth: int,
    ) -> dict[Family, PatientRanking]:
        options = self.options
        scale = decision_images(queries, self.channels, grid=options.grid)
        found: dict[Family, PatientRanking] = {}
        if families & {"plain", "dihedral"}:
            found["plain"], found["dihedral"] = rank_orientations(
                scale,
                self.reference_scale,
                groups=self.groups,
                excluded=excluded,
                transforms=options.transforms,
                depth=depth,
                threads=options.threads,
                memory_bytes=options.memory_bytes,
            )
        if "tiles" in families:
            found["tiles"] = rank_tiles(
                scale,
                self.reference_scale,
                groups=self.groups,
                excluded=excluded,
                depth=options.local_depth,
                options=options.tiles,
                threads=options.threads,
                memory_bytes=options.memory_bytes,
            )
        if "registered" in families:
            found["registered"] = rank_registered(
                queries,
                self.references,
                scale,
                self.reference_scale,
                channels=self.channels,
                groups=self.groups,
                excluded=excluded,
                proposals=[found["plain"], found["dihedral"], found["tiles"]],
                depth=options.local_depth,
                options=options.registration,
                threads=options.threads,
                memory_bytes=options.memory_bytes,
            )
        return found

    def _key(
        self,
        queries: ImageSource,
        start: int,
        stop: int,
        excluded: NDArray[np.int32] | None,
        families: tuple[Family, ...],
        depth: int,
    ) -> str:
        if self._store is None:
            return ""
        return hash_of_json(
            {
                "queries": queries.fingerprint,
                "references": self.references.fingerprint,
                "groups": self.groups.tolist(),
                "channels": list(self.channels),
                "rows": [start, stop],
                "excluded": None if excluded is None else excluded.tolist(),
                "families": list(families),
                "depth": depth,
                "options": self.options.key(),
            }
        )


class _Part:
    """Some images in a row of a set."""

    def __init__(self, whole: ImageSource, start: int, stop: int) -> None:
        self._whole, self._start, self._stop = whole, start, stop
        self.image_shape = whole.image_shape
        self.dtype = whole.dtype
        self.patient_codes = whole.patient_codes[start:stop]
        self.num_patients = whole.num_patients
        self.fingerprint = f"{whole.fingerprint}[{start}:{stop}]"

    def __len__(self) -> int:
        return self._stop - self._start

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Return images `start` to `stop` of the part."""
        return self._whole.read(self._start + start, self._start + stop)


def _with_proposals(families: tuple[Family, ...]) -> frozenset[Family]:
    return frozenset(FAMILIES) if "registered" in families else frozenset(families)
