"""`evaluate`: from sets of images to numbers with intervals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._progress import SILENT, Progress
from likeness._versions import package_version, software_versions
from likeness.datasets.image_set import ImageSet
from likeness.errors import OptionError
from likeness.metrics._extra import need_extra
from likeness.metrics.draws import counts_of_images, counts_of_patients, interval
from likeness.metrics.evaluation import Compared, Evaluation, Measurement
from likeness.metrics.feature_cache import Extracted, extract
from likeness.metrics.features import FeatureExtractor, FeatureRecipe
from likeness.metrics.manifolds import NEIGHBOURS
from likeness.metrics.measures import (
    HIGHEST,
    LOWEST,
    Counts,
    Measure,
    Number,
    mean_number,
    measure,
)
from likeness.metrics.principal_components import PrincipalComponents
from likeness.metrics.sets import Given, Sets, open_sets
from likeness.metrics.views import MEAN, ChannelMode, View, in_words, views_for
from likeness.types import Integers

DRAWS: Final = 200
_FEW_PATIENTS: Final = 10
_REAL, _SYNTHETIC, _TEST, _CHOICE = range(4)
"""Streams of random numbers, one for each purpose."""


@dataclass(frozen=True)
class EvaluateOptions:
    """How the numbers are computed."""

    channels: tuple[str, ...] | None = None
    """To evaluate; None for all but annotations."""
    annotations: bool = False
    """Whether annotation channels belong to all."""
    channel_mode: ChannelMode = "auto"
    """``apart``: one channel at a time, and the mean; ``together``: all at once; ``auto``: at once
    where an extractor takes just as many, apart otherwise."""
    k: int = NEIGHBOURS
    """Neighbours for precision, recall, density and coverage."""
    bootstrap: int = DRAWS
    """Draws behind each interval; 0 for none."""
    seed: int = 0
    patient_id: str = "auto"
    """Rule for the patients of real images that have to be prepared."""
    manifest: Path | None = None
    """CSV with the column that `patient_id` names."""
    max_skipped: float = 0.01
    """Share of files per set that may be left out."""
    jobs: int = 1
    """Processes that decode files."""

    def __post_init__(self) -> None:
        if self.k < 1 or self.seed < 0 or not (self.bootstrap == 0 or self.bootstrap >= 20):
            msg = (
                f"k is {self.k}, --bootstrap {self.bootstrap}, --seed {self.seed}: give at least 1 "
                "neighbour, no draw or at least 20, and a seed that is not negative."
            )
            raise OptionError(msg)
        if self.channel_mode not in ("auto", "apart", "together"):
            msg = f"Channels are passed 'auto', 'apart' or 'together', not {self.channel_mode!r}."
            raise OptionError(msg)


def evaluate(
    real: Given,
    synthetic: Given,
    *,
    test: Given | None = None,
    extractors: Sequence[FeatureExtractor | FeatureRecipe] | None = None,
    options: EvaluateOptions | None = None,
    cache: Path | str | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure how close synthetic images come to real ones, as sets.

    Fréchet and kernel distance, precision, recall, density and coverage on each extractor's
    features, and the inception score where an extractor knows classes; each with its sample size
    and a 95 % interval. They say nothing about copies: a set of copies has the best of numbers.

    Parameters
    ----------
    real
        The images that the model was trained on: an `ImageSet` or its folder, a folder of images,
        or an array (N, C, H, W). 8 bits.
    synthetic
        Of the same shape and channels.
    test
        Held-out real images. Their distance from `real` is what a perfect generator would reach;
        without it a distance says little.
    extractors
        See `likeness.metrics.features`; None for principal components of the pixels.
    options
        How the numbers are computed.
    cache
        Folder in which features are kept; None keeps none. They are data of patients.
    progress
        Where progress is shown.

    Raises
    ------
    MissingExtraError
        If torch or torchmetrics are absent.
    OptionError
        If an option is out of range, or two extractors have one name.
    InputError
        If images cannot be read, or do not fit each other or the extractors.
    """
    need_extra("torch", "torchmetrics")
    chosen = options or EvaluateOptions()
    with planned(
        real, synthetic, test, extractors=extractors, options=chosen, progress=progress
    ) as plan:
        return _evaluated(plan, chosen, None if cache is None else Path(cache), progress)


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
        rng = np.random.default_rng([seed, _CHOICE])
        rows["test"] = ("test", _some(len(sets.test), size, rng))
        if size < len(sets.synthetic):
            rows["synthetic_matched"] = ("synthetic", _some(len(sets.synthetic), size, rng))
    return rows


def _some(count: int, size: int, rng: np.random.Generator) -> Integers:
    return np.sort(rng.choice(count, size, replace=False)).astype(np.int64)


