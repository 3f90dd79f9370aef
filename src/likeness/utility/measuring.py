"""The whole measurement: three sources, several seeds, one result; finished units are kept."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._files import folder_lock, hash_of_json, make_folder, write_json, writing_to
from likeness._progress import SILENT, Progress
from likeness._versions import package_version
from likeness.datasets.image_set import ImageSet
from likeness.errors import MissingExtraError, OptionError
from likeness.utility.options import SOURCES, UtilityOptions
from likeness.utility.results import FILE, LIMIT, Measured, Utility
from likeness.utility.sets import Sets, fitting_sets
from likeness.utility.statistics import interval, patient_weights

if TYPE_CHECKING:
    from likeness.utility.tasks import Floats, Task

_UNIT_FORMAT: Final = 1
"""Raised whenever the training of a unit changes."""
_MIXED: Final = (
    "both: half of every step's images are real and half synthetic, whatever the sizes of the "
    "sets; so each network of both sees half as many of either as the networks of one source."
)


def measure_segmentation(
    train: ImageSet,
    synthetic: ImageSet,
    test: ImageSet,
    *,
    options: UtilityOptions | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Utility:
    """Train a small U-Net on real, synthetic and both; return its Dice on real test patients.

    The same on a processor for the same sets, options, versions and number of threads.

    Parameters
    ----------
    train, synthetic, test
        Of 8 bits, equal shape and channels, one of them an annotation with one intensity per label
        and 0 for none. Synthetic annotations are taken to the nearest intensity of the training
        set. No patient may be in train and test.
    options
        How it is done.
    out
        Folder in which finished networks' answers are kept, and the result is written; the same
        call goes on there. None: nothing is written.
    overwrite
        Replace the result of other sets or settings in `out`.
    progress
        Shows steps.

    Raises
    ------
    MissingExtraError
        If torch or MONAI is absent.
    OptionError, InputError
        If a setting or a set does not fit.
    SplitOverlapError
        If a patient is in train and test.
    LockedError, OutputError
        If another run is at work in `out`, or it cannot be written.
    """
    return _measured("segmentation", train, synthetic, test, options, out, overwrite, progress)


def measure_classification(
    train: ImageSet,
    synthetic: ImageSet,
    test: ImageSet,
    *,
    options: UtilityOptions | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Utility:
    """Train a small classifier on real, synthetic and both; return its accuracy and AUC.

    With two classes the AUC is of the second in alphabetical order, with more the mean of each
    against the rest. Parameters and errors as in `measure_segmentation`; the sets name the class of
    every image.
    """
    return _measured("classification", train, synthetic, test, options, out, overwrite, progress)


def forecast(
    name: str,
    train: ImageSet,
    synthetic: ImageSet,
    test: ImageSet,
    *,
    options: UtilityOptions | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Return what a measurement would do and how long it would take, from a few measured steps."""
    options = options or UtilityOptions()
    task = _task(name, fitting_sets(train, synthetic, test), options)
    from likeness._devices import device_named
    from likeness.utility.training import seconds_per_step

    options = replace(options, device=device_named(options.device))
    keys = _keys(task, options)
    finished = sum(out is not None and _kept(out, unit, key) is not None for unit, key in keys)
    each = seconds_per_step(task, options)
    return {
        "task": name,
        **task.describe(),
        "sets": task.sets.describe(),
        "networks": len(keys),
        "finished": finished,
        "steps": options.steps,
        "device": options.device,
        "seconds_per_step": each,
        "seconds": each * options.steps * (len(keys) - finished),
        "notes": list(task.sets.notes),
    }


def _measured(
    name: str,
    train: ImageSet,
    synthetic: ImageSet,
    test: ImageSet,
    options: UtilityOptions | None,
    out: Path | None,
    overwrite: bool,  # noqa: FBT001 - handed through
    progress: Progress,
) -> Utility:
    options = options or UtilityOptions()
    task = _task(name, fitting_sets(train, synthetic, test), options)
    from likeness._devices import device_named
    from likeness.utility.training import train_unit

    options = replace(options, device=device_named(options.device))
    units = []
    with _held(out):
        if out is not None and not overwrite:
            _check_same(out, task, options)
        keys = _keys(task, options)
        with progress.task("train", options.steps * len(keys), unit="steps") as shown:
            for (source, seed), key in keys:
                found = None if out is None else _kept(out, (source, seed), key)
                if found is None:
                    shown.note(f"{source}, seed {seed}")
                    found = train_unit(task, source, seed, options, shown)
                    if out is not None:
                        _keep(out, (source, seed), key, found)
                else:
                    shown.advance(options.steps)
                units.append(found)
        result = _result(task, units, options)
        if out is not None:
            result.write(out)
    return result


