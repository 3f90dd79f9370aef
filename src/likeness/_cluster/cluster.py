"""`Cluster`: what an audit holds while it uses other machines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from likeness._cluster import score_work, search_work
from likeness._cluster.cutting import Cut
from likeness._cluster.execution import Execution
from likeness._cluster.outcome import ClusterOutcome, Quarantined
from likeness._cluster.scorer import ClusterScorer
from likeness._cluster.sources import SourcePlace
from likeness._files import make_folder
from likeness._progress import SILENT
from likeness.scores import FAMILIES, ScoreStore
from likeness.search import SearchOptions, plan_search

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from likeness._cluster.links import Link
    from likeness._cluster.tasks import Task
    from likeness._progress import Progress
    from likeness.scores import Family, PatientRanking, Scorer, ScorerOptions
    from likeness.search import ImageSource, SearchResult


class Cluster:
    """Searches and scores on other machines; made by `open_cluster`, used in a ``with`` block.

    Parameters
    ----------
    link
        The way to the scheduler.
    shared
        Folder that all machines see under one name, for example the folder of the audit.
    engine, memory_bytes, threads
        Of one task; they change no bit of a result.
    cut
        The size of a part of a search.
    """

    def __init__(
        self,
        link: Link,
        shared: Path,
        *,
        engine: str = "auto",
        memory_bytes: int,
        threads: int = 1,
        cut: Cut | None = None,
        progress: Progress = SILENT,
    ) -> None:
        make_folder(shared, private=True)
        self._shared, self._progress = shared, progress
        self._engine, self._memory_bytes, self._threads = engine, memory_bytes, threads
        self._cut = cut or Cut()
        self._execution = Execution(link, shared, progress)
        self._num_tasks = self._num_computed = 0
        self._aside: list[Quarantined] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the scheduler, and stop it if it was started here."""
        self._execution.close()

    @property
    def outcome(self) -> ClusterOutcome:
        """The account of everything so far."""
        return ClusterOutcome(
            num_tasks=self._num_tasks,
            num_computed=self._num_computed,
            num_repeated=self._execution.num_repeated,
            machines=tuple(sorted(self._execution.machines)),
            quarantined=tuple(self._aside),
        )

    def search(
        self,
        queries: ImageSource,
        references: ImageSource,
        *,
        options: SearchOptions | None = None,
        query_groups: NDArray[np.integer] | None = None,
        checkpoint: Path | None = None,
        name: str = "search",
    ) -> SearchResult:
        """Compare every query with every reference, as `likeness.search.search` does.

        Parameters
        ----------
        queries, references, options, query_groups
            As there.
        checkpoint
            Folder for the parts, in shared storage; None for one in the shared folder. Parts that
            are there are not computed again.
        name
            Of the comparison, for progress and messages.

        Returns
        -------
        SearchResult
            The same bits as from `search`, unless parts were set aside: these stay absent, and
            `outcome` names them.

        Raises
        ------
        ClusterError
            If nobody answers, or a worker does not see what it must see.
        LikenessError
            As `search`.
        """
        began = time.monotonic()
        options = options or SearchOptions()
        plan = plan_search(
            queries,
            references,
            options=options,
            memory_bytes=self._memory_bytes,
            threads=self._threads,
        )
        tasks = search_work.plan_tasks(
            queries,
            references,
            name=name,
            options=options,
            query_groups=query_groups,
            engine=self._engine,
            memory_bytes=self._memory_bytes,
            threads=self._threads,
            folder=checkpoint or self._shared / "parts",
            shared=self._shared,
            cut=self._cut,
        )
        gone = self._run(tasks, name=name, unit="pairs")
        return search_work.assemble(
            [task for task in tasks if task.key not in gone],
            queries,
            references,
            options=options,
            plan=plan,
            engine_check="each worker tests its engine",
            seconds=time.monotonic() - began,
        )

    def score(
        self,
        scorer: Scorer,
        queries: ImageSource,
        *,
        excluded: NDArray[np.int32] | None = None,
        families: tuple[Family, ...] = FAMILIES,
        depth: int | None = None,
        name: str = "score",
    ) -> dict[Family, PatientRanking]:
        """Rank the groups of the references for every query, as `scorer` would.

        Parameters
        ----------
        scorer
            Says what is compared, how, and where the scores are kept; its store must be in shared
            storage.
        queries, excluded, families, depth, name
            As in `Scorer.score`.

        Returns
        -------
        dict
            The same bits as from `Scorer.score`, unless parts were set aside: their rows hold
            nobody, and `outcome` names them.

        Raises
        ------
        ClusterError
            If nobody answers, a worker does not see what it must see, or every part failed.
        LikenessError
            As `Scorer.score`.
        """
        tasks = score_work.plan_tasks(
            scorer,
            queries,
            name=name,
            excluded=excluded,
            families=families,
            depth=depth,
            memory_bytes=self._memory_bytes,
            threads=self._threads,
            store=scorer.store or ScoreStore(self._shared / "scores"),
            shared=self._shared,
        )
        return score_work.assemble(tasks, self._run(tasks, name=name, unit="images"), families)

    def scorer(
        self,
        references: ImageSource,
        *,
        channels: tuple[int, ...] | None = None,
        groups: NDArray[np.int32] | None = None,
        options: ScorerOptions | None = None,
        store: ScoreStore | None = None,
        progress: Progress = SILENT,
    ) -> Scorer:
        """Return a `Scorer` whose work is done here; its parameters are those of any other."""
        return ClusterScorer(
            references,
            cluster=self,
            channels=channels,
            groups=groups,
            options=options,
            store=store,
            progress=progress,
        )

    def _run(self, tasks: list[Task], *, name: str, unit: str) -> set[str]:
        """Do what is not done; return the keys of the tasks that were set aside."""
        places = [
            SourcePlace.from_json(tasks[0].payload[side]) for side in ("queries", "references")
        ]
        done = sum(task.is_done() for task in tasks)
        self._progress.say(f"{name}: {len(tasks):,} parts, {done:,} of them finished before")
        aside = self._execution.run(tasks, name=name, unit=unit, places=places)
        self._num_tasks += len(tasks)
        self._num_computed += len(tasks) - done - len(aside)
        self._aside += aside
        for one in aside:
            self._progress.say(f"set aside: {one.what}: {one.reason}")
        return {one.task for one in aside}
