"""The paper's four findings, decided by rules that were fixed before the runs (docs/results.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from likeness.calibration.memorization import Draws, Estimate, Memorization, difference
from likeness.experiments.configurations import MODEL_NAMES, Run
from likeness.experiments.results import Results, RunResult

Answer = Literal["supported", "contradicted", "undecided"]
Code = Literal["F1", "F2", "F3", "F4"]

FINDINGS: Final[dict[Code, str]] = {
    "F1": "Diffusion models memorize more than GANs",
    "F2": "Fewer training images, more memorization",
    "F3": "Slices of volumes are memorized more than independent images",
    "F4": "Bigger models memorize more",
}


@dataclass(frozen=True)
class Comparison:
    """Two runs, or two moments of runs; the finding says that the first memorizes more."""

    finding: Code
    first: str
    second: str
    basis: str
    """``whole training``, ``equal images seen`` or ``equal epochs``."""
    difference: Estimate
    """AUC of the first minus that of the second."""
    answer: Answer
    confounded: bool | None
    """For F1 whether the quality of the two differs too much; None: not asked, or not known."""
    whatever_seed: str
    """What is compared, without the seeds: equal for repetitions of one comparison."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def compare_all(results: Results) -> list[Comparison]:
    """Return every comparison that the runs allow, by finding."""
    return [
        *_models(results),
        *_numbers(results),
        *_volumes(results),
        *_widths(results),
    ]


def conclude(comparisons: list[Comparison], code: Code) -> Answer | Literal["not run"]:
    """Return what a finding's comparisons say together: all must support it."""
    answers = {one.answer for one in comparisons if one.finding == code}
    if not answers:
        return "not run"
    if answers == {"supported"}:
        # Two widths alone cannot decide, with however many seeds.
        pairs = len({one.whatever_seed for one in comparisons if one.finding == code})
        return "undecided" if code == "F4" and pairs < 2 else "supported"
    return "contradicted" if answers == {"contradicted"} else "undecided"


def _models(results: Results) -> Iterator[Comparison]:
    for first in results.runs:
        second = results.of(first.run.data, "stylegan3", "medium", first.run.seed)
        if (first.run.model, first.run.size) != ("ddpm", "medium") or second is None:
            continue
        confounded = _quality_differs(first, second)
        yield _comparison("F1", first, second, "whole training", confounded=confounded)
        common = set(first.curve.seen) & set(second.curve.seen)
        if common:
            yield _comparison("F1", first, second, "equal images seen", seen=(max(common),) * 2)


def _numbers(results: Results) -> Iterator[Comparison]:
    for fewer in results.runs:
        for more in results.runs:
            if not _same(fewer, more, "model", "size", "seed") or not _same_source(
                results, fewer, more
            ):
                continue
            if fewer.training_images >= more.training_images:
                continue
            common = set(fewer.curve.seen) & set(more.curve.seen)
            if common:
                yield _comparison("F2", fewer, more, "equal images seen", seen=(max(common),) * 2)
            for seen in sorted(more.curve.seen, reverse=True):
                epochs = seen / more.training_images
                early = round(epochs * fewer.training_images)
                if early in fewer.curve.seen:
                    yield _comparison("F2", fewer, more, "equal epochs", seen=(early, seen))
                    break


def _volumes(results: Results) -> Iterator[Comparison]:
    for slices in results.runs:
        for single in results.runs:
            if (
                _same(slices, single, "model", "size", "seed")
                and slices.training_images == single.training_images
                and _is_volume(results, slices)
                and not _is_volume(results, single)
            ):
                yield _comparison("F3", slices, single, "whole training")


def _widths(results: Results) -> Iterator[Comparison]:
    order = ("small", "medium", "large")
    for bigger in results.runs:
        place = order.index(bigger.run.size)
        if place == 0:
            continue
        smaller = results.of(bigger.run.data, bigger.run.model, order[place - 1], bigger.run.seed)
        if smaller is not None:
            yield _comparison("F4", bigger, smaller, "whole training")


def _comparison(
    code: Code,
    first: RunResult,
    second: RunResult,
    basis: str,
    *,
    seen: tuple[int, int] | None = None,
    confounded: bool | None = None,
) -> Comparison:
    a, b = _at(first, seen and seen[0]), _at(second, seen and seen[1])
    found = difference(*a, *b)
    answer: Answer = "undecided"
    if found.low > 0:
        answer = "supported"
    elif found.high < 0:
        answer = "contradicted"
    seen_first, seen_second = seen or (None, None)
    repeated = (
        _label(replace(first.run, seed=0), seen_first),
        _label(replace(second.run, seed=0), seen_second),
        basis,
    )
    return Comparison(
        code,
        _label(first.run, seen_first),
        _label(second.run, seen_second),
        basis,
        found,
        answer,
        confounded,
        whatever_seed=" | ".join(repeated),
    )


def _at(result: RunResult, seen: int | None) -> tuple[Memorization, Draws]:
    found = None if seen is None else result.curve.at(seen)
    return (result.found, result.draws) if found is None else found


def _label(run: Run, seen: int | None) -> str:
    label = f"{run.data} {MODEL_NAMES[run.model]} {run.size}"
    if run.seed:
        label += f", seed {run.seed}"
    return f"{label}, {run.images if seen is None else seen:,} images seen"


def _same(first: RunResult, second: RunResult, *names: str) -> bool:
    return all(getattr(first.run, name) == getattr(second.run, name) for name in names)


def _same_source(results: Results, first: RunResult, second: RunResult) -> bool:
    named = results.configuration.data_named
    return named(first.run.data).source == named(second.run.data).source


def _is_volume(results: Results, result: RunResult) -> bool:
    configuration = results.configuration
    source = configuration.sources[configuration.data_named(result.run.data).source]
    return source.collection != "cxr"


def _quality_differs(first: RunResult, second: RunResult) -> bool | None:
    distances = []
    for one in (first, second):
        if one.evaluation is None:
            return None
        distances.append(float(one.evaluation["frechet_distance"]["value"]))
    low, high = sorted(distances)
    return high > 2 * low