def _task(name: str, sets: Sets, options: UtilityOptions) -> Task:
    for package in ("torch", "monai"):
        if find_spec(package) is None:
            msg = f"Utility needs {package}. Install it: pip install 'likeness[metrics]'."
            raise MissingExtraError(msg)
    from likeness.utility.tasks import Classification, Segmentation

    return Segmentation(sets, options) if name == "segmentation" else Classification(sets, options)


def _keys(task: Task, options: UtilityOptions) -> list[tuple[tuple[str, int], str]]:
    """Return all units with a hash of everything that changes their answers."""
    settings = asdict(options)
    for irrelevant in ("seeds", "bootstrap", "annotation", "channels"):
        settings.pop(irrelevant)  # the last two are in the task's description
    prints = {role: images.fingerprint for role, images in task.sets.by_role()}
    keys = []
    for seed in range(options.seeds):
        for source in SOURCES:
            without = {"real": "synthetic", "synthetic": "train"}.get(source)
            about = {
                "format": _UNIT_FORMAT,
                "task": task.name,
                # The labels of every source are those of the training set.
                "about": task.describe(),
                "sets": {role: one for role, one in prints.items() if role != without},
                "source": source,
                "seed": seed,
                "settings": settings,
                "versions": {package: version(package) for package in ("torch", "monai")},
            }
            keys.append(((source, seed), hash_of_json(about)))
    return keys


def _path(out: Path, unit: tuple[str, int], key: str) -> Path:
    return out / "units" / f"{unit[0]}-{unit[1]}-{key[:12]}.json"


def _kept(out: Path, unit: tuple[str, int], key: str) -> dict[str, Any] | None:
    try:
        content = json.loads(_path(out, unit, key).read_text())
        found: dict[str, Any] | None = content["unit"] if content["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _keep(out: Path, unit: tuple[str, int], key: str, found: dict[str, Any]) -> None:
    path = _path(out, unit, key)
    make_folder(path.parent)
    with writing_to(path):
        # Answers about single test patients: for the owner alone.
        write_json(path, {"key": key, "unit": found}, private=True)


@contextlib.contextmanager
def _held(out: Path | None) -> Iterator[None]:
    if out is None:
        yield
        return
    with folder_lock(out):
        yield


def _check_same(out: Path, task: Task, options: UtilityOptions) -> None:
    """Raise an error if the folder holds a result of something else."""
    try:
        held = json.loads((out / FILE).read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        held = {}
    asked = json.loads(json.dumps({**asdict(options), **task.describe()}))
    settings = held.get("settings", {}) if isinstance(held, dict) else {}
    if (
        {name: settings.get(name) for name in asked} != asked
        or held.get("task") != task.name
        or held.get("sets") != task.sets.describe()
    ):
        msg = (
            f"{str(out)!r} holds the utility of other sets or settings. Choose another folder, or "
            "ask to replace it (--overwrite)."
        )
        raise OptionError(msg)


def _result(task: Task, units: list[dict[str, Any]], options: UtilityOptions) -> Utility:
    weights = patient_weights(task.sets.test.num_patients, options.bootstrap)
    by_source: dict[str, list[dict[str, Floats]]] = {source: [] for source in SOURCES}
    for unit in units:
        by_source[unit["source"]].append(task.statistics(unit["counted"], weights))
    names = list(by_source["real"][0])
    means = {
        source: {name: np.mean([one[name] for one in found], axis=0) for name in names}
        for source, found in by_source.items()
    }
    seeds = {
        source: {name: tuple(float(one[name][0]) for one in found) for name in names}
        for source, found in by_source.items()
    }
    networks = [
        _one(source, name, means[source][name], seeds[source][name])
        for source in SOURCES
        for name in names
    ]
    differences = [
        _one(
            f"{source} - real",
            name,
            means[source][name] - means["real"][name],
            tuple(a - b for a, b in zip(seeds[source][name], seeds["real"][name], strict=True)),
        )
        for source in SOURCES[1:]
        for name in names
    ]
    baselines = [
        _one(f"constant: {label}", name, value, ())
        for label, counted in task.baselines().items()
        for name, value in task.statistics(counted, weights).items()
    ]
    return Utility(
        task=task.name,
        networks=tuple(networks),
        differences=tuple(differences),
        baselines=tuple(baselines),
        sets=task.sets.describe(),
        settings={
            **asdict(options),
            **task.describe(),
            "versions": {
                "likeness": package_version("likeness"),
                **{package: version(package) for package in ("torch", "monai")},
            },
        },
        notes=(LIMIT, _MIXED, *task.notes(), *task.sets.notes),
        units=tuple({k: v for k, v in unit.items() if k != "counted"} for unit in units),
    )


def _one(source: str, name: str, draws: Floats, seeds: tuple[float, ...]) -> Measured:
    low, high = interval(draws[1:])
    return Measured(source, name, float(draws[0]), low, high, seeds)
