"""The page of `likeness duplicates`: what is there twice, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._neighbours import wording
from likeness._neighbours.pictures import show_pair
from likeness._versions import package_version
from likeness.report import text
from likeness.report.pairs_page import (
    Number,
    PageChart,
    PageTable,
    PairPictures,
    PairsPage,
    render_pairs_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness._neighbours.duplicates import Duplicates
    from likeness.datasets import ImageSet

FOR_COMPARISON: Final = 6
"""Pairs shown that are no duplicates."""
STRIP: Final = "INTERNAL: this page holds pictures and identifiers of patients. Do not pass it on."


def duplicates_page(
    result: Duplicates,
    first: ImageSet,
    second: ImageSet,
    channels: tuple[int, ...],
    pairs_shown: int,
) -> str:
    """Render the page; pairs between patients come first, then the most similar."""
    summary = result.summary
    shown = _chosen(result.pairs.to_pylist(), pairs_shown)
    total = result.pairs.num_rows
    return render_pairs_page(
        PairsPage(
            title="Duplicates",
            strip=STRIP,
            heading=wording.heading(summary),
            sentences=[wording.compared(summary), *wording.sentences(summary)],
            numbers=_numbers(summary),
            charts=_charts(result),
            tables=_tables(result),
            pairs_title="Pairs",
            pairs_words=(
                f"{text.count(len(shown))} of {text.many(total, 'pair')}, those between different "
                "patients first, then the most similar. The first image is turned so that it lies "
                "on the second."
                if total
                else "No pair was found."
            )
            + " For comparison, the most similar images of different patients follow that are not "
            "listed.",
            pairs=[
                *_cards(shown, first, second, channels),
                *_nearest(result, max(0, pairs_shown - len(shown)), first, second, channels),
            ],
            limits=wording.LIMITS,
            footer=f"Made by Likeness {package_version('likeness')}. A measurement, no judgement.",
            details=[(key, str(value)) for key, value in sorted(summary["settings"].items())],
        )
    )


def _chosen(rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Put pairs of different, or of unknown, patients in front; else keep the order."""
    return sorted(rows, key=lambda row: row["same_patient"] is True)[:number]


def _cards(
    rows: list[dict[str, Any]], first: ImageSet, second: ImageSet, channels: tuple[int, ...]
) -> Iterator[PairPictures]:
    places = {name: row for row, name in enumerate(first.image_ids)}
    others = {name: row for row, name in enumerate(second.image_ids)}
    for row in rows:
        equal = row["kind"] == "equal"
        yield show_pair(
            first,
            places[row["first_id"]],
            second,
            others[row["second_id"]],
            transform=row["transform"],
            channels=channels,
            title=f"r {text.correlation(row['similarity'])}",
            tag="equal pixels" if equal else "almost equal",
            names=("First", "Second"),
            facts=[("At full size", f"r {text.correlation(row['correlation'])}")],
        )


def _nearest(
    result: Duplicates,
    number: int,
    first: ImageSet,
    second: ImageSet,
    channels: tuple[int, ...],
) -> Iterator[PairPictures]:
    """Show what the most similar images of different patients look like that are no duplicates."""
    others = {name: row for row, name in enumerate(second.image_ids)}
    listed = {frozenset((row["first_id"], row["second_id"])) for row in result.pairs.to_pylist()}
    seen = set(listed)
    rows = [
        (row["correlation"], place, row)
        for place, row in enumerate(result.images.to_pylist())
        if row["correlation"] is not None
    ]
    shown = 0
    for correlation, place, row in sorted(rows, key=lambda item: (-item[0], item[1])):
        pair = frozenset((row["image_id"], row["nearest_id"]))
        if shown == min(number, FOR_COMPARISON):
            return
        if pair in seen:
            continue
        seen.add(pair)
        shown += 1
        yield show_pair(
            first,
            place,
            second,
            others[row["nearest_id"]],
            transform=row["transform"],
            channels=channels,
            title=f"r {text.correlation(correlation)} at full size",
            tag="not listed",
            names=("First", "Second"),
        )


def _numbers(summary: dict[str, Any]) -> list[Number]:
    values, done = summary["highest_correlation"], summary["compared"]
    numbers = [
        Number("Images", text.count(summary["set"]["images"])),
        Number("Pairs compared", text.count(done["pairs_full_size"])),
        Number("Equal pixels", text.count(summary["equal"]["pairs"]), "pairs"),
        Number(
            "Almost equal",
            text.count(summary["near"]["pairs"]),
            f"pairs with r at least {summary['near']['limit']:g} at 64 x 64",
        ),
    ]
    if summary["patients"]["shared"]:
        numbers.append(Number("Patients in both sets", text.count(summary["patients"]["shared"])))
    if summary["set"]["patients"]:
        numbers.append(
            Number("People under several ids", text.count(summary["patients"]["one_person"]))
        )
    if summary["pictures"] is not None:
        numbers.append(Number("Different pictures", text.count(summary["pictures"]["different"])))
    if values["images"]:
        numbers.append(
            Number(
                "Highest r with somebody else",
                text.correlation(values["median"]),
                f"median; 99 %: {text.correlation(values['quantile_99'])}, highest: "
                f"{text.correlation(values['maximum'])}",
            )
        )
    return numbers


def _charts(result: Duplicates) -> list[PageChart]:
    values = result.images.column("correlation").to_numpy(zero_copy_only=False)
    values = values[~np.isnan(values.astype(np.float64))].astype(np.float64)
    if not len(values):
        return []
    across = result.summary["against"] is not None
    return [
        PageChart(
            "Highest correlation of every image with somebody else",
            "At full size, own patient left out, best of the flips and turns. A hump of its own "
            "near 1 is made of duplicates; the rest is what different people reach.",
            [("s-test-train" if across else "s-train-train", "highest r", values)],
        )
    ]


def _tables(result: Duplicates) -> list[PageTable]:
    found = result.summary["patients"]
    tables = []
    if found["shared"]:
        tables.append(
            PageTable(
                "Patients in both sets",
                "By name. Nothing was compared for this.",
                ("Patient",),
                [(name,) for name in found["shared_ids"]],
            )
        )
    if found["one_person"]:
        tables.append(
            PageTable(
                "Probably one person",
                "Patients that share an equal or practically equal picture (r at least 0.999 at "
                "64 x 64). Somebody who knows the records must decide; then give them one id.",
                ("Patients",),
                [(", ".join(names),) for names in found["one_person_ids"]],
            )
        )
    rows = sorted(
        (row for row in result.patients.to_pylist() if row["correlation"] is not None),
        key=lambda row: -row["correlation"],
    )
    if rows:
        tables.append(
            PageTable(
                "Patients by their nearest other patient",
                "Highest r of any image at full size. What most patients reach is what different "
                "people reach on these images.",
                ("Patient", "Images", "Nearest", "r", "Patients with an almost equal picture"),
                [
                    (
                        row["patient_id"],
                        text.count(row["num_images"]),
                        row["nearest_patient"] or row["nearest_id"] or "",
                        text.correlation(row["correlation"]),
                        text.count(row["num_near_patients"]),
                    )
                    for row in rows[:30]
                ],
                frozenset({1, 3, 4}),
            )
        )
    return tables
