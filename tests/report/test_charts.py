import re
from xml.etree import ElementTree

import numpy as np
import pytest

from likeness.report import charts
from likeness.report.charts import RangeRow, Series
from likeness.report.svg import NARROW, WIDE


def draw(*rows, width=WIDE):
    svg = charts.ridgeline(rows, title="A title", width=width)
    return ElementTree.fromstring(svg)


def paths(svg, name):
    return [e.get("d") for e in svg.iter("path") if e.get("class") == name]


def bars(path):
    """(left, right, height above the start) of each bar of a step path."""
    start, base = map(float, re.match(r"M(\S+) (\S+?)V", path).groups())
    steps = re.findall(r"V([\d.]+)H([\d.]+)", path)
    lefts = [start, *[float(right) for _, right in steps[:-1]]]
    return [
        (left, float(right), base - float(top))
        for left, (top, right) in zip(lefts, steps, strict=True)
    ]


def test_bars_are_in_proportion_to_counts_and_open_on_the_left():
    rng = np.random.default_rng(11)
    values = np.round(rng.uniform(0.5, 1.0, 300), 2)
    svg = draw(Series("s", "row", values))
    marks = {float(e.get("x")): float(e.text) for e in svg.iter("text") if _is(e, "tick-label")}
    (x0, v0), (x1, v1) = min(marks.items()), max(marks.items())
    scale = (v1 - v0) / (x1 - x0)
    (path,) = paths(svg, "area")
    found = bars(path)
    tallest = max(height for *_, height in found)
    counts = [
        # 0.1 px of rounding in the drawing is 0.00007 here; values have steps of 0.01
        int(
            (
                (values > v0 + (a - x0) * scale + 2e-4) & (values <= v0 + (b - x0) * scale + 2e-4)
            ).sum()
        )
        for a, b, _ in found
    ]
    assert sum(counts) == 300
    heights = np.array([height for *_, height in found])
    assert heights / tallest == pytest.approx(np.array(counts) / max(counts), abs=0.01)


def _is(element, name):
    return element.get("class") == name


def test_few_images_are_drawn_one_by_one():
    svg = draw(Series("s", "row", np.array([0.5, 0.6, 0.9])))
    (rug,) = paths(svg, "rug")
    assert rug.count("M") == 3
    assert not paths(svg, "area")


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize(
    "values",
    [[], [0.5], [1.0], [1.0] * 50, [-1.0, 1.0], [0.0] * 40, [0.999999, 1.0], [-0.3, -0.2]],
)
def test_all_marks_lie_within_the_picture(values, width):
    rows = [Series("a", "first", np.array(values)), Series("b", "second", np.array([]))]
    svg = draw(*rows, width=width)
    for element in svg.iter():
        for name in ("x", "x1", "x2"):
            if element.get(name) is not None:
                assert 0 <= float(element.get(name)) <= width
        for x in re.findall(r"[MH](-?[\d.]+)", element.get("d") or ""):
            assert 0 <= float(x) <= width + 0.1


def test_every_row_says_how_many_images_and_their_median():
    svg = draw(Series("s", "a < b", np.array([0.5, 0.7, 0.75]), "2 above"))
    words = [element.text for element in svg.iter("text")]
    assert {"a < b", "3 images", "median 0.7000", "2 above"} <= set(words)
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "A title"


def test_the_strip_marks_the_score_in_proportion():
    svg = ElementTree.fromstring(
        charts.position_strip(np.linspace(0.5, 0.9, 100), 0.75, 0.5, title="t")
    )
    (line,) = paths(svg, "strip-line")
    assert line.startswith("M160 ")


def test_the_range_chart_puts_median_quantile_and_maximum_in_order():
    rows = [RangeRow("s", "row", 0.5, 0.8, 0.9)]
    svg = ElementTree.fromstring(charts.range_chart(rows, title="t"))
    circle = float(next(svg.iter("circle")).get("cx"))
    tick = float(re.match(r"M(\S+)", paths(svg, "tick")[0]).group(1))
    end = float(next(e for e in svg.iter("line") if _is(e, "range")).get("x2"))
    assert (tick - circle) / (end - circle) == pytest.approx(0.75, abs=0.001)
