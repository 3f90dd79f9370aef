"""Finished scores on disk, so that a killed audit does not begin anew and a second one finds them.

One NPZ file per part, named by the hash of everything that the scores depend on, with the SHA-256
of its bytes behind them; beside it, until it is there, the state of the part at work. Several
processes may use one folder: a file appears complete or not at all, and whoever computes a part
that another one has just saved replaces it with the same numbers. A damaged file is ignored and its
work done again. Nothing is unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._files import make_folder, writing_to
from likeness._sealed_arrays import read_arrays, write_arrays
from likeness.scores.ranking import FAMILIES, Family, PatientRanking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT_VERSION: Final = 2
BEGUN: Final = ".begun.npz"
"""How the names of states end."""
_FIELDS: Final = {
    "similarity": (np.float64, 2),
    "group": (np.int32, 2),
    "image": (np.int32, 2),
    "placement": (np.float32, 3),
}


@dataclass(frozen=True)
class ScoreStore:
    """A folder of finished parts; it holds indices and correlations, no pixel."""

    folder: Path

    def load(
        self, key: str, *, families: tuple[Family, ...], rows: int
    ) -> dict[Family, PatientRanking] | None:
        """Return the part of `rows` queries saved under `key`, or None."""
        found = _read(self._path(key), key)
        if found is None:
            return None
        try:
            return {
                family: PatientRanking(
                    *(
                        _checked(found[f"{family}_{field}"], rows, dtype, axes)
                        for field, (dtype, axes) in _FIELDS.items()
                    )
                )
                for family in families
            }
        except (KeyError, ValueError):  # a part of other families, or of another number of rows
            return None

    def save(self, key: str, rankings: dict[Family, PatientRanking]) -> None:
        """Save a part under `key`, atomically."""
        content = {
            f"{family}_{field}": getattr(rankings[family], field)
            for family in FAMILIES
            if family in rankings
            for field in _FIELDS
        }
        self._write(self._path(key), key, content)

    def load_state(self, key: str, rows: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """Return the arrays saved last of some queries of the part at work; none if there are none.

        Parameters
        ----------
        key
            Of the part.
        rows
            First and last + 1 of the queries, counted within the part.
        """
        return _read(self._state_path(key, rows), key) or {}

    def save_state(
        self, key: str, rows: tuple[int, int], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """Save arrays of a part at work, atomically."""
        self._write(self._state_path(key, rows), key, arrays)

    def remove_states(self, key: str) -> None:
        """Remove what was saved of the part while it was at work."""
        with writing_to(self.folder):
            for path in self.folder.glob(f"{key[:32]}-*{BEGUN}"):
                path.unlink(missing_ok=True)

    def has(self, key: str) -> bool:
        """Whether something is saved under `key`; it may be damaged."""
        return self._path(key).is_file()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.npz"

    def _state_path(self, key: str, rows: tuple[int, int]) -> Path:
        return self.folder / f"{key[:32]}-{rows[0]}-{rows[1]}{BEGUN}"

    def _write(self, path: Path, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        make_folder(self.folder, private=True)
        names = {"format": np.array(FORMAT_VERSION), "key": np.array(key)}
        write_arrays(path, {**arrays, **names}, several_writers=True)


def _read(path: Path, key: str) -> dict[str, NDArray[Any]] | None:
    """Return all arrays of a file, or None where it is not that of the key, whole."""
    found = read_arrays(path)
    if found is None:
        return None
    arrays, _ = found
    names = {name: arrays.pop(name, None) for name in ("format", "key")}
    return arrays if [*map(str, names.values())] == [str(FORMAT_VERSION), key] else None


def _checked(values: NDArray[Any], rows: int, dtype: type, axes: int) -> NDArray[Any]:
    if values.dtype != dtype or values.ndim != axes or len(values) != rows:
        msg = f"an array of {values.dtype} with shape {values.shape}"
        raise ValueError(msg)
    return values
