"""What the benchmarks are to reach, and where in the results each value stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.phantom_images import PAPER_IMAGES

GIBIBYTE = 2**30
PAPER_SMALL, QUERIES = 23_478, 1000
"""Training images of BRATS20 after cutting, and the paper's synthetic images per model."""
PREPARED = "radiographs", "volumes", "slices"


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals."""

    what: str
    text: str
    """The goal in words."""
    value: Callable[[dict[str, Any]], float]
    """Takes all results; raises KeyError where what it needs was not measured at this size."""
    reached: Callable[[float], bool]
    shown: Callable[[float], str]


def times(value):
    """Show a ratio."""
    return f"{value:,.0f} x" if value >= 100 else f"{value:.2f} x"


def percent(value):
    """Show a share."""
    return f"{100 * value:.1f} %"


def main_case(results, case="main"):
    """Return a comparison, if it has the size that the goals speak of."""
    entry = results[f"search-{case}"]
    _insist_on_size(entry["references"], PAPER_SMALL)
    _insist_on_size(entry["queries"], QUERIES)
    _insist_on_size(entry["noise"] + 1, 1)
    return entry


def than_faiss(results):
    """Return how many times faster ours is than FAISS, which must have held 10,000 images."""
    side = main_case(results)["sides"]["faiss.IndexFlatIP"]
    _insist_on_size(side["pairs"], QUERIES * 10_000)
    return side["ours_is_faster"]["median"]


def than_int8(results):
    """Return how many times faster ours is than the fastest product of bytes measured."""
    entry = main_case(results)
    sides = entry["sides"]["likeness, brute force"], entry["others"]["sides"]["plain int8"]
    return min(side["ours_is_faster"]["median"] for side in sides)


def than_other(side, case="main"):
    """Return a function that tells how many times faster ours is than this side."""

    def faster(results):
        return main_case(results, case)["others"]["sides"][side]["ours_is_faster"]["median"]

    return faster


def memory_of_audit(results):
    """Return the peak memory of the whole audit, GiB."""
    entry = results["audit-at-paper-size"]
    _insist_on_size(entry["train"], PAPER_IMAGES)
    return entry["peak_tree_bytes"] / GIBIBYTE


def restart(what):
    """Return a function that tells which share of its time a killed run takes again."""
    return lambda results: results["restart"]["what"][what]["share"]["median"]


def exponent(results):
    """Return the exponent of growth over the whole range."""
    entry = results["growth"]
    _insist_on_size(entry["sizes"][-1], PAPER_IMAGES)
    _insist_on_size(-entry["sizes"][0], -3000)
    return entry["exponent"]


def preparing(kind, column):
    """Return a function that tells a share that was measured where one kind was prepared."""

    def share(results):
        row = results["preparing"]["what"][kind]
        found = row if column == "speed" else row[column]
        return found["share"]["median"]

    return share


def _insist_on_size(found, wanted):
    if found < wanted:
        msg = f"{found} where the goal speaks of {wanted}"
        raise KeyError(msg)


GOALS = (
    Goal(
        "search, 1,000 novel queries x 23,478, against `faiss.IndexFlatIP`",
        "at least 20 x",
        than_faiss,
        lambda value: value >= 20,
        times,
    ),
    Goal(
        "the same, against brute force in 8-bit integers (the fastest one measured)",
        "at least 3 x",
        than_int8,
        lambda value: value >= 3,
        times,
    ),
    *(
        Goal(
            f"{what}, against the paper's procedure (files read and correlated pair by pair)",
            "at least 20,000 x",
            than_other(f"pair by pair, {channels}", case),
            lambda value: value >= 20_000,
            times,
        )
        for what, channels, case in (
            ("the same: four channels, four files per image", "4 channels", "main"),
            ("one channel, one file per image", "1 channel", "grey"),
            ("four channels, of which the procedure reads one", "1 channel", "main"),
        )
    ),
    Goal(
        "the same, against scikit-learn's brute-force neighbours",
        "at least 300 x",
        than_other("scikit-learn"),
        lambda value: value >= 300,
        times,
    ),
    Goal(
        "whole audit with 91,271 training images: peak memory",
        "at most 3 GiB",
        memory_of_audit,
        lambda value: value <= 3,
        lambda value: f"{value:.2f} GiB",
    ),
    Goal(
        "growth of the search's time with the number of references",
        "exponent below 1",
        exponent,
        lambda value: value < 1,
        lambda value: f"{value:.3f}",
    ),
    *(
        Goal(
            f"preparing {what}, both cores",
            "at least 80 % of its speed",
            preparing(kind, "speed"),
            lambda value: value >= 0.8,
            percent,
        )
        for kind, what in (
            ("radiographs", "radiographs (JPEG), against decoding and resizing alone"),
            ("volumes", "BraTS volumes, against decoding, scaling and cutting alone"),
            ("slices", "slices (small PNG files), against decoding and resizing alone"),
        )
    ),
    *(
        Goal(
            f"preparing {kind}: hashes and checks",
            "at most 15 % of its time",
            preparing(kind, "checks"),
            lambda value: value <= 0.15,
            percent,
        )
        for kind in PREPARED
    ),
    *(
        Goal(
            f"preparing {kind}: restart after SIGKILL at 90 %",
            "at most 12 % of the whole time",
            preparing(kind, "restart"),
            lambda value: value <= 0.12,
            percent,
        )
        for kind in PREPARED
    ),
    Goal(
        "restart of the audit of a first model after SIGKILL at 90 %",
        "at most 12 % of the whole time",
        restart("first-audit"),
        lambda value: value <= 0.12,
        percent,
    ),
    Goal(
        "the same, of a second model's, which finds the baselines",
        "at most 12 % of the whole time",
        restart("audit"),
        lambda value: value <= 0.12,
        percent,
    ),
)


def goal_rows(results):
    """Yield every goal with what was measured, or None where nothing was."""
    for goal in GOALS:
        try:
            value = goal.value(results)
        except KeyError:
            value = None
        yield goal, value
