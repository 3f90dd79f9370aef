import re
from importlib.resources import files

import pytest

STYLE = files("likeness.report").joinpath("templates", "style.css").read_text("utf-8")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def schemes():
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    for name, block in (("light", light), ("dark", dark)):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for ink in ("ink", "soft", "link", "vermillion", "blue", "green", "black", "amber"):
            for ground in ("ground", "panel", "tint"):
                yield pytest.param(colours[ink], colours[ground], id=f"{name} {ink} on {ground}")


@pytest.mark.parametrize(("ink", "ground"), list(schemes()))
def test_text_and_marks_have_the_contrast_of_wcag_aa(ink, ground):
    assert contrast(ink, ground) >= 4.5


def test_the_strips_are_readable():
    for colour in ("#9b1c1c", "#2f4a5c"):
        assert colour in STYLE
        assert contrast(colour, "#ffffff") >= 4.5


def test_the_style_sheet_loads_nothing():
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "<" not in STYLE
