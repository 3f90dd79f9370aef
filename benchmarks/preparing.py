"""Preparing images against decoding and resizing alone, what hashing costs, and a restart.

As many files as the paper's collections have: radiographs (JPEG, as large as those of the chest
X-ray collection, 5,856), the volumes of 369 patients, as in BRATS20 (NIfTI, four sequences and an
annotation), and slices (small PNG files, 23,478). They are drawn, written once, and
then, in turns:

- read alone: pictures are decoded with Pillow and resized, volumes are decoded with nibabel, scaled
  and cut with the few lines of NumPy that one would write, nothing else; in as many processes,
  which are started and have imported everything before the clock runs;
- prepared, by the library, with hashes, checks, tables and files on disk, the start of its
  processes counted;
- prepared without hashes and without the checks that a file has not changed: what is missing then
  is their cost, of which the share of processor time is taken, in one process and on fewer files.

Last a preparation in a process of its own is killed with SIGKILL at 90 % of its time and started
again; both results must be the same, byte for byte.

Run: python -m benchmarks.preparing --folder FOLDER [--radiographs 5856] [--volumes 369]
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from benchmarks.goals import PAPER_SMALL
from benchmarks.processes import LIKENESS, Watched
from benchmarks.recording import (
    ROOT,
    add_common_arguments,
    arguments_of,
    compile_package,
    ending_tidily,
    spread,
    write_result,
)
from likeness.datasets import (
    BratsOptions,
    ChestXrayOptions,
    PrepareOptions,
    prepare_brats,
    prepare_chest_xray,
    prepare_images,
)
from likeness.datasets.phantoms import brain_patient, brain_slices, chest_image

RADIOGRAPH = 1000, 1300
SIZES = {"radiographs": 256, "slices": 192, "volumes": 256}
DRAWN = 24
"""Pictures that are drawn; the others are these, moved sideways."""
DRAWN_PATIENTS = 4
SEQUENCES = ("t1", "t2", "flair", "t1ce", "seg")
KILLED_AT = 0.9
FEWER = 6
"""The cost of hashes and checks is measured on one file in so many."""


def write_radiographs(folder, count):
    """Write chest X-rays as JPEG."""
    drawn = [np.squeeze(chest_image(0, number, size=RADIOGRAPH)) for number in range(DRAWN)]
    for number in range(count):
        picture = np.roll(drawn[number % DRAWN], 3 * (number // DRAWN), axis=1)
        path = folder / f"person{number}_bacteria_{number}.jpeg"
        Image.fromarray(picture).save(path, quality=90)


def write_slices(folder, count):
    """Write brain slices as PNG, one folder per patient."""
    places = np.linspace(50.0, 100.0, 8)
    drawn = [
        np.squeeze(picture)
        for number in range(DRAWN // 8)
        for picture in brain_slices(0, number, places, sequences=("t1",))
    ]
    for number in range(count):
        moved = number // DRAWN
        picture = np.roll(drawn[number % DRAWN], (moved % 40, moved // 40), axis=(0, 1))
        path = folder / f"P{number % 300:03d}" / f"P{number % 300:03d}_{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)


def write_volumes(folder, count):
    """Write patients in the layout of BraTS."""
    import nibabel

    for number in range(min(DRAWN_PATIENTS, count)):
        brain = brain_patient(0, number)
        for other in range(number, count, DRAWN_PATIENTS):
            name = f"BraTS20_Training_{other + 1:03d}"
            (folder / name).mkdir()
            for sequence, volume in {**brain.volumes, "seg": brain.seg}.items():
                moved = np.roll(volume, other // DRAWN_PATIENTS, axis=0)
                image = nibabel.Nifti1Image(moved, brain.affine)
                nibabel.save(image, folder / name / f"{name}_{sequence}.nii.gz")


def decode_and_resize(task):
    """Do what cannot be saved of a picture."""
    path, size = task
    with Image.open(path) as picture:
        return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)).nbytes


def decode_and_cut(task):
    """Decode a patient's volumes, scale and cut them: the paper's slices, and nothing else."""
    import nibabel

    folder, size = task
    channels = []
    for sequence in SEQUENCES:
        path = folder / f"{folder.name}_{sequence}.nii.gz"
        voxels = np.asanyarray(nibabel.load(path).dataobj)
        top = 5 if sequence == "seg" else np.quantile(voxels, 0.999)
        channels.append(np.clip(np.rint(voxels * (255.0 / top)), 0, 255).astype(np.uint8))
    done = 0
    for index in range(channels[0].shape[2]):
        planes = np.stack([volume[::-1, ::-1, index].T for volume in channels])
        if (planes[:-1].mean(axis=0) > 50).mean() >= 0.15:
            margin = [(size - side) // 2 for side in planes.shape[1:]]
            done += np.pad(planes, [(0, 0), *((each, each) for each in margin)]).nbytes
    return done


def decode_volumes(task):
    """Decode a patient's volumes and do nothing with them."""
    import nibabel

    folder, _ = task
    return sum(np.asanyarray(nibabel.load(path).dataobj).nbytes for path in folder.iterdir())


