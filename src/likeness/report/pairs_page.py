"""A page of sentences, numbers, tables and pairs of pictures, for what is no audit.

The pages of `likeness duplicates` and `likeness match --patient`. Like the internal report they
hold pictures of patients, load nothing, and run no script.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from likeness.report import charts, evidence, svg
from likeness.report.render import render
from likeness.similarity import intensity_fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from likeness.types import Floats, Image

MAX_ROWS: Final = 200
"""Longer tables help no reader; the whole of them is in the Parquet files."""


@dataclass(frozen=True)
class Number:
    """One of the numbers on top."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table; columns in `numeric` stand to the right."""

    title: str
    words: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()

    @property
    def shown(self) -> Sequence[Sequence[str]]:
        """The rows that fit on a page."""
        return self.rows[:MAX_ROWS]


@dataclass(frozen=True)
class PairPictures:
    """Two pictures side by side, with what is known of them."""

    title: str
    tag: str
    facts: Sequence[tuple[str, str]]
    first_name: str
    second_name: str
    first: Image
    """(C, H, W), already turned so that it lies on `second`."""
    second: Image
    channels: Sequence[str]


@dataclass(frozen=True)
class PageChart:
    """Histograms one above the other."""

    title: str
    words: str
    rows: Sequence[tuple[str, str, Floats]]
    """(class of the style sheet, label, values)."""
    noun: str = "image"
    """What one value stands for."""


@dataclass(frozen=True)
class PairsPage:
    """All that is on the page."""

    title: str
    strip: str
    heading: str
    sentences: Sequence[str]
    numbers: Sequence[Number]
    notices: Sequence[str] = ()
    charts: Sequence[PageChart] = ()
    tables: Sequence[PageTable] = ()
    pairs_title: str = "Pairs"
    pairs_words: str = ""
    pairs: Iterable[PairPictures] = ()
    limits: Sequence[str] = ()
    footer: str = ""
    details: Sequence[tuple[str, str]] = field(default_factory=tuple)


def render_pairs_page(page: PairsPage) -> str:
    """Render the page; the pairs are taken one by one."""
    return render(
        "pairs.html.j2",
        page=page,
        drawings=[(chart, _draw(chart)) for chart in page.charts],
        cards=[_card(pair) for pair in page.pairs],
    )


def _draw(chart: PageChart) -> svg.Chart:
    rows = [charts.Series(key, label, values, noun=chart.noun) for key, label, values in chart.rows]
    return svg.at_both_widths(lambda width: charts.ridgeline(rows, title=chart.title, width=width))


def _card(pair: PairPictures) -> dict[str, Any]:
    fit = intensity_fit(pair.first, pair.second)
    return {
        "pair": pair,
        "channels": [
            _channel(name, pair.first[index], pair.second[index], fit.residual[index])
            for index, name in enumerate(pair.channels)
        ],
    }


def _channel(
    name: str, first: NDArray[Any], second: NDArray[Any], residual: Floats
) -> dict[str, Any]:
    window = evidence.linked_window(first, second)
    spread = float(first.max()) - float(first.min())
    # A constant channel has no fit, and nothing to show a difference in units of.
    constant = not spread > 0 or second.min() == second.max()
    rest = np.zeros_like(residual) if constant else residual / spread
    return {
        "name": name,
        "first": evidence.encode_picture(evidence.grey_picture(first, window)),
        "second": evidence.encode_picture(evidence.grey_picture(second, window)),
        "difference": None
        if constant
        else evidence.encode_picture(evidence.difference_picture(rest)),
    }
