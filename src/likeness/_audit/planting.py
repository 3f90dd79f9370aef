"""Copies planted by the audit to try itself: made of training images, ranked and judged.

Their rankings depend on the real sets alone, so they are kept with the training set: neither a
restart nor the audit of a second model makes them again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness._audit.deciding import FamilyNull, judge
from likeness._audit.saved_results import SavedResults
from likeness._versions import software_versions
from likeness.alterations import MANDATORY_LEVELS, Level, plant_level
from likeness.datasets import ImageSet
from likeness.scores import FAMILIES, Family, PatientRanking, Scorer
from likeness.scores.stages import hash_of_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likeness._audit.inputs import Inputs
    from likeness._audit.options import AuditOptions
    from likeness._audit.scoring import AllScores
    from likeness.types import Flags, Floats, Images, Integers

FIELDS: Final = ("similarity", "group", "image", "placement")
"""Of a ranking."""


@dataclass(frozen=True)
class PlantedCopies:
    """The copies of one level."""

    level: Level
    kinds: tuple[str, ...]
    """(n,) how each was altered."""
    p: Floats
    """(n,)."""
    right: Flags
    """(n,) whether it points to the person it was made of."""


def plant_copies(
    scores: AllScores,
    nulls: Mapping[Family, FamilyNull],
    inputs: Inputs,
    *,
    inflation: float,
    options: AuditOptions,
) -> list[PlantedCopies]:
    """Make copies of every mandatory level and judge them."""
    groups = scores.people.of_images(inputs.train)
    pictures = np.flatnonzero(scores.train_varies)  # an empty slice cannot be copied
    saved = _saved_copies(scores, inputs, groups, options)
    found = []
    for number, level in enumerate(MANDATORY_LEVELS):
        rng = np.random.default_rng([options.seed, 7, number])
        sources = pictures[_spread(groups[pictures], options.planted, rng)]
        kinds, rankings = _copies(level, sources, groups, rng, scores.scorer, inputs, saved)
        judged = judge(rankings, nulls, inflation=inflation)
        found.append(PlantedCopies(level, kinds, judged.p, judged.group == groups[sources]))
    return found


def _saved_copies(
    scores: AllScores, inputs: Inputs, groups: NDArray[np.int32], options: AuditOptions
) -> SavedResults | None:
    """Return where the rankings of planted copies are kept; None where they cannot be.

    On a cluster a ranking may lack what a broken worker owed.
    """
    store = scores.scorer.store
    if store is None or options.cluster is not None:
        return None
    test = None if inputs.test is None else inputs.test.fingerprint
    common = [inputs.train.fingerprint, test, hash_of_numbers(groups), list(inputs.channels)]
    return SavedResults(
        store.folder.parent / "planted",
        [*common, scores.scorer.options.key(), software_versions()],
    )


def _copies(
    level: Level,
    sources: Integers,
    groups: NDArray[np.int32],
    rng: np.random.Generator,
    scorer: Scorer,
    inputs: Inputs,
    saved: SavedResults | None,
) -> tuple[tuple[str, ...], dict[Family, PatientRanking]]:
    """Return the kind of alteration of every planted copy, and how people rank for it."""
    key = ""
    if saved is not None:
        state = json.dumps(rng.bit_generator.state, default=str)
        key = saved.key(level, sources.tolist(), state)
        found = saved.load(key)
        if found is not None:
            return tuple(found[0]), {
                family: PatientRanking(*(found[1][f"{family}_{name}"] for name in FIELDS))
                for family in FAMILIES
            }
    train = inputs.train
    donors = _donors(train, inputs.test, groups, sources, rng)
    planted = plant_level(train.take(sources), level, rng, donors)
    images = ImageSet.from_arrays(
        planted.images,
        image_ids=[f"planted-{level}-{i}" for i in range(len(planted))],
        channels=train.channels,
    )
    rankings = scorer.score(images, depth=2, name=f"planted copies {level}")
    if saved is not None:
        arrays = {
            f"{family}_{name}": getattr(ranking, name)
            for family, ranking in rankings.items()
            for name in FIELDS
        }
        saved.save(key, list(planted.kinds), arrays)
    return planted.kinds, rankings


def _spread(groups: NDArray[np.int32], count: int, rng: np.random.Generator) -> Integers:
    """Draw images so that all people have about the same number; more than once if need be."""
    shuffled = rng.permutation(len(groups))
    order = np.argsort(groups[shuffled], kind="stable")
    in_order = groups[shuffled][order]
    starts = np.flatnonzero(np.diff(in_order, prepend=-1))
    position = np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups))))
    turns = shuffled[order][np.lexsort((rng.permutation(len(groups)), position))]
    return np.resize(turns, count).astype(np.int64)


def _donors(
    train: ImageSet,
    test: ImageSet | None,
    groups: NDArray[np.int32],
    sources: Integers,
    rng: np.random.Generator,
) -> Images:
    """Draw an image of another person for every source, held-out ones where there are any."""
    if test is not None:
        return test.take(rng.integers(0, len(test), len(sources)))
    chosen = []
    for source in sources:
        others = np.flatnonzero(groups != groups[source])
        chosen.append(int(rng.choice(others)))
    return train.take(np.array(chosen))
