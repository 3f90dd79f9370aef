"""Make a study of artificial patients as large as the paper's, straight into image sets on disk.

::

    FOLDER/train       91,271 images of 1,195 patients: 24 GB
    FOLDER/test        1,000 images of 56 other patients
    FOLDER/synthetic   1,000 images: 900 of people that exist nowhere else, 100 altered copies
    FOLDER/recipes     one small file per patient: the "source files" of the three sets
    FOLDER/planted.json which synthetic images are copies, of whom, and how altered

The sets are built by the code that builds every image set; only its decoder is another one, that
draws what a recipe says instead of decoding files. So a set is written patient by patient, in
bounded memory, by several processes, and a run that was killed goes on where it stopped.

Run: python -m benchmarks.make_phantoms --folder FOLDER [--images 91271] [--jobs 2]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.phantom_images import (
    BLUR,
    IMAGE_BYTES,
    PAPER_IMAGES,
    SEED,
    SYNTHETIC_PATIENTS,
    TEST_PATIENTS,
    Collection,
    Recipe,
)
from benchmarks.recording import cores

TEST_IMAGES, TEST_PEOPLE = 1000, 56
SYNTHETIC_IMAGES, COPIES = 1000, 100
SLICES_PER_SYNTHETIC_PERSON = 4
SETS = ("train", "test", "synthetic")
SHARE_ON_TOP = 1.08
"""What an image set needs on disk beside its pixels, roughly: tables, coarse copies of the images,
and a shard that is being replaced."""
SPARE_BYTES = 2 << 30
"""Room left for the audit and for others."""


def decode(unit):
    """Draw the images of a recipe file: the decoder of the sets."""
    from likeness.datasets.units import DecodedImage

    (file,) = unit.files
    content = json.loads(file.path.read_text())
    recipe = Recipe(
        **{**content, **{name: tuple(content[name]) for name in ("positions", "sequences")}}
    )
    for position, pixels in enumerate(recipe.draw()):
        yield DecodedImage(
            pixels=pixels,
            image_id=f"{unit.key}-{position:03d}",
            patient_id=unit.patient_id,
            volume=unit.key,
            slice_index=position,
        )


def build_set(folder, name, recipes, *, with_patients, jobs, progress=None):
    """Make the set `name` of a study, or finish one that was begun.

    Returns
    -------
    ImageSet
        As `ImageSet.open` gives it.
    """
    from likeness._progress import SILENT
    from likeness.datasets.building import build
    from likeness.datasets.options import RunOptions
    from likeness.datasets.set_plan import SetPlan
    from likeness.datasets.units import Unit
    from likeness.datasets.walk import find_files

    recipes = list(recipes)
    where = folder / "recipes" / name
    where.mkdir(parents=True, exist_ok=True)
    for number, recipe in enumerate(recipes):
        path = where / f"{number:06d}.json"
        content = json.dumps(asdict(recipe), sort_keys=True)
        if not path.is_file() or path.read_text() != content:
            path.write_text(content)
    files = {file.path.name: file for file in find_files(where).files}
    units = [
        Unit(
            files=(files[f"{number:06d}.json"],),
            key=recipe.name if with_patients else f"{name}-{number:06d}",
            patient_id=recipe.name if with_patients else None,
        )
        for number, recipe in enumerate(recipes)
    ]
    plan = SetPlan(
        units=units,
        decoder=decode,
        channels=recipes[0].sequences,
        settings={"kind": "artificial patients", "seed": SEED},
    )
    made = build(folder / name, plan, run=RunOptions(jobs=jobs), progress=progress or SILENT)
    return made.image_set


def synthetic_recipes(train, images, copies):
    """Return recipes of people that exist nowhere else, and of altered copies, mixed."""
    from likeness.datasets.phantoms import PLANTED_KINDS

    rng = np.random.default_rng([SEED, 97])
    novel = train.changed(
        num_images=images - copies,
        slices_per_patient=SLICES_PER_SYNTHETIC_PERSON,
        first=SYNTHETIC_PATIENTS,
    )
    sources = list(train.recipes())
    planted = []
    for number, row in enumerate(rng.choice(len(sources), copies, replace=copies > len(sources))):
        source = sources[row]
        height = source.positions[rng.integers(len(source.positions))]
        kind = PLANTED_KINDS[number % len(PLANTED_KINDS)]
        planted.append(replace(source, positions=(height,), planted=kind))
    recipes = [*novel.recipes(), *planted]
    return [recipes[k] for k in rng.permutation(len(recipes))]


def make_study(folder, train, *, test_images=TEST_IMAGES, synthetic_images=SYNTHETIC_IMAGES,
               copies=COPIES, jobs=1, progress=None):  # fmt: skip
    """Make the three sets of a study, or finish them.

    Raises
    ------
    SystemExit
        If the disk has too little room.
    """
    check_room(folder, train.num_images + test_images + synthetic_images)
    people = max(2, round(test_images * TEST_PEOPLE / TEST_IMAGES))
    test = train.changed(
        num_images=test_images, slices_per_patient=test_images / people, first=TEST_PATIENTS
    )
    synthetic = synthetic_recipes(train, synthetic_images, copies)
    parts = {"train": train.recipes(), "test": test.recipes(), "synthetic": synthetic}
    for name, recipes in parts.items():
        build_set(
            folder, name, recipes, with_patients=name != "synthetic", jobs=jobs, progress=progress
        )
    truth = {
        f"synthetic-{number:06d}-000": {"patient": recipe.name, "kind": recipe.planted}
        for number, recipe in enumerate(synthetic)
        if recipe.planted
    }
    (folder / "planted.json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n")


def check_room(folder, num_images):
    """Refuse to begin what the disk cannot hold."""
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in folder.rglob("*.npy"))
    needed = num_images * IMAGE_BYTES * SHARE_ON_TOP + SPARE_BYTES - there
    free = shutil.disk_usage(folder).free
    if needed > free:
        sys.exit(
            f"{str(folder)!r} has {free / 2**30:.1f} GiB free; {num_images:,} images need "
            f"{needed / 2**30:.1f} GiB with {SPARE_BYTES / 2**30:.0f} GiB to spare. Choose another "
            "--folder or fewer --images."
        )


def remove_study(folder):
    """Remove what `make_study` made, and the folder if nothing else is in it."""
    for name in (*SETS, "recipes"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "planted.json").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=PAPER_IMAGES)
    parser.add_argument("--test-images", type=int, default=TEST_IMAGES)
    parser.add_argument("--synthetic-images", type=int, default=SYNTHETIC_IMAGES)
    parser.add_argument("--blur", type=float, default=BLUR, help="of all images, pixels")
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--remove", action="store_true", help="remove the study instead")
    given = parser.parse_args()
    if given.remove:
        remove_study(given.folder)
        return
    from likeness.cli._console import make_progress

    began = time.monotonic()
    make_study(
        given.folder,
        Collection(num_images=given.images, blur=given.blur),
        test_images=given.test_images,
        synthetic_images=given.synthetic_images,
        copies=given.synthetic_images // 10,
        jobs=given.jobs,
        progress=make_progress(show=True),
    )
    print(f"made in {time.monotonic() - began:.0f} s in {given.folder}")


if __name__ == "__main__":
    main()
