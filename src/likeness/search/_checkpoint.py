"""What a killed search leaves for the next one.

A folder with ``block-A-B.npz`` for every finished block of queries A to B, and ``partial.npz`` for
the block at work, which says how many references it has met. Blocks do not influence each other,
and tiles leave no trace in a state, so a run with another memory budget, other threads or another
engine goes on from the same files and ends with the same bits.

Every file names the search it belongs to: a hash over both sets, the options, the own patients and
the version of this format. A file that belongs to another search, or that is damaged, is ignored
and its work done again. Nothing is unpickled.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import atomic_write, hash_of_json, make_folder
from likeness._pace import Pace
from likeness.search._block import BlockState, Job

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT_VERSION: Final = 2
_PARTIAL: Final = "partial.npz"
_BLOCK: Final = re.compile(r"block-(\d+)-(\d+)\.npz")
_DAMAGE: Final = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class Checkpoint:
    """Saves and finds the states of one search; with no folder it does nothing."""

    def __init__(self, folder: Path | None, job: Job) -> None:
        self._folder = folder
        self._job = job
        self._pace = Pace()
        if folder is not None:
            make_folder(folder, private=True)
            self._key = _key(job)

    def finished(self) -> list[BlockState]:
        """Return the finished blocks on disk, without overlap, in order."""
        if self._folder is None:
            return []
        found = []
        for path in self._folder.iterdir():
            match = _BLOCK.fullmatch(path.name)
            if match:
                found.append((int(match[1]), int(match[2]), path))
        states: list[BlockState] = []
        for start, stop, path in sorted(found):
            if states and start < states[-1].stop:
                continue
            state = self._load(path)
            if (
                state is not None
                and (state.start, state.stop) == (start, stop)
                and state.position == len(self._job.references)
            ):
                states.append(state)
        return states

    def partial(self) -> BlockState | None:
        """Return the block that was at work."""
        return None if self._folder is None else self._load(self._folder / _PARTIAL)

    def save_partial(self, state: BlockState) -> None:
        """Save the block at work, unless that was done a short while ago."""
        if self._folder is not None and self._pace.is_due:
            with self._pace.saving():
                self._save(self._folder / _PARTIAL, state)

    def save_finished(self, state: BlockState) -> None:
        """Save a finished block."""
        if self._folder is not None:
            self._save(self._folder / f"block-{state.start}-{state.stop}.npz", state)
            (self._folder / _PARTIAL).unlink(missing_ok=True)
            self._pace.start()

    def _save(self, path: Path, state: BlockState) -> None:
        place = np.array([state.start, state.stop, state.position], dtype=np.int64)
        content: dict[str, Any] = {"key": np.array(self._key), "place": place, **state.arrays()}
        with atomic_write(path, private=True) as stream:
            np.savez(stream, allow_pickle=False, **content)

    def _load(self, path: Path) -> BlockState | None:
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
                if str(content["key"]) != self._key:
                    return None
                start, stop, position = (int(number) for number in content["place"])
                queries, references = len(self._job.queries), len(self._job.references)
                if not (0 <= start < stop <= queries and 0 <= position <= references):
                    return None
                state = BlockState(start, stop, self._job)
                state.position = position
                for name, array in state.arrays().items():
                    if not _fill(array, content[name]):
                        return None
                return state
        except _DAMAGE:
            return None


def _fill(array: NDArray[Any], saved: NDArray[Any]) -> bool:
    if saved.shape != array.shape or saved.dtype != array.dtype:
        return False
    array[...] = saved
    return True


def _key(job: Job) -> str:
    own = None if job.query_groups is None else job.query_groups.tolist()
    options = job.options
    return hash_of_json(
        {
            "format": FORMAT_VERSION,
            "queries": job.queries.fingerprint,
            "references": job.references.fingerprint,
            "own": own,
            "top_k": options.top_k,
            "top_patients": options.top_patients,
            "transforms": list(job.plan.transforms),
            "channels": list(job.plan.channels),
        }
    )
