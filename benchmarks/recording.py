"""What every benchmark records beside its numbers, and how sides take turns.

A result is a JSON file in ``benchmarks/results``: the machine, the commit, the versions, the sizes
that were asked for, and what was measured. ``docs/benchmarks.md`` is made of these files by
``benchmarks/render.py``; no number gets there another way.
"""

from __future__ import annotations

import compileall
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LOAD_BEFORE = round(os.getloadavg()[0], 2)
"""Processes that were at work when this one began, on average over a minute."""
LIBRARIES = ("numpy", "scipy", "numba", "numkong", "torch", "faiss-cpu", "scikit-learn")
INTERESTING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_int8")


def add_common_arguments(parser):
    """Add what all benchmarks take."""
    parser.add_argument("--jobs", type=int, default=cores(), help="processes that draw images")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--results", type=Path, help="folder of the JSON results")


def compile_package():
    """Compile the package once, as an installation does; a checkout may be barred from it."""
    import likeness

    compileall.compile_dir(Path(likeness.__file__).parent, quiet=1)


def arguments_of(parser, **quick):
    """Parse the command line; `quick` replaces the defaults of a quick run."""
    given = parser.parse_args()
    if given.quick:
        quick = {"jobs": 1, **quick}
        for name, value in quick.items():
            if getattr(given, name) == parser.get_default(name):
                setattr(given, name, value)
    return given


def write_result(given, name, content):
    """Write a result. A quick run writes only where it was told to: it measures nothing."""
    folder = given.results
    if folder is None:
        if given.quick:
            print("quick run: nothing was recorded")
            return
        folder = RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in vars(given).items()
        if key not in {"results", "jobs", "folder", "lgg"}
    }
    record = {"benchmark": name, "settings": settings, **circumstances(), **content}
    path = folder / f"{name}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    partial.replace(path)
    print(f"recorded in {path}")


def circumstances():
    """Return the machine, the commit, the versions and the time."""
    return {
        "machine": {
            "processor": processor(),
            "cores": cores(),
            "memory_gib": round(memory_bytes() / 2**30, 1),
            "flags": [name for name in INTERESTING_FLAGS if name in processor_flags()],
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "load_before": LOAD_BEFORE,
        },
        "commit": commit(),
        "versions": {name: version for name in LIBRARIES if (version := version_of(name))},
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def cores():
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def processor():
    """Name the processor, where Linux tells."""
    return _cpu_line("model name") or platform.processor() or "unknown processor"


def processor_flags():
    """Return the instruction sets of the processor."""
    return set(_cpu_line("flags").split())


def _cpu_line(key):
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith(key)), "")


def memory_bytes():
    """Return the memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def commit():
    """Return the commit, and whether files differ from it."""
    try:
        lines = [
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "src"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return lines[0].stdout.strip() + (" with changes" if lines[1].stdout.strip() else "")


def version_of(name):
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def spread(values):
    """Return median, least, greatest and all values of several rounds."""
    return {
        "median": statistics.median(values),
        "least": min(values),
        "greatest": max(values),
        "rounds": list(values),
    }


def take_turns(sides, rounds, *, warmed=False):
    """Run each side once per round, in turns, so that other work on the machine slows all alike.

    Parameters
    ----------
    sides
        Name -> function without arguments.
    rounds
        How often. The order is turned round every time.
    warmed
        Run each side once more right before each timed run: what ran in between has driven its
        files out of the page cache, and its data out of everything faster.

    Returns
    -------
    dict, dict, dict
        Name -> seconds of all rounds; name -> processor seconds of all threads together, which
        other work on the machine lengthens less; name -> what the last call returned.
    """
    seconds, busy = ({name: [] for name in sides} for _ in range(2))
    found = {}
    for number in range(rounds):
        order = list(sides.items())
        for name, run in order if number % 2 == 0 else reversed(order):
            if warmed:
                run()
            began, busy_before = time.perf_counter(), time.process_time()
            found[name] = run()
            seconds[name].append(time.perf_counter() - began)
            busy[name].append(time.process_time() - busy_before)
            print(f"  round {number + 1}: {name} {seconds[name][-1]:.2f} s", flush=True)
    return seconds, busy, found


@contextmanager
def ending_tidily():
    """Let SIGTERM end the run as Ctrl+C does, so that what was made is removed."""

    def stop(number, frame):
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; what was made is removed", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
