"""A sample: images of a model as an image set, with where they come from in its record.

It is written by the code that writes every image set, a group of images at a time: so it lies in
bounded memory, a kill leaves what is finished, and the same call goes on there. An image depends on
the checkpoint, the sampler, the seed, its number and its class, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from likeness._progress import SILENT, Progress, Task
from likeness.datasets.building import build
from likeness.datasets.image_set import ImageSet
from likeness.datasets.options import RunOptions
from likeness.datasets.set_plan import SetPlan
from likeness.datasets.units import DecodedImage, Unit
from likeness.errors import OptionError
from likeness.generators.models import Model
from likeness.types import Images


def write_samples(
    model: Model,
    out: Path,
    *,
    num: int,
    seed: int,
    class_name: str | None = None,
    snap_annotation: bool = False,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ImageSet:
    """Draw images and write them as an image set, or finish one that was begun.

    Parameters
    ----------
    model
        From `models.open_model`.
    out
        Folder of the set.
    num
        Images 0 to ``num - 1`` of the seed.
    seed
        Not negative.
    class_name
        Of a class-conditional model: only this class. None: the classes take turns.
    snap_annotation
        Replace each pixel of an annotation by the nearest intensity that the training images have
        there, the lower of two.
    overwrite
        Replace another image set in `out`.
    progress
        Shows images.

    Raises
    ------
    OptionError
        If a number is out of range, there is no such class, no annotation is known, or `out` holds
        something else.
    InputError
        If the network gives values that are not numbers.
    LockedError, OutputError
        If another run is at work there, or it cannot be written.
    """
    if num < 1 or seed < 0:
        msg = f"At least 1 image, and a seed that is not negative; they are {num} and {seed}."
        raise OptionError(msg)
    classes = classes_of(model, class_name)
    described = model.record.get("images", {})
    channels = tuple(described.get("channels") or (f"c{k}" for k in range(model.image_shape[0])))
    levels: dict[str, list[int]] = described.get("annotation_levels") or {}
    if snap_annotation and not any(levels.values()):
        msg = (
            "The checkpoint does not say that any channel holds annotations, so there is nothing "
            "to snap to their intensities."
        )
        raise OptionError(msg)
    provenance = {
        "model": model.kind,
        "checkpoint_sha256": model.checkpoint_sha256,
        "step": model.record.get("step"),
        "images_seen": model.record.get("images_seen"),
        "weights": model.weights,
        "sampler": model.sampler_record,
        "seed": seed,
        "class": class_name,
        "classes": model.record.get("classes"),
        "annotation_snapped_to": levels if snap_annotation else None,
    }
    size = model.together
    with progress.task("sample", num) as task:
        drawing = _Drawing(
            model, num, seed, classes, channels, levels if snap_annotation else {}, task
        )
        plan = SetPlan(
            units=[Unit((), f"sample-{start:06d}") for start in range(0, num, size)],
            decoder=drawing,
            channels=channels,
            settings={"kind": "samples", "num": num, **provenance},
            record={
                "kind": "samples",
                "annotation_channels": [name for name in channels if name in levels],
                # Versions are told, but another one may go on: what is drawn is in the settings.
                "provenance": {**provenance, "network": _network(model), "software": _versions()},
            },
        )
        return build(out, plan, run=RunOptions(overwrite=overwrite)).image_set


def classes_of(model: Model, class_name: str | None) -> list[int] | None:
    """Return the classes that images take in turns, or None for a model without.

    Raises
    ------
    OptionError
        If there is no such class.
    """
    names: list[str] = model.record.get("classes") or []
    if not names:
        unet = model.record.get("unet") or {}
        names = [str(k) for k in range(unet.get("classes") or 0)]
    if class_name is None:
        return list(range(len(names))) if names else None
    if class_name not in names:
        known = f"only {', '.join(names)}" if names else "as the model knows no classes"
        msg = f"There is no class {class_name!r}, {known}."
        raise OptionError(msg)
    return [names.index(class_name)]


def snapped(images: Images, channel: int, levels: Sequence[int]) -> None:
    """Replace, in place, each pixel of a channel by the nearest level, the lower of two."""
    ordered = np.sort(np.asarray(levels, dtype=np.int64))
    middles = (ordered[1:] + ordered[:-1]) / 2
    images[:, channel] = ordered[np.searchsorted(middles, images[:, channel], side="left")]


def _network(model: Model) -> dict[str, Any]:
    found: dict[str, Any] = model.record.get("unet") or model.record["network"]
    return found


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "diffusers", "safetensors")}


@dataclass
class _Drawing:
    """The decoder of the set: draws a group instead of decoding a file."""

    model: Model
    num: int
    seed: int
    classes: list[int] | None
    channels: tuple[str, ...]
    levels: dict[str, list[int]]
    task: Task
    begun: bool = False

    def __call__(self, unit: Unit) -> Iterator[DecodedImage]:
        first = int(unit.key.removeprefix("sample-"))
        if not self.begun:  # what a run before this one has finished
            self.begun = True
            self.task.advance(first)
        count = min(self.model.together, self.num - first)
        labels = None
        if self.classes is not None:
            labels = [
                self.classes[index % len(self.classes)] for index in range(first, first + count)
            ]
        drawn = self.model.draw(
            self.seed, count, first=first, batch_size=count, labels=labels, task=self.task
        )
        images: Images = np.concatenate(list(drawn))
        for name, levels in self.levels.items():
            snapped(images, self.channels.index(name), levels)
        names: list[str] = self.model.record.get("classes") or []
        for place, pixels in enumerate(images):
            label = None if labels is None else labels[place]
            yield DecodedImage(
                pixels=pixels,
                image_id=f"sample-{first + place:06d}",
                patient_id=None,
                class_name=None if label is None else (names[label] if names else str(label)),
            )
