"""The pieces in which scores are computed and saved.

A scoring has up to three *stages*: ``oriented`` (the plain and the dihedral family, which come from
the same products), ``tiles``, and ``registered``, whose candidates come from the other two. Each is
cut into parts of so many queries; a part is saved under a key that names everything its numbers
depend on, and nothing else. So a store serves another audit with the same real images, and a part
means the same wherever it was computed.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likeness._files import hash_of_json

if TYPE_CHECKING:
    from likeness.scores.ranking import Family
    from likeness.scores.scorer import ScorerOptions
    from likeness.search.source import ImageSource

Stage = Literal["oriented", "tiles", "registered"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""In the order in which they are computed."""

FAMILIES_OF: Final[dict[Stage, tuple[Family, ...]]] = {
    "oriented": ("plain", "dihedral"),
    "tiles": ("tiles",),
    "registered": ("registered",),
}

PART_QUERIES: Final[dict[Stage, int]] = {"oriented": 1024, "tiles": 512, "registered": 128}
"""Queries of a part: what a killed run loses at most per stage. Each is a multiple of those behind
it, so that a part of one stage lies in one part of every earlier stage. The first two read the
references once per part, so theirs are large."""

_ALGORITHM: Final = 1
"""To be raised with any change of the numbers that a stage gives."""


@dataclass(frozen=True)
class Question:
    """Queries and everything on which their scores depend."""

    queries: ImageSource
    references: ImageSource
    channels: tuple[int, ...]
    groups_hash: str
    """Of the group of every reference."""
    excluded: NDArray[np.int32] | None
    """(n,) group that a query must not meet, -1 for none."""
    depth: int
    """Groups kept in the oriented families."""
    options: ScorerOptions

    def key(self, stage: Stage, start: int, stop: int) -> str:
        """Return the name of the part of queries `start` to `stop` - 1 of one stage."""
        own = None if self.excluded is None else hash_of_numbers(self.excluded[start:stop])
        return hash_of_json(
            {
                "algorithm": _ALGORITHM,
                "queries": self.queries.fingerprint,
                "references": self.references.fingerprint,
                "groups": self.groups_hash,
                "channels": list(self.channels),
                "rows": [start, stop],
                "excluded": own,
                "stage": stage,
                "settings": self._settings(stage),
            }
        )

    def _settings(self, stage: Stage) -> dict[str, object]:
        options = self.options
        oriented = {"grid": options.grid, "transforms": list(options.transforms)}
        if stage == "oriented":
            return {**oriented, "depth": self.depth}
        tiles = {"tiles": asdict(options.tiles), "local_depth": options.local_depth}
        if stage == "tiles":
            return {"grid": options.grid, **tiles}
        registration = asdict(options.registration)
        # Of the oriented rankings only the first few groups matter.
        return {
            **oriented,
            **tiles,
            "depth": min(self.depth, options.registration.proposed),
            "registration": registration,
        }


def needed_stages(families: tuple[Family, ...]) -> tuple[Stage, ...]:
    """Return the stages that give these families, with those that they need themselves."""
    if "registered" in families:
        return STAGES
    return tuple(stage for stage in STAGES if set(FAMILIES_OF[stage]) & set(families))


def part_ranges(stage: Stage, count: int) -> list[tuple[int, int]]:
    """Return first and last + 1 query of every part."""
    size = PART_QUERIES[stage]
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def part_around(stage: Stage, row: int, count: int) -> tuple[int, int]:
    """Return first and last + 1 query of the part in which a query lies."""
    size = PART_QUERIES[stage]
    first = row // size * size
    return first, min(first + size, count)


def hash_of_numbers(values: NDArray[np.int32]) -> str:
    """Return a SHA-256 of numbers, the same on every machine."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i4").tobytes()).hexdigest()
