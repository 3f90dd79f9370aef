"""Parts of a search on disk: a key that names the search, and one file for each part.

A part that another search left, or that is damaged, counts as absent: it is computed again.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._files import atomic_write, hash_of_json
from likeness.search.options import SearchOptions
from likeness.search.parts import Part
from likeness.search.source import chosen_channels
from likeness.similarity.transforms import possible_transforms

if TYPE_CHECKING:
    from pathlib import Path

    from likeness.search.source import ImageSource

FORMAT_VERSION: Final = 1
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def part_key(
    queries: ImageSource,
    references: ImageSource,
    options: SearchOptions | None,
    query_groups: NDArray[np.integer] | None,
) -> str:
    """Return the hash of everything that the parts of one search depend on, but their ranges."""
    options = options or SearchOptions()
    return hash_of_json(
        {
            "format": FORMAT_VERSION,
            "queries": queries.fingerprint,
            "references": references.fingerprint,
            "own": None if query_groups is None else np.asarray(query_groups).tolist(),
            "top_k": options.top_k,
            "top_patients": options.top_patients,
            "transforms": list(possible_transforms(options.transforms, *queries.image_shape[1:])),
            "channels": list(chosen_channels(queries, options)),
        }
    )


def save_part(path: Path, part: Part, key: str) -> None:
    """Write a part of the search `key`, atomically; it holds indices and correlations, no pixel."""
    with atomic_write(path, private=True) as stream:
        np.savez(
            stream,
            allow_pickle=False,
            key=np.array(key),
            rows=np.array(part.rows, dtype=np.int64),
            columns=np.array(part.columns, dtype=np.int64).reshape(-1, 2),
            undefined_queries=part.undefined_queries,
            undefined_references=part.undefined_references,
            counts=np.array([part.pairs, part.compared], dtype=np.int64),
            engines=np.array(part.engines, dtype=np.str_),
            **{f"array {name}": array for name, array in part.arrays.items()},
        )


def load_part(path: Path, key: str) -> Part | None:
    """Read a part of the search `key`; None where there is none, or another's, or damage."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            start, stop = (int(number) for number in content["rows"])
            pairs, compared = (int(number) for number in content["counts"])
            return Part(
                rows=(start, stop),
                columns=tuple((int(first), int(last)) for first, last in content["columns"]),
                arrays={
                    name.removeprefix("array "): content[name]
                    for name in content.files
                    if name.startswith("array ")
                },
                undefined_queries=content["undefined_queries"],
                undefined_references=content["undefined_references"],
                pairs=pairs,
                compared=compared,
                engines=tuple(str(name) for name in content["engines"]),
            )
    except _DAMAGE:
        return None
