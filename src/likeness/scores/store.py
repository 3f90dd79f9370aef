"""Finished scores on disk, so that a killed audit does not begin anew and a second one finds them.

One NPZ file per part, named by the hash of everything that the scores depend on, with the SHA-256
of its bytes behind them. Several processes may use one folder: a file appears complete or not at
all, and whoever computes a part that another one has just saved replaces it with the same numbers.
A damaged file is ignored and its work done again. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness._files import atomic_write, make_folder
from likeness.scores.ranking import FAMILIES, Family, PatientRanking

if TYPE_CHECKING:
    from pathlib import Path

FORMAT_VERSION: Final = 2
_DIGEST: Final = 32
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
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
        try:
            content = self._path(key).read_bytes()
            whole, digest = content[:-_DIGEST], content[-_DIGEST:]
            # Before anything is read out of it: damaged archives fail in too many ways.
            if hashlib.sha256(whole).digest() != digest:
                return None
            with np.load(io.BytesIO(whole), allow_pickle=False) as file:
                if int(file["format"]) != FORMAT_VERSION or str(file["key"]) != key:
                    return None
                return {
                    family: PatientRanking(
                        *(
                            _checked(file[f"{family}_{field}"], rows, dtype, axes)
                            for field, (dtype, axes) in _FIELDS.items()
                        )
                    )
                    for family in families
                }
        except _DAMAGE:
            return None

    def save(self, key: str, rankings: dict[Family, PatientRanking]) -> None:
        """Save a part under `key`, atomically."""
        make_folder(self.folder, private=True)
        content = {
            f"{family}_{field}": getattr(rankings[family], field)
            for family in FAMILIES
            if family in rankings
            for field in _FIELDS
        }
        content |= {"format": np.array(FORMAT_VERSION), "key": np.array(key)}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **content)
        whole = buffer.getvalue()
        with atomic_write(self._path(key), private=True, several_writers=True) as stream:
            stream.write(whole + hashlib.sha256(whole).digest())

    def has(self, key: str) -> bool:
        """Whether something is saved under `key`; it may be damaged."""
        return self._path(key).is_file()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.npz"


def _checked(values: NDArray[Any], rows: int, dtype: type, axes: int) -> NDArray[Any]:
    if values.dtype != dtype or values.ndim != axes or len(values) != rows:
        msg = f"an array of {values.dtype} with shape {values.shape}"
        raise ValueError(msg)
    return values
