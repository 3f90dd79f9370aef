"""Stages that make image sets: preparing a source, and choosing the images of a training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from likeness._files import hash_of_json, write_json
from likeness.datasets import (
    BratsOptions,
    ChestXrayOptions,
    ImageSet,
    SplitRule,
    prepare_brats,
    prepare_chest_xray,
)
from likeness.errors import InputError
from likeness.experiments.configurations import Configuration, Data, Source
from likeness.experiments.sources import listing, write_phantoms
from likeness.experiments.stages import Stage, Task
from likeness.types import Integers

_ROWS = "rows.json"


def prepare_stage(
    configuration: Configuration, name: str, folder: Path | None, *, jobs: int
) -> Stage:
    """Return the stage ``prepare/NAME``: images of one size, divided by patient.

    `folder` None: artificial patients are made first.
    """
    source = configuration.sources[name]
    side = configuration.resolution

    def work(task: Task) -> str:
        files = folder
        if files is None:
            files = task.folder / "files"
            write_phantoms(source, files)
        out = task.folder / "sets"
        split = _split(source)
        if source.collection == "cxr":
            prepared = prepare_chest_xray(
                files,
                out,
                options=ChestXrayOptions(patient_id="cxr", size=side, jobs=jobs),
                split=split,
                progress=task.progress,
            )
        else:
            prepared = prepare_brats(
                files,
                out,
                options=BratsOptions(
                    channels=source.channels, resize=None if side == 256 else side, jobs=jobs
                ),
                split=split,
                progress=task.progress,
            )
        return hash_of_json({key: one.fingerprint for key, one in prepared.sets.items()})

    settings: dict[str, Any] = {
        "source": source.collection,
        "channels": None if source.channels is None else list(source.channels),
        "side": side,
        "test_patients": source.test_patients,
        "files": "artificial patients" if folder is None else listing(folder),
    }
    return Stage(f"prepare/{name}", settings, work, libraries=("likeness", "pillow", "numpy"))


def choose_stage(data: Data) -> Stage:
    """Return the stage ``data/NAME``: which training images a generator sees."""

    def work(task: Task) -> str:
        training = _part(task.needed[f"prepare/{data.source}"], "train")
        rows = whole_patients(training, data.images, seed=0)
        chosen = training.subset(rows)
        write_json(
            task.folder / _ROWS,
            {
                "rows": [int(row) for row in rows],
                "images": len(chosen),
                "patients": chosen.num_patients,
                "fingerprint": chosen.fingerprint,
            },
        )
        return chosen.fingerprint

    return Stage(
        f"data/{data.name.lower()}",
        {"images": data.images},
        work,
        needs=(f"prepare/{data.source}",),
    )


def training_images(data: Data, needed: dict[str, Path]) -> ImageSet:
    """Return the training images of a data set, from what its stages made."""
    import json

    training = _part(needed[f"prepare/{data.source}"], "train")
    record = json.loads((needed[f"data/{data.name.lower()}"] / _ROWS).read_text("utf-8"))
    if record["images"] == len(training):
        return training
    return training.subset(np.asarray(record["rows"], dtype=np.int64))


def held_out_images(data: Data, needed: dict[str, Path]) -> ImageSet:
    """Return the images of the patients that no generator saw."""
    return _part(needed[f"prepare/{data.source}"], "test")


def whole_patients(images: ImageSet, count: int | None, *, seed: int) -> Integers:
    """Return the rows of patients in random order, all their images, until there are enough.

    Of the last patient only the first images are taken. Rows ascend. None: all.

    Raises
    ------
    InputError
        If there are fewer images than wanted.
    """
    if count is None:
        return np.arange(len(images), dtype=np.int64)
    if count > len(images):
        msg = f"The training images are {len(images):,}, fewer than the {count:,} wanted."
        raise InputError(msg)
    codes = images.patient_codes
    order = np.random.default_rng(seed).permutation(images.num_patients)
    rows = np.concatenate([np.flatnonzero(codes == code) for code in order])
    return np.sort(rows[:count]).astype(np.int64)


def _part(folder: Path, name: str) -> ImageSet:
    return ImageSet.open(folder / "sets" / name)


def _split(source: Source) -> SplitRule:
    held_out = source.test_patients
    if isinstance(held_out, int):
        return SplitRule(test_patients=held_out)
    return SplitRule(test_share=held_out)
