"""`evaluate`: from sets of images to numbers with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from likeness._progress import SILENT, Progress
from likeness._versions import package_version, software_versions
from likeness.datasets.image_set import ImageSet
from likeness.metrics._extra import need_extra
from likeness.metrics.cautions import cautions
from likeness.metrics.draws import counts_of_images, counts_of_patients, interval
from likeness.metrics.evaluation import Compared, Evaluation, Measurement
from likeness.metrics.feature_cache import Extracted, extract
from likeness.metrics.features import FeatureExtractor, FeatureRecipe
from likeness.metrics.measures import (
    HIGHEST,
    LOWEST,
    Counts,
    Measure,
    Number,
    mean_number,
    measure,
)
from likeness.metrics.options import EvaluateOptions
from likeness.metrics.plan import Plan, planned
from likeness.metrics.sets import Given, Sets
from likeness.metrics.views import MEAN, View, in_words
from likeness.types import Integers

_REAL, _SYNTHETIC, _TEST = range(3)
"""Streams of random numbers, one for each purpose; `plan` has one more."""


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
        warnings=tuple(cautions(plan, sizes, measurements)),
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
