"""Preparing images against decoding and resizing alone, what hashing costs, and a restart.

Radiographs (JPEG, as large as those of the chest X-ray collection) and slices (small PNG files) are
drawn, written once, and then, in turns:

- decoded with Pillow and resized, nothing else, in as many processes, which are started and have
  imported everything before the clock runs;
- prepared, by the library, with hashes, checks, tables and files on disk, the start of its
  processes counted;
- prepared without hashes and without the checks that a file has not changed: what is missing then
  is their cost.

Last a preparation in a process of its own is killed with SIGKILL at 90 % of its time and started
again; both results must be the same, byte for byte.

Run: python -m benchmarks.preparing --folder FOLDER [--radiographs 1500] [--slices 6000]
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
    ChestXrayOptions,
    PrepareOptions,
    prepare_chest_xray,
    prepare_images,
)
from likeness.datasets.phantoms import brain_slices, chest_image

RADIOGRAPH = 1000, 1300
SIZES = {"radiographs": 256, "slices": 192}
DRAWN = 24
"""Pictures that are drawn; the others are these, moved sideways."""
KILLED_AT = 0.9


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
        picture = np.roll(drawn[number % DRAWN], number // DRAWN, axis=1)
        path = folder / f"P{number % 50:03d}" / f"P{number % 50:03d}_{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)


def decode_and_resize(task):
    """Do what cannot be saved."""
    path, size = task
    with Image.open(path) as picture:
        return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)).nbytes


def alone(pool, paths, size):
    """Decode and resize all files in a pool that is warm."""
    return sum(pool.map(decode_and_resize, [(path, size) for path in paths], chunksize=16))


def prepare(kind, source, out, jobs):
    """Prepare a set by the library."""
    shutil.rmtree(out, ignore_errors=True)
    size = SIZES[kind]
    if kind == "radiographs":
        prepare_chest_xray(source, out, options=ChestXrayOptions(size=size, jobs=jobs))
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
            ("likeness.datasets.writer.sha256_of_file", lambda path: "0" * 64),
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


def compare(kind, source, given):
    """Return the times of preparing and of decoding alone, and the share of the checks."""
    out, size = given.folder / "out", SIZES[kind]
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    found = {"files": len(paths), "file_bytes": sum(path.stat().st_size for path in paths)}
    for jobs in (1, given.processes):
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            alone(pool, paths[: 16 * jobs], size)
            sides = {
                "alone": lambda pool=pool: alone(pool, paths, size),
                "prepared": lambda jobs=jobs: prepare(kind, source, out, jobs),
            }
            seconds, _ = take_turns(sides, given.rounds)
        pairs = zip(seconds["alone"], seconds["prepared"], strict=True)
        found[f"jobs_{jobs}"] = {
            **{name: spread(values) for name, values in seconds.items()},
            "share": spread([one / other for one, other in pairs]),
        }
    found["speed_up"] = (
        found["jobs_1"]["prepared"]["median"]
        / found[f"jobs_{given.processes}"]["prepared"]["median"]
    )
    sides = {
        "with checks": lambda: prepare(kind, source, out, 1),
        "without checks": lambda: without_checks(kind, source, out),
    }
    _, processor = take_turns(sides, given.rounds)
    pairs = zip(processor["with checks"], processor["without checks"], strict=True)
    found["checks"] = {"share": spread([1 - other / one for one, other in pairs])}
    shutil.rmtree(out)
    return found


def restart(kind, source, given):
    """Return what a SIGKILL at 90 % costs."""
    out, size = given.folder / "out", SIZES[kind]
    verb = ["cxr", source, "--size", size]
    if kind == "slices":
        verb = ["images", source, "--resize", size]
    command = [*LIKENESS, "prepare", *verb, "--out", out, "--jobs", given.processes]
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="a new folder; removed again")
    parser.add_argument("--radiographs", type=int, default=1500)
    parser.add_argument("--slices", type=int, default=6000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    add_common_arguments(parser)
    given = arguments_of(parser, radiographs=40, slices=80, rounds=1)
    given.folder.mkdir(parents=True)
    found = {}
    compile_package()
    with ending_tidily():
        try:
            for kind, write in (("radiographs", write_radiographs), ("slices", write_slices)):
                source = given.folder / kind
                source.mkdir()
                write(source, getattr(given, kind))
                found[kind] = compare(kind, source, given)
                found[kind]["restart"] = restart(kind, source, given)
                shutil.rmtree(source)
        finally:
            shutil.rmtree(given.folder)
    for kind, row in found.items():
        both = row[f"jobs_{given.processes}"]
        print(
            f"{kind}: preparing runs at {both['share']['median']:.0%} of decoding and resizing "
            f"alone with {given.processes} processes ({row['jobs_1']['share']['median']:.0%} with "
            f"one; {row['speed_up']:.2f} x faster with {given.processes}); hashes and checks are "
            f"{row['checks']['share']['median']:.1%}"
        )
        if row["restart"]:
            share = statistics.median(row["restart"]["share"]["rounds"])
            print(f"{kind}: restart after SIGKILL at {KILLED_AT:.0%} takes {share:.1%}")
    write_result(given, "preparing", {"killed_at": KILLED_AT, "what": found})


if __name__ == "__main__":
    main()