def tasks_of(kind, source):
    """Return what is read alone: files, or the folders of patients."""
    if kind == "volumes":
        return sorted(source.iterdir())
    return sorted(path for path in source.rglob("*") if path.is_file())


def alone(pool, read, paths, size):
    """Read everything in a pool that is warm."""
    chunk = 1 if read is not decode_and_resize else 16
    return sum(pool.map(read, [(path, size) for path in paths], chunksize=chunk))


def prepare(kind, source, out, jobs):
    """Prepare a set by the library."""
    shutil.rmtree(out, ignore_errors=True)
    size = SIZES[kind]
    if kind == "radiographs":
        prepare_chest_xray(source, out, options=ChestXrayOptions(size=size, jobs=jobs))
    elif kind == "volumes":
        prepare_brats(source, out, options=BratsOptions(size=size, jobs=jobs))
    else:
        prepare_images(source, out, options=PrepareOptions(size=(size, size), jobs=jobs))


def without_checks(kind, source, out):
    """Prepare with constants in the place of hashes, and without looking whether files changed."""

    class Nothing:
        def __init__(self, content=b""):
            del content

        def update(self, content):
            del content

        def hexdigest(self):
            return "0" * 64

    with ExitStack() as stack:
        for target, value in (
            ("likeness.datasets.units.pixel_hash", lambda pixels: "0" * 64),
            ("likeness.datasets.units._check_unchanged", lambda file: None),
            ("likeness.datasets.checkpoints.sha256_of_file", lambda path: "0" * 64),
            ("likeness.datasets._growing._digest_of", lambda path: Nothing()),
        ):
            stack.enter_context(mock.patch(target, value))
        hashing = mock.MagicMock(wraps=hashlib)
        hashing.sha256 = Nothing
        for module in ("units", "_growing"):
            stack.enter_context(mock.patch(f"likeness.datasets.{module}.hashlib", hashing))
        prepare(kind, source, out, 1)


