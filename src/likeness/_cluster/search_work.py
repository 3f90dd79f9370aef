"""A search, cut into tasks; one of them done; and all of them put together."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness._cluster.cutting import Cut, cut_search, uniform_edges
from likeness._cluster.sources import SourcePlace, edges_of, files_behind, restore
from likeness._cluster.sources import describe as describe_source
from likeness._cluster.tasks import Task
from likeness._files import atomic_write, make_folder, writing_to
from likeness.datasets.layout import shard_capacity
from likeness.errors import ClusterError
from likeness.search import SearchOptions
from likeness.search.part_files import load_part, part_key, save_part
from likeness.search.part_merging import merge_parts, result_of_parts
from likeness.search.parts import Part, Range, search_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from likeness.search import ImageSource, SearchResult
    from likeness.search.plan import SearchPlan


def plan_tasks(
    queries: ImageSource,
    references: ImageSource,
    *,
    name: str,
    options: SearchOptions,
    query_groups: NDArray[np.integer] | None,
    engine: str,
    memory_bytes: int,
    threads: int,
    folder: Path,
    shared: Path,
    cut: Cut,
) -> list[Task]:
    """Cut a search into tasks and write down what they have in common.

    Parameters
    ----------
    name
        Of the comparison, for messages.
    folder
        Where the parts go.
    shared
        Where what the tasks have in common goes, and the marks of those at work.
    engine, memory_bytes, threads
        Of one task; they change no bit.
    """
    make_folder(folder, private=True)
    places = [describe_source(source, shared / "sources") for source in (queries, references)]
    key = part_key(queries, references, options, query_groups)
    groups = None
    if query_groups is not None:
        groups = str(_written_groups(np.asarray(query_groups, dtype=np.int64), shared, key))
    image_bytes = int(np.prod(references.image_shape)) * references.dtype.itemsize
    edges = edges_of(references) or uniform_edges(len(references), shard_capacity(image_bytes))
    common = {
        "name": name,
        "key": key,
        "queries": places[0].to_json(),
        "references": places[1].to_json(),
        "groups": groups,
        "options": asdict(options),
        "engine": engine,
        "memory_bytes": memory_bytes,
        "threads": threads,
    }
    tasks = []
    for rows, columns in cut_search(len(queries), edges, image_bytes, cut):
        stem = f"search-{key[:16]}-{rows[0]}-{rows[1]}-{columns[0]}-{columns[1]}"
        output = folder.resolve() / f"{stem}.npz"
        payload = {**common, "rows": rows, "columns": columns, "output": str(output)}
        weight = float((rows[1] - rows[0]) * (columns[1] - columns[0]))
        tasks.append(Task(stem, "search", payload, str((shared / "marks").resolve()), weight))
    return tasks


def compute(payload: dict[str, Any]) -> dict[str, Any]:
    """Search one part and write it."""
    queries, references = (restore(place) for place in _places(payload))
    options = payload["options"]
    part = search_part(
        queries,
        references,
        _range(payload["rows"]),
        _range(payload["columns"]),
        options=SearchOptions(
            **{
                **options,
                "transforms": tuple(options["transforms"]),
                "channels": None if options["channels"] is None else tuple(options["channels"]),
            }
        ),
        engine=payload["engine"],
        memory_bytes=payload["memory_bytes"],
        threads=payload["threads"],
        query_groups=None if payload["groups"] is None else _read_groups(payload["groups"]),
    )
    output = Path(payload["output"])
    # A name of its own: the same task may be at work on a machine that was thought dead.
    own = output.with_name(f"{output.name}.{uuid.uuid4().hex}")
    try:
        save_part(own, part, payload["key"])
        with writing_to(output):
            own.replace(output)
    finally:
        with contextlib.suppress(OSError):
            own.unlink(missing_ok=True)
    return {"pairs": part.pairs}


def is_done(payload: dict[str, Any]) -> bool:
    """Whether the part is on disk, whole."""
    return load(payload) is not None


def load(payload: dict[str, Any]) -> Part | None:
    """Return the part from disk, or None."""
    part = load_part(Path(payload["output"]), payload["key"])
    if part is None or (part.rows, part.columns) != (
        _range(payload["rows"]),
        (_range(payload["columns"]),),
    ):
        return None
    return part


def describe(payload: dict[str, Any]) -> str:
    """Say which images are compared."""
    rows, columns = payload["rows"], payload["columns"]
    return (
        f"{payload['name']}, queries {rows[0]:,} to {rows[1] - 1:,} against images "
        f"{columns[0]:,} to {columns[1] - 1:,}"
    )


def files(payload: dict[str, Any]) -> tuple[str, ...]:
    """Return the shards that are read."""
    queries, references = _places(payload)
    found = (
        *files_behind(references, _range(payload["columns"])),
        *files_behind(queries, _range(payload["rows"])),
    )
    return tuple(dict.fromkeys(found))


def assemble(
    tasks: Sequence[Task],
    queries: ImageSource,
    references: ImageSource,
    *,
    options: SearchOptions,
    plan: SearchPlan,
    engine_check: str,
    seconds: float,
) -> SearchResult:
    """Merge the parts that are there; what is not stays absent.

    Parameters
    ----------
    tasks
        Those that are done.

    Raises
    ------
    ClusterError
        If the part of one of them cannot be read any more, or there is none at all.
    """
    if not tasks:
        msg = (
            f"No part of a search of {len(queries):,} among {len(references):,} images could be "
            "computed; look at the messages above, and run the same command again."
        )
        raise ClusterError(msg)
    by_rows: dict[Range, list[Task]] = {}
    for task in tasks:
        by_rows.setdefault(_range(task.payload["rows"]), []).append(task)

    def merged() -> Iterator[Part]:
        for some in by_rows.values():
            whole = _loaded(some[0])
            for task in some[1:]:  # two at a time: lists are short, but parts may be many
                whole = merge_parts([whole, _loaded(task)])
            yield whole

    return result_of_parts(
        merged(),
        queries,
        references,
        options=options,
        plan=plan,
        engine_check=engine_check,
        seconds=seconds,
    )


def _loaded(task: Task) -> Part:
    part = load(task.payload)
    if part is None:
        msg = (
            f"{task.payload['output']!r} was finished and cannot be read here. Look at the shared "
            "storage, and run the same command again."
        )
        raise ClusterError(msg)
    return part


def _places(payload: dict[str, Any]) -> tuple[SourcePlace, SourcePlace]:
    return (
        SourcePlace.from_json(payload["queries"]),
        SourcePlace.from_json(payload["references"]),
    )


def _range(values: Sequence[int]) -> Range:
    return int(values[0]), int(values[1])


def _written_groups(groups: NDArray[np.int64], shared: Path, key: str) -> Path:
    path = shared / "sources" / f"own-{key[:32]}.npy"
    if not path.exists():
        with atomic_write(path, private=True) as stream:
            np.save(stream, groups, allow_pickle=False)
    return path.resolve()


@lru_cache(maxsize=8)
def _read_groups(path: str) -> NDArray[np.int64]:
    try:
        with Path(path).open("rb") as stream:
            groups: NDArray[np.int64] = np.load(stream, allow_pickle=False)
    except (OSError, ValueError) as error:
        msg = f"{path!r} cannot be read here ({error}): all machines must see the folder --out."
        raise ClusterError(msg) from error
    return groups
