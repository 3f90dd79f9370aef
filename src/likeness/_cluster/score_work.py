"""Scores, cut into tasks as the scorer saves them; one task done; all of them read.

A task is one part of one stage of `likeness.scores`, saved in the same store under the same key as
when a scorer does it alone. So a scoring that was begun on a cluster can be ended without one.
"""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._cluster.sources import SourcePlace, files_behind, restore
from likeness._cluster.sources import describe as describe_source
from likeness._cluster.tasks import Task
from likeness._files import atomic_write, hash_of_json, make_folder
from likeness.errors import ClusterError
from likeness.scores import (
    Family,
    PatientRanking,
    Scorer,
    ScorerOptions,
    ScoreStore,
    stack_rankings,
)
from likeness.scores.stages import (
    FAMILIES_OF,
    PART_QUERIES,
    Stage,
    hash_of_numbers,
    needed_stages,
    part_ranges,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from likeness.search import ImageSource


def plan_tasks(
    scorer: Scorer,
    queries: ImageSource,
    *,
    name: str,
    excluded: NDArray[np.int32] | None,
    families: tuple[Family, ...],
    depth: int | None,
    memory_bytes: int,
    threads: int,
    store: ScoreStore,
    shared: Path,
) -> list[Task]:
    """Cut a scoring into tasks and write down what they have in common.

    Parameters
    ----------
    scorer
        What would do it here.
    queries, excluded, families, depth, name
        As in `Scorer.score`.
    memory_bytes, threads
        Of one task; they change no bit.
    store
        Where the rankings go, in shared storage.
    shared
        Where what the tasks have in common goes, and the marks of those at work.

    Returns
    -------
    list of Task
        Stage by stage; where the registered family is wanted, those that it needs come first.
    """
    make_folder(store.folder, private=True)
    question = scorer.question(queries, excluded=excluded, depth=depth)
    places = [describe_source(some, shared / "sources") for some in (queries, scorer.references)]
    options = replace(scorer.options, memory_bytes=memory_bytes, threads=threads)
    own = None if excluded is None else np.asarray(excluded, dtype=np.int32)
    common = {
        "name": name,
        "queries": places[0].to_json(),
        "references": places[1].to_json(),
        "groups": str(_written(scorer.groups, shared)),
        "excluded": None if own is None else str(_written(own, shared)),
        "channels": list(scorer.channels),
        "depth": question.depth,
        "options": asdict(options),
        "store": str(store.folder.resolve()),
    }
    marks = str((shared / "marks").resolve())
    tasks: list[Task] = []
    by_place: dict[tuple[Stage, int], Task] = {}
    for stage in needed_stages(families):
        for start, stop in part_ranges(stage, len(queries)):
            key = question.key(stage, start, stop)
            before = [
                by_place[earlier, start // PART_QUERIES[earlier]].key
                for earlier in ("oriented", "tiles")
                if stage == "registered"
            ]
            payload = {**common, "stage": stage, "rows": (start, stop), "key": key}
            task = Task(
                f"scores-{key[:32]}", "scores", payload, marks, float(stop - start), tuple(before)
            )
            by_place[stage, start // PART_QUERIES[stage]] = task
            tasks.append(task)
    return tasks


def compute(payload: dict[str, Any]) -> dict[str, Any]:
    """Compute one part of one stage and save it."""
    start, stop = (int(edge) for edge in payload["rows"])
    scorer = _scorer(_Common(payload))
    excluded = payload["excluded"]
    question = scorer.question(
        restore(SourcePlace.from_json(payload["queries"])),
        excluded=None if excluded is None else _read(excluded),
        depth=payload["depth"],
    )
    stage: Stage = payload["stage"]
    if question.key(stage, start, stop) != payload["key"]:
        msg = f"{describe(payload)}: this machine would compute something else; look at versions."
        raise ClusterError(msg)
    scorer.score_part(question, stage, start, stop)
    return {"images": stop - start}


def is_done(payload: dict[str, Any]) -> bool:
    """Whether the rankings are on disk, whole."""
    return load(payload) is not None


def load(payload: dict[str, Any]) -> dict[Family, PatientRanking] | None:
    """Return the rankings from disk, or None."""
    start, stop = payload["rows"]
    store = ScoreStore(Path(payload["store"]))
    stage: Stage = payload["stage"]
    return store.load(payload["key"], families=FAMILIES_OF[stage], rows=stop - start)


def describe(payload: dict[str, Any]) -> str:
    """Say which images are scored."""
    start, stop = payload["rows"]
    return f"{payload['name']}, {payload['stage']} scores of images {start:,} to {stop - 1:,}"


def files(payload: dict[str, Any]) -> tuple[str, ...]:
    """Return the shards of the queries, and where the references lie."""
    start, stop = payload["rows"]
    queries = SourcePlace.from_json(payload["queries"])
    references = SourcePlace.from_json(payload["references"])
    return (*files_behind(queries, (start, stop)), references.location)


def assemble(
    tasks: Sequence[Task], gone: AbstractSet[str], families: tuple[Family, ...]
) -> dict[Family, PatientRanking]:
    """Read all rankings; the rows of tasks that were set aside hold nobody.

    Parameters
    ----------
    tasks
        All tasks of one scoring, stage by stage.
    gone
        Keys of those that were set aside.

    Raises
    ------
    ClusterError
        If rankings cannot be read any more, or a family was not computed for any image.
    """
    found: dict[Family, PatientRanking] = {}
    for family in families:
        some = [task for task in tasks if family in FAMILIES_OF[task.payload["stage"]]]
        loaded = [None if task.key in gone else load(task.payload) for task in some]
        lost = [task for task, one in zip(some, loaded, strict=True) if one is None]
        unreadable = [task for task in lost if task.key not in gone]
        if unreadable or len(lost) == len(some):
            what = (unreadable or lost)[0].payload
            msg = (
                f"There are no scores for {describe(what)} in {what['store']!r}. Look at the "
                "messages above and at the shared storage, and run the same command again."
            )
            raise ClusterError(msg)
        template = next(one[family] for one in loaded if one is not None)
        found[family] = stack_rankings(
            [
                _nobody(template, task) if one is None else one[family]
                for task, one in zip(some, loaded, strict=True)
            ]
        )
    return found


def _nobody(template: PatientRanking, task: Task) -> PatientRanking:
    """Return a ranking without an entry, as wide as the others."""
    start, stop = task.payload["rows"]
    shape = (stop - start, template.depth)
    return PatientRanking(
        np.full(shape, np.nan),
        np.full(shape, -1, dtype=np.int32),
        np.full(shape, -1, dtype=np.int32),
        np.zeros((stop - start, *template.placement.shape[1:]), dtype=np.float32),
    )


class _Common:
    """What a scorer is made of; equal for the tasks of one scoring, so that it is made once."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self._hash = hash_of_json(
            [payload[name] for name in ("references", "groups", "channels", "options", "store")]
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Common) and other._hash == self._hash

    def __hash__(self) -> int:
        return hash(self._hash)


@lru_cache(maxsize=2)
def _scorer(common: _Common) -> Scorer:
    payload = common.payload
    return Scorer(
        restore(SourcePlace.from_json(payload["references"])),
        channels=tuple(payload["channels"]),
        groups=_read(payload["groups"]),
        options=_like(ScorerOptions(), payload["options"]),
        store=ScoreStore(Path(payload["store"])),
    )


def _like(template: Any, values: Any) -> Any:  # noqa: ANN401
    """Make JSON values what they were: dataclasses and tuples as in the template."""
    if is_dataclass(template) and not isinstance(template, type):
        return type(template)(
            **{
                one.name: _like(getattr(template, one.name), values[one.name])
                for one in fields(template)
            }
        )
    if isinstance(values, list):
        return tuple(_like(None, value) for value in values)
    return values


def _written(numbers: NDArray[np.int32], shared: Path) -> Path:
    path = shared / "sources" / f"numbers-{hash_of_numbers(numbers)[:32]}.npy"
    if not path.exists():
        with atomic_write(path, private=True) as stream:
            np.save(stream, numbers, allow_pickle=False)
    return path.resolve()


@lru_cache(maxsize=8)
def _read(path: str) -> NDArray[np.int32]:
    try:
        with Path(path).open("rb") as stream:
            numbers: NDArray[np.int32] = np.load(stream, allow_pickle=False)
    except (OSError, ValueError) as error:
        msg = f"{path!r} cannot be read here ({error}): all machines must see the folder --out."
        raise ClusterError(msg) from error
    return numbers