def busy():
    """Return the processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def take_turns(sides, rounds):
    """Run the sides in turns; seconds, and processor seconds with those of all children."""
    seconds, processor = ({name: [] for name in sides} for _ in range(2))
    for number in range(rounds):
        order = list(sides.items())
        for name, run in order if number % 2 == 0 else reversed(order):
            began, before = time.perf_counter(), busy()
            run()
            seconds[name].append(time.perf_counter() - began)
            processor[name].append(busy() - before)
            print(f"  round {number + 1}: {name} {seconds[name][-1]:.2f} s", flush=True)
    return seconds, processor


def compare(kind, source, fewer, given):
    """Return the times of preparing and of reading alone, and the share of the checks."""
    out, size = given.folder / "out", SIZES[kind]
    files = [path for path in source.rglob("*") if path.is_file()]
    found = {"files": len(files), "file_bytes": sum(path.stat().st_size for path in files)}
    paths, jobs = tasks_of(kind, source), given.processes
    readers = {"alone": decode_and_cut, "decoding": decode_volumes}
    if kind != "volumes":
        readers = {"alone": decode_and_resize}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        sides = {}
        for name, read in readers.items():
            alone(pool, read, paths[: 16 * jobs], size)
            sides[name] = lambda read=read: alone(pool, read, paths, size)
        sides["prepared"] = lambda: prepare(kind, source, out, jobs)
        seconds, _ = take_turns(sides, given.rounds)
    for name, values in seconds.items():
        found[name] = spread(values)
        if name != "prepared":
            pairs = zip(values, seconds["prepared"], strict=True)
            share = "share" if name == "alone" else f"share_of_{name}"
            found[share] = spread([one / other for one, other in pairs])
    sides = {
        "with checks": lambda: prepare(kind, fewer, out, 1),
        "without checks": lambda: without_checks(kind, fewer, out),
    }
    _, processor = take_turns(sides, given.rounds)
    pairs = zip(processor["with checks"], processor["without checks"], strict=True)
    found["checks"] = {"share": spread([1 - other / one for one, other in pairs])}
    shutil.rmtree(out)
    return found


def part_of(kind, source, folder):
    """Return a folder with one in `FEWER` of the patients or files, linked."""
    for path in tasks_of(kind, source)[::FEWER]:
        files = path.iterdir() if path.is_dir() else [path]
        for file in files:
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(file)
    return folder


def restart(kind, source, given):
    """Return what a SIGKILL at 90 % costs."""
    out, size = given.folder / "out", SIZES[kind]
    verbs = {
        "radiographs": ["cxr", source, "--size", size],
        "volumes": ["brats", source, "--size", size],
        "slices": ["images", source, "--resize", size],
    }
    command = [*LIKENESS, "prepare", *verbs[kind], "--out", out, "--jobs", given.processes]
    wholes, restarts, shares = [], [], []
    for _ in range(given.rounds):
        shutil.rmtree(out, ignore_errors=True)
        wholes.append(run_to_the_end(command))
        expected = contents(out)
        shutil.rmtree(out)
        with Watched(command, cwd=ROOT) as run:
            if run.wait(KILLED_AT * wholes[-1]) is not None:
                print("  it ended before it was killed: this round is left out")
                wholes.pop()
                continue
        restarts.append(run_to_the_end(command))
        shares.append(restarts[-1] / wholes[-1])
        if contents(out) != expected:
            sys.exit(f"{kind}: the restarted preparation has another result.")
        print(f"  whole {wholes[-1]:.2f} s, restart {restarts[-1]:.2f} s", flush=True)
    shutil.rmtree(out)
    if not shares:
        return {}
    return {
        "whole_seconds": spread(wholes),
        "restart_seconds": spread(restarts),
        "share": spread(shares),
    }


def run_to_the_end(command):
    """Run a command and return how long it took."""
    with Watched(command, cwd=ROOT) as run:
        if run.wait() != 0:
            sys.exit("\n".join(["The preparation failed:", *run.remarks[-20:]]))
        return run.seconds


def contents(folder):
    """Return the SHA-256 of every file, the lock aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


WRITERS = {"radiographs": write_radiographs, "volumes": write_volumes, "slices": write_slices}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="a new folder; removed again")
    parser.add_argument("--radiographs", type=int, default=5856)
    parser.add_argument("--volumes", type=int, default=369, help="patients")
    parser.add_argument("--slices", type=int, default=PAPER_SMALL)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    add_common_arguments(parser)
    given = arguments_of(parser, radiographs=40, volumes=2, slices=80, rounds=1)
    given.folder.mkdir(parents=True)
    found = {}
    compile_package()
    with ending_tidily():
        try:
            for kind, write in WRITERS.items():
                source = given.folder / kind
                source.mkdir()
                write(source, getattr(given, kind))
                fewer = part_of(kind, source, given.folder / "fewer")
                found[kind] = compare(kind, source, fewer, given)
                found[kind]["restart"] = restart(kind, source, given)
                for folder in (source, fewer):
                    shutil.rmtree(folder)
        finally:
            shutil.rmtree(given.folder)
    for kind, row in found.items():
        print(
            f"{kind}: preparing runs at {row['share']['median']:.0%} of reading alone with "
            f"{given.processes} processes; hashes and checks are "
            f"{row['checks']['share']['median']:.1%}"
        )
        if row["restart"]:
            share = statistics.median(row["restart"]["share"]["rounds"])
            print(f"{kind}: restart after SIGKILL at {KILLED_AT:.0%} takes {share:.1%}")
    write_result(given, "preparing", {"killed_at": KILLED_AT, "what": found})


if __name__ == "__main__":
    main()
