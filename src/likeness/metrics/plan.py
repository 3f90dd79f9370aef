"""What an evaluation will compute: sets, extractors, and which images make each line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._progress import SILENT, Progress
from likeness.errors import OptionError
from likeness.metrics.evaluation import Compared
from likeness.metrics.features import FeatureExtractor, FeatureRecipe
from likeness.metrics.principal_components import PrincipalComponents
from likeness.metrics.sets import Given, Sets, open_sets
from likeness.metrics.views import View, in_words, views_for
from likeness.types import Integers

if TYPE_CHECKING:
    from likeness.metrics.options import EvaluateOptions

CHOICE: Final = 3
"""Stream of random numbers that chooses images; `run` draws from those before it."""


@dataclass(frozen=True)
class Plan:
    """What will be computed."""

    sets: Sets
    extractors: list[tuple[FeatureExtractor | FeatureRecipe, list[View]]]
    rows: dict[Compared, tuple[str, Integers]]
    """Per line of the result: which images of which set."""


@contextmanager
def planned(
    real: Given,
    synthetic: Given,
    test: Given | None,
    *,
    extractors: Sequence[FeatureExtractor | FeatureRecipe] | None,
    options: EvaluateOptions,
    progress: Progress = SILENT,
) -> Iterator[Plan]:
    """Open the sets, and prepare those that are none yet for as long as the block lasts."""
    used = list(extractors) if extractors is not None else [PrincipalComponents()]
    names = [extractor.name for extractor in used]
    if not used or len(set(names)) != len(names):
        msg = f"The extractors are {names}; give at least one, with different names."
        raise OptionError(msg)
    with tempfile.TemporaryDirectory(prefix="likeness-") as work:
        sets = open_sets(
            real,
            synthetic,
            test,
            channels=options.channels,
            annotations=options.annotations,
            patient_id=options.patient_id,
            manifest=options.manifest,
            max_skipped=options.max_skipped,
            jobs=options.jobs,
            work=Path(work),
            progress=progress,
        )
        views = [(one, views_for(one, sets.channels, options.channel_mode)) for one in used]
        yield Plan(sets, views, _rows(sets, options.seed))


def _rows(sets: Sets, seed: int) -> dict[Compared, tuple[str, Integers]]:
    """Return which images make each line: numbers of differing set sizes cannot be compared."""
    rows: dict[Compared, tuple[str, Integers]] = {
        "synthetic": ("synthetic", np.arange(len(sets.synthetic)))
    }
    if sets.test is not None:
        size = min(len(sets.synthetic), len(sets.test))
        rng = np.random.default_rng([seed, CHOICE])
        rows["test"] = ("test", _some(len(sets.test), size, rng))
        if size < len(sets.synthetic):
            rows["synthetic_matched"] = ("synthetic", _some(len(sets.synthetic), size, rng))
    return rows


def _some(count: int, size: int, rng: np.random.Generator) -> Integers:
    return np.sort(rng.choice(count, size, replace=False)).astype(np.int64)


def describe(plan: Plan, options: EvaluateOptions) -> dict[str, Any]:
    """Return what will be computed, as JSON values."""
    return {
        "sets": plan.sets.about(),
        "channels": list(plan.sets.channels),
        "channels_left_out": list(plan.sets.left_out),
        "features": [
            {"name": extractor.name, "channels": in_words(views)}
            for extractor, views in plan.extractors
        ],
        "compared": {name: len(rows) for name, (_, rows) in plan.rows.items()},
        "bootstrap": options.bootstrap,
        "k": options.k,
        "seed": options.seed,
    }
