"""The page for one patient: the closest synthetic images beside the patient's own.

It names no other patient, so that whoever answers the patient can use it as a draft; it still holds
the patient's pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness._match import wording
from likeness._neighbours.pictures import show_pair
from likeness._versions import package_version
from likeness.report import text
from likeness.report.pairs_page import (
    Number,
    PageChart,
    PairPictures,
    PairsPage,
    render_pairs_page,
)
from likeness.types import TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likeness._match.patients import OnePatient
    from likeness.datasets import ImageSet
    from likeness.types import Floats

STRIP: Final = "INTERNAL: this page holds pictures of one patient. Pass it to nobody else."


def patient_page(
    summary: dict[str, Any],
    record: dict[str, Any],
    row: OnePatient,
    sets: dict[str, ImageSet],
    others: Floats,
    channels: tuple[int, ...],
    pairs_shown: int,
) -> str:
    """Render the page.

    Parameters
    ----------
    others
        (k,) highest r of other people with any synthetic image.
    """
    defined = np.flatnonzero(~np.isnan(row.correlation))
    order = defined[np.argsort(-row.correlation[defined], kind="stable")][:pairs_shown]
    held_out = summary["yardstick"]["people"] == "test"
    return render_pairs_page(
        PairsPage(
            title="One patient",
            strip=STRIP,
            heading=wording.heading(record),
            sentences=wording.sentences(summary, record),
            numbers=_numbers(summary, record),
            charts=_charts(row, others, held_out=held_out),
            pairs_title="The closest images",
            pairs_words=(
                f"{text.count(len(order))} of {text.many(len(defined), 'synthetic image')}, "
                "closest first, each with the training image of this patient that it resembles "
                "most. The synthetic image is turned so that it lies on the training image."
            ),
            pairs=_cards(order.tolist(), row, sets, channels, summary),
            limits=wording.LIMITS,
            footer=f"Made by Likeness {package_version('likeness')}. A measurement, no judgement.",
        )
    )


def _numbers(summary: dict[str, Any], record: dict[str, Any]) -> list[Number]:
    number, size = record["yardstick_at_least"], record["yardstick_patients"]
    return [
        Number("Synthetic images", text.count(summary["compared"]["queries"])),
        Number("Images of this patient", text.count(record["images"])),
        Number("Highest r", text.correlation(record["highest_correlation"])),
        Number(
            "Nearest of all",
            text.count(record["nearest_of"]),
            f"synthetic images; {record['nearest_expected']:.1f} by the share of training images",
        ),
        Number(
            "Other people as close",
            "not known" if number is None else text.share(number, size),
            "not used for training"
            if summary["yardstick"]["people"] == "test"
            else "used for training too",
        ),
        Number("Equal pixels", text.count(record["equal_pixels"])),
    ]


def _charts(row: OnePatient, others: Floats, *, held_out: bool) -> list[PageChart]:
    mine = row.correlation[~np.isnan(row.correlation)]
    if not len(mine) or not len(others):
        return []
    who = "people not in training" if held_out else "other patients"
    return [
        PageChart(
            "Highest correlation of each person with any synthetic image",
            "One value per person. A person whose pictures were copied lies to the right of the "
            "others.",
            [
                ("s-synthetic-train", "this patient", np.array([mine.max()])),
                ("s-test-train" if held_out else "s-train-train", who, others),
            ],
            noun="patient",
        )
    ]


def _cards(
    order: list[int],
    row: OnePatient,
    sets: dict[str, ImageSet],
    channels: tuple[int, ...],
    summary: dict[str, Any],
) -> Iterator[PairPictures]:
    patients, listed = summary["compared"]["patients"], summary["compared"]["patients_listed"]
    for i in order:
        rank = int(row.rank[i])
        if rank == 1:
            tag = "nearest of all patients"
        elif rank:
            tag = f"{text.many(rank - 1, 'patient')} nearer"
        else:
            tag = f"at least {listed} patients nearer"
        facts = [
            ("Mean r of channels", text.correlation(float(row.correlation_mean[i]))),
            ("Place of this patient", f"{rank or f'beyond {listed}'} of {text.count(patients)}"),
        ]
        if not np.isnan(row.next_correlation[i]):
            who = "Next patient" if rank == 1 else "Nearest patient"
            facts.append((who, f"r {text.correlation(float(row.next_correlation[i]))}"))
        yield show_pair(
            sets["queries"],
            i,
            sets["references"],
            int(row.match[i]),
            transform=TRANSFORMS[int(row.transform[i])],
            channels=channels,
            title=f"r {text.correlation(float(row.correlation[i]))}",
            tag=tag,
            names=("Synthetic", "Training"),
            facts=facts,
        )
