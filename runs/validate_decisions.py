"""The validation protocol on phantoms and on real images.

    python runs/validate_decisions.py brain --out /tmp/validation
    python runs/validate_decisions.py chest --out /tmp/validation
    python runs/validate_decisions.py cxr --data ../shared/data --out /tmp/validation
    python runs/validate_decisions.py lgg --data ../shared/data --out /tmp/validation

`brain` and `chest` make artificial patients (1,000 by default, 256 x 256) and keep them in OUT;
`cxr` and `lgg` prepare the real collections once. Settings are fixed on the phantoms; the real
images come after. The images belong to their collections and are never part of this project.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

import likeness
from likeness import ImageSet
from likeness._validate import ValidationOptions, validate
from likeness.cli._console import make_progress
from likeness.cli.validate import terminal_block
from likeness.datasets import BratsOptions, ChestXrayOptions
from likeness.datasets.phantoms import brain_slices, chest_image, chest_patient

BRAIN_CHANNELS = ("t1", "flair")
SLICES = 3
STEP = 2.0
"""Millimetres between the slices of a head."""
SIDE = 256


def head(seed: int, patient: int) -> np.ndarray:
    """Three slices of one artificial head, at a height of its own."""
    lowest = np.random.default_rng([seed, patient, 9]).uniform(55.0, 95.0)
    positions = [lowest + STEP * k for k in range(SLICES)]
    return brain_slices(seed, patient, positions, sequences=BRAIN_CHANNELS, image_size=SIDE)


def chest(seed: int, patient: int) -> np.ndarray:
    """All radiographs of one artificial patient, at most three."""
    views = range(min(3, chest_patient(seed, patient).num_views))
    return np.stack([chest_image(seed, patient, view, size=(SIDE, SIDE)) for view in views])[
        :, None
    ]


def phantoms(kind: str, patients: int, seed: int, out: Path, jobs: int) -> ImageSet:
    """Make the artificial patients, or read what an earlier run made."""
    path = out / f"{kind}-{patients}-{seed}.npz"
    if not path.is_file():
        start = time.monotonic()
        make = partial(head if kind == "brain" else chest, seed)
        with ProcessPoolExecutor(jobs) as pool:
            made = list(pool.map(make, range(patients), chunksize=8))
        counts = [len(images) for images in made]
        partial_path = path.with_suffix(".partial.npz")
        np.savez(partial_path, pixels=np.concatenate(made), counts=counts)
        partial_path.replace(path)
        seconds = time.monotonic() - start
        print(f"{sum(counts)} phantoms in {seconds:.0f} s, {seconds / sum(counts):.2f} s each")
    with np.load(path, allow_pickle=False) as arrays:
        pixels, counts = arrays["pixels"], arrays["counts"]
    who = np.repeat(np.arange(len(counts)), counts)
    which = np.concatenate([np.arange(count) for count in counts])
    names = [f"P{number:05d}" for number in who]
    is_brain = kind == "brain"
    return ImageSet.from_arrays(
        pixels,
        image_ids=[f"{name}-{number}" for name, number in zip(names, which, strict=True)],
        patient_ids=names,
        channels=BRAIN_CHANNELS if is_brain else ("xray",),
        volumes=names if is_brain else None,
        slice_indices=which if is_brain else None,
    )


def real(kind: str, data: Path, out: Path, jobs: int) -> ImageSet:
    """Prepare a real collection, or open what an earlier run prepared."""
    folder = out / f"{kind}-set"
    progress = make_progress(show=True)
    if kind == "lgg":
        options = BratsOptions(
            channels=("t1", "flair", "t1ce", "seg"), scaling="none", foreground_channel="flair",
            jobs=jobs,
        )  # fmt: skip
        return likeness.prepare_brats(
            data / "lgg", folder, options=options, progress=progress
        ).image_set
    return likeness.prepare_chest_xray(
        data / "cxr", folder, options=ChestXrayOptions(jobs=jobs), progress=progress
    ).image_set


def main() -> None:
    """One set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=("brain", "chest", "cxr", "lgg"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-kind", type=int, default=120)
    parser.add_argument("--controls", type=int, default=600)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--null-splits", type=int, default=200)
    parser.add_argument("--membership-splits", type=int, default=400)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.set in ("brain", "chest"):
        images = phantoms(given.set, given.patients, given.seed, given.out, given.jobs)
    else:
        images = real(given.set, given.data, given.out, given.jobs)
    print(f"{given.set}: {len(images)} images of {images.num_patients} patients")
    options = ValidationOptions(
        seed=given.seed, per_kind=given.per_kind, controls=given.controls, splits=given.splits,
        null_splits=given.null_splits, membership_splits=given.membership_splits,
        threads=given.threads,
    )  # fmt: skip
    out = given.out / f"{given.set}-{images.num_patients}-validation"
    found = validate(images, out, options=options, progress=make_progress(show=True))
    print("\n".join(terminal_block(found, out)))
    for name, seconds in found.seconds.items():
        print(f"{name} {seconds:.0f} s")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {memory:.0f} MiB")


if __name__ == "__main__":
    main()
