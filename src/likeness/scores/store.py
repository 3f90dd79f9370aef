"""Finished scores on disk, so that a killed audit does not begin anew.

One NPZ file per part, named by the hash of everything that the scores depend on. A damaged file is
ignored and its work done again. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness._files import atomic_write, make_folder
from likeness.scores.ranking import FAMILIES, Family, PatientRanking

if TYPE_CHECKING:
    from pathlib import Path

FORMAT_VERSION: Final = 1
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_FIELDS: Final = ("similarity", "group", "image", "placement")


@dataclass(frozen=True)
class ScoreStore:
    """A folder of finished parts; it holds indices and correlations, no pixel."""

    folder: Path

    def load(self, key: str) -> dict[Family, PatientRanking] | None:
        """Return the part saved under `key`, or None."""
        try:
            with self._path(key).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                if int(file["format"]) != FORMAT_VERSION:
                    return None
                return {
                    family: PatientRanking(*(file[f"{family}_{field}"] for field in _FIELDS))
                    for family in FAMILIES
                    if f"{family}_similarity" in file
                }
        except _DAMAGE:
            return None

    def save(self, key: str, rankings: dict[Family, PatientRanking]) -> None:
        """Save a part under `key`, atomically."""
        make_folder(self.folder, private=True)
        content = {
            f"{family}_{field}": getattr(ranking, field)
            for family, ranking in rankings.items()
            for field in _FIELDS
        }
        with atomic_write(self._path(key), private=True) as stream:
            np.savez(stream, allow_pickle=False, format=np.array(FORMAT_VERSION), **content)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.npz"