def _evaluated(
    plan: Plan, options: EvaluateOptions, cache: Path | None, progress: Progress
) -> Evaluation:
    sets = plan.sets
    counts = _counts(plan, options)
    measurements: list[Measurement] = []
    described = []
    sizes: list[tuple[str, int]] = []
    for extractor, views in plan.extractors:
        numbers: dict[tuple[Compared, str], dict[Measure, Number]] = {}
        records = {}
        width = 0
        for view in views:
            fitted, found = _features(sets, extractor, view, cache, progress)
            records[view.label] = fitted.record
            width = fitted.num_features
            for compared, (role, rows) in plan.rows.items():
                of = found[role]
                logits = of.logits[rows] if of.logits is not None and role != "test" else None
                name = f"{extractor.name} {view.label} {compared}"
                with progress.task(name, 1, unit="distances") as task:
                    numbers[compared, view.label] = measure(
                        found["real"].features,
                        of.features[rows],
                        logits,
                        counts[compared],
                        k=options.k,
                        seed=options.seed,
                        task=task,
                    )
        sizes.append((extractor.name, width))
        described.append(
            {"name": extractor.name, "channels": in_words(views), "extractors": records}
        )
        for compared, (_, rows) in plan.rows.items():
            tables = {view.label: numbers[compared, view.label] for view in views}
            if len(views) > 1:
                parts = list(tables.values())
                means = {name: mean_number([part[name] for part in parts]) for name in parts[0]}
                tables = {MEAN: means, **tables}
            measurements += [
                _measurement(name, number, compared, extractor.name, label, sets, rows, width)
                for label, table in tables.items()
                for name, number in table.items()
            ]
    return Evaluation(
        measurements=tuple(measurements),
        sets=sets.about(),
        features=tuple(described),
        channels=sets.channels,
        channels_left_out=sets.left_out,
        settings={
            "k": options.k,
            "bootstrap": options.bootstrap,
            "seed": options.seed,
            "channel_mode": options.channel_mode,
        },
        warnings=tuple(_warnings(plan, sizes, measurements)),
        software=software_versions()
        | {name: package_version(name) for name in ("torch", "torchmetrics", "onnxruntime")},
    )


def _counts(plan: Plan, options: EvaluateOptions) -> dict[Compared, Counts]:
    """Return how often each image counts in each draw, per line; the same for all channels."""
    sets = plan.sets

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng([options.seed, purpose])

    real = counts_of_patients(sets.real.patient_codes, options.bootstrap, stream(_REAL))
    synthetic = counts_of_images(len(sets.synthetic), options.bootstrap, stream(_SYNTHETIC))
    counts: dict[Compared, Counts] = {}
    for compared, (role, rows) in plan.rows.items():
        if role == "test" and sets.test is not None:
            _, codes = np.unique(sets.test.patient_codes[rows], return_inverse=True)
            drawn = counts_of_patients(codes, options.bootstrap, stream(_TEST))
        elif len(rows) == len(sets.synthetic):
            drawn = synthetic
        else:
            drawn = counts_of_images(len(rows), options.bootstrap, stream(_SYNTHETIC))
        counts[compared] = Counts(real, drawn)
    return counts


def _features(
    sets: Sets,
    extractor: FeatureExtractor | FeatureRecipe,
    view: View,
    cache: Path | None,
    progress: Progress,
) -> tuple[FeatureExtractor, dict[str, Extracted]]:
    def shown(images: ImageSet) -> ImageSet:
        return images.select_channels(view.channels)

    fitted = (
        extractor
        if isinstance(extractor, FeatureExtractor)
        else extractor.fit(shown(sets.real), progress=progress)
    )
    found = {
        role: extract(
            shown(images),
            fitted,
            repeat=view.repeat,
            cache=cache,
            progress=progress,
            name=f"{extractor.name} {view.label} {role}",
        )
        for role, images in sets.items()
    }
    return fitted, found


def _measurement(
    name: Measure,
    number: Number,
    compared: Compared,
    features: str,
    channel: str,
    sets: Sets,
    rows: Integers,
    width: int,
) -> Measurement:
    around = None
    if number.value is not None:
        around = interval(
            number.value,
            number.replicates,
            lowest=LOWEST.get(name, 0.0),
            highest=HIGHEST.get(name, np.inf),
        )
    return Measurement(
        measure=name,
        compared=compared,
        features=features,
        channel=channel,
        value=number.value,
        low=around.low if around else None,
        high=around.high if around else None,
        draws=around.draws if around else 0,
        interval=around.how if around else None,
        num_real=len(sets.real),
        num_compared=len(rows),
        num_features=width,
        deviation=number.deviation,
        note=number.note,
    )


def _warnings(
    plan: Plan, sizes: list[tuple[str, int]], measurements: list[Measurement]
) -> list[str]:
    sets = plan.sets
    said: list[str] = []
    for name, width in sizes:
        fewest = min(len(sets.real), *(len(rows) for _, rows in plan.rows.values()))
        if fewest <= width:
            said.append(
                f"{fewest:,} images for {width:,} features ({name}): the covariance is singular "
                "and the Fréchet distance too large, the more so the fewer the images. Compare it "
                "with nothing but distances of equally many images; the kernel distance has no "
                "such bias."
            )
    if sets.test is None:
        said.append(
            "No held-out images were given (--test): what a perfect generator would reach is not "
            "known, and the numbers say little by themselves."
        )
    else:
        if "synthetic_matched" in plan.rows:
            said.append(
                f"There are fewer held-out images than synthetic ones: compare the baseline with "
                f"the line of {len(plan.rows['test'][1]):,} synthetic images."
            )
        known = {patient for patient in sets.real.patient_ids if patient is not None}
        shared = known & set(sets.test.patient_ids)
        if shared:
            said.append(
                f"{len(shared):,} patients are in the real and in the held-out images: the "
                "baseline is too good."
            )
    for role, images in sets.items():
        if role == "synthetic":
            continue
        if not images.has_patient_ids:
            said.append(
                f"The patients of the {role} images are not known: each image counts as one, and "
                "intervals are too narrow if there are several of a patient."
            )
        elif images.num_patients < _FEW_PATIENTS:
            said.append(
                f"There are only {images.num_patients} patients in the {role} images: intervals "
                "are too narrow."
            )
    notes = {one.note for one in measurements if one.note is not None}
    return said + sorted(f"Note: {note}." for note in notes)


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
