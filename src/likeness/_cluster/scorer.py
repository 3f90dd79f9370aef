"""A scorer whose work is done on a cluster; made by `Cluster.scorer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness._progress import SILENT
from likeness.scores import FAMILIES, Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from likeness._cluster.cluster import Cluster
    from likeness._progress import Progress
    from likeness.scores import Family, PatientRanking, ScorerOptions, ScoreStore
    from likeness.search import ImageSource


class ClusterScorer(Scorer):
    """A `Scorer` that asks a cluster; everything else is as with any other."""

    def __init__(
        self,
        references: ImageSource,
        *,
        cluster: Cluster,
        channels: tuple[int, ...] | None = None,
        groups: NDArray[np.int32] | None = None,
        options: ScorerOptions | None = None,
        store: ScoreStore | None = None,
        progress: Progress = SILENT,
    ) -> None:
        super().__init__(
            references,
            channels=channels,
            groups=groups,
            options=options,
            store=store,
            progress=progress,
        )
        self._cluster = cluster

    def score(
        self,
        queries: ImageSource,
        *,
        excluded: NDArray[np.int32] | None = None,
        families: tuple[Family, ...] = FAMILIES,
        depth: int | None = None,
        name: str = "score",
    ) -> dict[Family, PatientRanking]:
        """Rank the groups of the references for every query; see `Cluster.score`."""
        return self._cluster.score(
            self, queries, excluded=excluded, families=families, depth=depth, name=name
        )
