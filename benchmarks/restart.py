"""What a SIGKILL at 90 % costs: the time of the restart as a share of the whole.

The work is an audit by the command line, of a first model, which compares the real images with each
other too, or of a second one, which finds that kept with the training set; or a search with
intermediate states. It is done twice in processes of its own: once to the end, which gives the
whole time and the right answer; once killed with SIGKILL after 90 % of that time and started again.
A tenth of the work is left then, so a share below 10 % is luck, and what lies above is what the
kill destroyed and what looking at the remains costs. The tables of both must be equal, byte for
byte.

Run: python -m benchmarks.restart --folder FOLDER [--images 12000] [--what first-audit audit search]
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from benchmarks.audit_at_paper_size import (
    FINE_EXITS,
    add_study_arguments,
    audit_command,
    make_given_study,
)
from benchmarks.make_phantoms import remove_study
from benchmarks.processes import Watched
from benchmarks.recording import (
    ROOT,
    add_common_arguments,
    arguments_of,
    compile_package,
    ending_tidily,
    spread,
    write_result,
)

KILLED_AT = 0.9
TABLES = ("*.parquet", "*.csv")


def search_command(study, out, given):
    """Return the command line that runs `search_inside` in a process of its own."""
    return [
        sys.executable, "-m", "benchmarks.restart", "--folder", study, "--memory", given.memory,
        "--search-into", out,
    ]  # fmt: skip


def search_inside(given):
    """Search the synthetic images among the training images, with intermediate states."""
    from likeness import ImageSet
    from likeness.cli._options import bytes_from
    from likeness.search import matches_table, search, write_matches

    queries, references = (ImageSet.open(given.folder / name) for name in ("synthetic", "train"))
    out = given.search_into
    out.mkdir(parents=True, exist_ok=True)
    result = search(
        queries,
        references,
        memory_bytes=bytes_from(given.memory, "--memory"),
        checkpoint=out / "states",
    )
    table = matches_table(result, queries.image_ids, references.image_ids)
    write_matches(out / "matches.parquet", table, metadata={})


COMMANDS = {"first-audit": audit_command, "audit": audit_command, "search": search_command}


def forget_all(given):
    """Remove what earlier audits have left in the sets."""
    for name in ("train", "test", "synthetic"):
        for kept in ("baselines", "derived"):
            shutil.rmtree(given.folder / name / kept, ignore_errors=True)


def run_to_the_end(command):
    """Run a command and return how long it took, and how long each of its stages."""
    with Watched(command, cwd=ROOT) as run:
        code = run.wait()
        if code not in FINE_EXITS:
            sys.exit("\n".join([f"It ended with {code}:", *run.remarks[-20:]]))
        return run.seconds, run.stages()


def fingerprints(out):
    """Return the SHA-256 of every table in a folder."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in TABLES
        for path in sorted(out.glob(pattern))
    }


def measure(what, given):
    """Return the times of whole runs, of killed ones and of their restarts."""
    out = given.folder / f"out-{what}"
    command = COMMANDS[what](given.folder, out, given)

    def begin_anew():
        shutil.rmtree(out, ignore_errors=True)
        if what == "first-audit":
            forget_all(given)

    wholes, restarts, shares, killed, stages = [], [], [], [], []
    try:
        if what != "first-audit":
            run_to_the_end(command)  # warms the cache and makes what the sets store once
        for _ in range(given.rounds):
            begin_anew()
            whole, of_whole = run_to_the_end(command)
            wholes.append(whole)
            expected = fingerprints(out)
            begin_anew()
            with Watched(command, cwd=ROOT) as run:
                ended = run.wait(KILLED_AT * wholes[-1]) is not None
            killed.append(not ended)
            restart, of_restart = run_to_the_end(command)
            restarts.append(restart)
            stages.append({"whole": of_whole, "restart": of_restart})
            shares.append(restarts[-1] / wholes[-1])
            if fingerprints(out) != expected or not expected:
                sys.exit(f"{what}: the restarted run has another result.")
            print(f"  {what}: whole {wholes[-1]:.1f} s, restart {restarts[-1]:.1f} s", flush=True)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return {
        "whole_seconds": spread(wholes),
        "restart_seconds": spread(restarts),
        "share": spread(shares),
        "killed_before_their_end": sum(killed),
        "rounds": given.rounds,
        "stages": stages,
        "tables_compared": sorted(expected),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_study_arguments(parser)
    parser.add_argument("--what", nargs="+", choices=sorted(COMMANDS), default=sorted(COMMANDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--search-into", type=Path, help=argparse.SUPPRESS)
    parser.set_defaults(images=12_000)
    add_common_arguments(parser)
    given = arguments_of(
        parser, images=40, test_images=24, synthetic_images=20, rounds=1, what=["search"],
    )  # fmt: skip
    if given.search_into is not None:
        search_inside(given)
        return
    compile_package()
    with ending_tidily():
        try:
            make_given_study(given)
            found = {what: measure(what, given) for what in given.what}
        finally:
            if not given.keep:
                remove_study(given.folder)
    for what, row in found.items():
        print(f"{what}: restart after SIGKILL at {KILLED_AT:.0%} takes "
              f"{row['share']['median']:.1%} of the whole time")  # fmt: skip
    sizes = {"train": given.images, "test": given.test_images, "synthetic": given.synthetic_images}
    write_result(given, "restart", {"killed_at": KILLED_AT, "what": found, **sizes})


if __name__ == "__main__":
    main()
