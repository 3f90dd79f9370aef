"""Small results on disk, so that an audit that was killed does not compute them again.

One file each, named by the hash of all that its numbers depend on: pairs of the evidence in
``work/pairs``, with the pictures of those that are shown and as private as the evidence; planted
copies, without pictures, beside the scores of the training set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import hash_of_json, make_folder
from likeness._sealed_arrays import read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VERSION: Final = 1
"""To be raised with any change of what is computed."""
_RECORD: Final = "record"


class SavedResults:
    """A folder of results.

    Parameters
    ----------
    common
        JSON values: what all numbers depend on, the sets among it.
    """

    def __init__(self, folder: Path, common: list[Any]) -> None:
        self._folder, self._common = folder, common

    def key(self, *what: Any) -> str:  # noqa: ANN401
        """Return the name of one result, given what only its own numbers depend on, JSON values."""
        return hash_of_json([VERSION, self._common, list(what)])

    def load(self, key: str) -> tuple[Any, dict[str, NDArray[Any]]] | None:
        """Return the JSON value and the arrays saved under a key, or None."""
        found = read_arrays(self._path(key))
        if found is None or str(found[0].get("key")) != key:
            return None
        arrays, _ = found
        return json.loads(str(arrays.pop(_RECORD))), {
            name: array for name, array in arrays.items() if name != "key"
        }

    def save(self, key: str, record: Any, arrays: dict[str, NDArray[Any]] | None = None) -> None:  # noqa: ANN401
        """Save a JSON value and arrays under a key.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        make_folder(self._folder, private=True)
        named = {"key": np.array(key), _RECORD: np.array(json.dumps(record, allow_nan=False))}
        write_arrays(self._path(key), {**(arrays or {}), **named}, several_writers=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:32]}.npz"
