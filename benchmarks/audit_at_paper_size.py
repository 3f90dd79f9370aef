"""A whole audit of a study as large as the paper's, by the command line, in a process of its own.

91,271 training, 1,000 test and 1,000 synthetic images of 4 x 256 x 256 (a tenth of them altered
copies), made by ``make_phantoms``. Recorded: time, stages, the peak memory of the process and of
all its children together, the time it takes to read the files of the training set once (without
and with the system's cache), and how many of the planted copies were found.

Run: python -m benchmarks.audit_at_paper_size --folder FOLDER [--images 91271] [--keep]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.make_phantoms import SYNTHETIC_IMAGES, TEST_IMAGES, make_study, remove_study
from benchmarks.phantom_images import BLUR, PAPER_IMAGES, Collection
from benchmarks.processes import LIKENESS, Watched, reading_seconds
from benchmarks.recording import (
    ROOT,
    add_common_arguments,
    arguments_of,
    ending_tidily,
    write_result,
)

FINE_EXITS = {0, 4, 5}
"""Finished: with a verdict, without one, with some files left out."""


def audit_command(study, out, given):
    """Return the command line of the audit."""
    return [
        *LIKENESS, "audit", "--train", study / "train", "--synthetic", study / "synthetic",
        "--test", study / "test", "--out", out, "--memory", given.memory,
        *given.audit_arguments.split(),
    ]  # fmt: skip


def found_copies(study, out):
    """Return how many planted copies were flagged, of how many, and what else was flagged."""
    truth = json.loads((study / "planted.json").read_text())
    columns = ["image_id", "flagged", "patient_id"]
    table = pq.read_table(out / "images.parquet", columns=columns).to_pylist()
    flagged = {row["image_id"]: row["patient_id"] for row in table if row["flagged"]}
    right = [name for name, entry in truth.items() if flagged.get(name) == entry["patient"]]
    kinds = sorted({entry["kind"] for entry in truth.values()})
    return {
        "planted": len(truth),
        "found": len(right),
        "found_by_kind": {
            kind: sum(truth[name]["kind"] == kind for name in right) for kind in kinds
        },
        "others_flagged": len(set(flagged) - set(truth)),
    }


def add_study_arguments(parser):
    """Add what describes the study and the audit."""
    parser.add_argument("--folder", type=Path, required=True, help="of the study; made if absent")
    parser.add_argument("--images", type=int, default=PAPER_IMAGES)
    parser.add_argument("--test-images", type=int, default=TEST_IMAGES)
    parser.add_argument("--synthetic-images", type=int, default=SYNTHETIC_IMAGES)
    parser.add_argument("--blur", type=float, default=BLUR, help="of all images, pixels")
    parser.add_argument("--memory", default="2GiB", help="as `likeness audit` takes it")
    parser.add_argument("--audit-arguments", default="", help="more for the audit, in one string")
    parser.add_argument(
        "--keep", action="store_true", help="leave the study and the audit where they are"
    )


def make_given_study(given):
    """Make the study that the arguments describe, or finish it."""
    from likeness.cli._console import make_progress

    make_study(
        given.folder,
        Collection(num_images=given.images, blur=given.blur),
        test_images=given.test_images,
        synthetic_images=given.synthetic_images,
        copies=given.synthetic_images // 10,
        jobs=given.jobs,
        progress=make_progress(show=not given.quick),
    )


def measure(given):
    """Audit once and return what it took."""
    out = given.folder / "audit"
    shutil.rmtree(out, ignore_errors=True)
    try:
        with Watched(audit_command(given.folder, out, given), cwd=ROOT) as run:
            code = run.wait()
            if code not in FINE_EXITS:
                sys.exit("\n".join([f"The audit ended with {code}:", *run.remarks[-20:]]))
        cold, num_bytes = reading_seconds(given.folder / "train" / "images", cold=True)
        warm, _ = reading_seconds(given.folder / "train" / "images", cold=False)
        findings = json.loads((out / "findings.json").read_text())
        return {
            "seconds": run.seconds,
            "stages": run.stages(),
            "peak_process_bytes": run.peak_main_bytes,
            "peak_tree_bytes": run.peak_tree_bytes,
            "reading": {"bytes": num_bytes, "cold_seconds": cold, "warm_seconds": warm},
            "times_reading_once": run.seconds / cold,
            "verdict": findings["verdict"]["code"],
            "copies": found_copies(given.folder, out),
            "train": given.images,
            "test": given.test_images,
            "synthetic": given.synthetic_images,
        }
    finally:
        if not given.keep:
            shutil.rmtree(out, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_study_arguments(parser)
    add_common_arguments(parser)
    given = arguments_of(
        parser, images=40, test_images=24, synthetic_images=20,
        audit_arguments="--planted 2 --permutations 999 --evidence 1 --no-self-check",
    )  # fmt: skip
    with ending_tidily():
        try:
            make_given_study(given)
            found = measure(given)
        finally:
            if not given.keep:
                remove_study(given.folder)
    copies = found["copies"]
    print(f"audit: {found['seconds']:.0f} s, {found['verdict']}")
    print(f"peak memory: process {found['peak_process_bytes'] / 2**20:,.0f} MiB, "
          f"with its children {found['peak_tree_bytes'] / 2**20:,.0f} MiB")  # fmt: skip
    print(f"reading the training set once: {found['reading']['cold_seconds']:.1f} s, again "
          f"{found['reading']['warm_seconds']:.1f} s; the audit takes "
          f"{found['times_reading_once']:.1f} times as long")  # fmt: skip
    print(f"copies found: {copies['found']} of {copies['planted']}; others listed: "
          f"{copies['others_flagged']}")  # fmt: skip
    for name, seconds in found["stages"].items():
        print(f"  {name:<40} {seconds:8.1f} s")
    write_result(given, "audit-at-paper-size", found)


if __name__ == "__main__":
    main()
