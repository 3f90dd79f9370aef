"""Stages that search: held-out images and samples among the training images of a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from likeness._files import sha256_of_file, write_json
from likeness.calibration.memorization import memorization
from likeness.datasets import ImageSet
from likeness.datasets.phantoms.planted import add_noise
from likeness.experiments.configurations import Configuration, Data, Run
from likeness.experiments.images import held_out_images, training_images
from likeness.experiments.sharpness import blur_like
from likeness.experiments.stages import Stage, Task
from likeness.search import SearchOptions, search
from likeness.types import Floats

LISTS: Final = "correlations.json"
_PLANTED: Final = 10
_NOISE: Final = 0.1
"""Standard deviation of the noise on planted copies, relative to that of the pixels."""


def baseline_stage(data: Data) -> Stage:
    """Return the stage ``baseline/DATA``: held-out images, and planted copies, among training."""

    def work(task: Task) -> str:
        needed = dict(task.needed)
        train, test = training_images(data, needed), held_out_images(data, needed)
        found = highest(test, train, task)
        chosen = np.linspace(0, len(train) - 1, min(_PLANTED, len(train))).astype(np.int64)
        noisy = np.stack(
            [add_noise(one, _NOISE, seed=k) for k, one in enumerate(train.take(chosen))]
        )
        planted = highest(like(train, noisy), train, task)
        codes = test.patient_codes
        halves = np.random.default_rng(0).permutation(test.num_patients)[codes] % 2
        r = np.asarray(found["highest"])
        if 0 < halves.sum() < len(halves):
            control, _ = memorization(r[halves == 0], r[halves == 1], codes[halves == 1])
            negative = control.to_json()
        else:
            negative = None
        level = float(np.quantile(r, 0.99, method="inverted_cdf"))
        return _write(
            task.folder,
            {
                **found,
                "patients": [int(code) for code in codes],
                "planted": {
                    **planted,
                    "above": sum(one > level for one in planted["highest"]),
                    "right": sum(
                        int(a) == int(b) for a, b in zip(planted["training"], chosen, strict=True)
                    ),
                },
                "halves": negative,
            },
        )

    return Stage(
        f"baseline/{data.name.lower()}",
        {"planted": _PLANTED, "noise": _NOISE},
        work,
        _data_stages(data),
        ("likeness", "numpy"),
    )


def compare_stage(configuration: Configuration, run: Run, seen: int | None = None) -> Stage:
    """Return the stage ``compare/RUN``: samples among the training images, beside held-out ones."""
    data = configuration.data_named(run.data)
    name = run.name if seen is None else f"{run.name}-at-{seen}"

    def work(task: Task) -> str:
        needed = dict(task.needed)
        train = training_images(data, needed)
        samples = ImageSet.open(needed[f"sample/{name}"] / "set")
        content: dict[str, Any] = highest(samples, train, task)
        if seen is None:
            test = held_out_images(data, needed)
            blurred, sd = blur_like(test, samples)
            content["blurred"] = {"sd": sd, **highest(blurred, train, task)}
            content["held_out"] = highest(samples, test, task)
        return _write(task.folder, content)

    return Stage(
        f"compare/{name}",
        {"blurred": seen is None},
        work,
        (*_data_stages(data), f"sample/{name}"),
        ("likeness", "numpy", "scipy"),
    )


def highest(queries: ImageSet, references: ImageSet, task: Task) -> dict[str, Any]:
    """Return for every query its highest correlation and the three most correlated references.

    Flips and turns are not tried, as in the paper. A query without any contrast has none: it counts
    as 0, the value of an image that resembles nothing.
    """
    found = search(
        queries,
        references,
        options=SearchOptions(top_k=min(3, len(references)), transforms=("identity",)),
        progress=task.progress,
    )
    r = np.where(found.identity_index < 0, 0.0, found.identity)
    return {
        "highest": [float(one) for one in r],
        "training": [int(one) for one in found.identity_index],
        "next": found.top.reference_index.tolist(),
        "undefined": int(found.undefined_queries.sum()),
    }


def like(images: ImageSet, pixels: Any) -> ImageSet:  # noqa: ANN401
    """Return other pixels as a set with the channels of `images`."""
    return ImageSet.from_arrays(pixels, channels=images.channels)


def read_lists(folder: Path) -> dict[str, Any]:
    """Return what a stage of this module wrote."""
    content: dict[str, Any] = json.loads((folder / LISTS).read_text("utf-8"))
    return content


def values(lists: dict[str, Any]) -> Floats:
    """Return the highest correlations as an array."""
    return np.asarray(lists["highest"], dtype=np.float64)


def _data_stages(data: Data) -> tuple[str, ...]:
    return f"prepare/{data.source}", f"data/{data.name.lower()}"


def _write(folder: Path, content: dict[str, Any]) -> str:
    write_json(folder / LISTS, content)
    return sha256_of_file(folder / LISTS)
