import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.report.factory import make_audit

from likeness.report.contrast_chart import ContrastRows, contrast_chart
from likeness.report.set_charts import membership_line, sensitivity_bars
from likeness.report.svg import NARROW, WIDE


def rows(num_real=200, num_flagged=3):
    rng = np.random.default_rng(2)
    synthetic = np.concatenate([np.array([0.9, 2.5, 6.0]), np.abs(rng.normal(0, 0.05, 150))])
    flagged = np.arange(len(synthetic)) < num_flagged
    return ContrastRows(
        real=np.abs(rng.normal(0, 0.05, num_real)),
        synthetic=synthetic,
        flagged=flagged,
        unusual=flagged | (np.arange(len(synthetic)) == 10),
        quantile_99=0.13,
    )


def of_class(svg, name):
    return [element for element in svg.iter() if element.get("class") == name]


def axis_of(svg):
    """Contrast -> x, from the labels of the ticks; even in asinh(contrast / 0.1)."""
    ticks = [(float(e.text), float(e.get("x"))) for e in of_class(svg, "tick-label")]
    (low, left), (high, right) = ticks[0], ticks[-1]
    stretch = (right - left) / (math.asinh(high / 0.1) - math.asinh(low / 0.1))
    return lambda c: left + stretch * (math.asinh(c / 0.1) - math.asinh(low / 0.1)), ticks


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_copies_are_marked_where_they_lie(width):
    found = rows()
    svg = ElementTree.fromstring(contrast_chart(found, title="t", width=width))
    x, ticks = axis_of(svg)
    assert all(abs(x(value) - place) < 0.11 for value, place in ticks)
    (marks,) = of_class(svg, "strip-mark")
    places = [float(v) for v in re.findall(r"M([\d.]+)", marks.get("d"))]
    assert places == pytest.approx([x(0.9), x(2.5), x(6.0)], abs=0.2)
    (hollow,) = of_class(svg, "unusual-mark")
    assert hollow.get("d").count("M") == 1
    (line,) = of_class(svg, "threshold")
    assert float(line.get("x1")) == pytest.approx(x(0.13), abs=0.2)


def test_nothing_listed_carries_no_mark():
    found = rows(num_flagged=0)
    found = replace(found, unusual=found.flagged)
    svg = ElementTree.fromstring(contrast_chart(found, title="t"))
    assert "no copy marked" in [element.text for element in svg.iter("text")]
    assert not of_class(svg, "strip-mark")
    assert not of_class(svg, "unusual-mark")


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("number", [0, 1, 29, 300])
def test_marks_lie_within_the_picture(number, width):
    svg = ElementTree.fromstring(contrast_chart(rows(num_real=number), title="t", width=width))
    for element in svg.iter():
        for name in ("x", "x1", "x2"):
            if element.get(name) is not None:
                assert 0 <= float(element.get(name)) <= width
        for x in re.findall(r"[MH](-?[\d.]+)", element.get("d") or ""):
            assert 0 <= float(x) <= width + 0.1


def test_histograms_count_every_image():
    found = rows()
    svg = ElementTree.fromstring(contrast_chart(found, title="t"))
    for path, values in zip(of_class(svg, "area"), (found.real, found.synthetic), strict=True):
        d = path.get("d")
        base = float(re.match(r"M\S+ (\S+?)V", d).group(1))
        heights = np.array([base - float(v) for v in re.findall(r"V([\d.]+)H", d)])
        counts = heights / heights[heights > 0].min()
        assert np.rint(counts).sum() == pytest.approx(len(values), abs=3)


def test_bars_end_at_the_share_caught_and_the_mark_is_at_90_percent(tmp_path):
    levels = make_audit(tmp_path / "audit").findings.self_check.levels
    svg = ElementTree.fromstring(sensitivity_bars(levels, title="t"))
    bars = of_class(svg, "bar")
    left = float(bars[0].get("x"))
    full = float(bars[0].get("width"))  # all 200 caught
    for bar, level in zip(bars, levels, strict=True):
        assert float(bar.get("width")) == pytest.approx(full * level.caught / 200, abs=0.2)
    (line,) = of_class(svg, "threshold")
    assert float(line.get("x1")) == pytest.approx(left + 0.9 * full, abs=0.2)
    short = [g for g in svg.iter("g") if g.get("class") == "s-synthetic-train"]
    assert len(short) == sum(level.sensitivity_low < 0.9 for level in levels) == 1


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.871, 1.0])
def test_the_set_lies_on_the_line_in_proportion(tmp_path, share, width):
    found = replace(make_audit(tmp_path / "audit").findings.membership, matched_share=share)
    svg = ElementTree.fromstring(membership_line(found, title="t", width=width))
    (band,) = of_class(svg, "band")
    start, size = float(band.get("x")), float(band.get("width"))
    per_share = size / (found.band_high - found.band_low)
    (mark,) = of_class(svg, "dot")
    place = float(re.match(r"M([\d.]+)", mark.get("d")).group(1))
    expected = start + per_share * (share - found.band_low)
    assert place == pytest.approx(expected, abs=1.5)
    assert 0 <= place <= width
    assert "0 %" not in {e.text for e in svg.iter("text")}
    assert membership_line(replace(found, matched_share=None), title="t") == ""
