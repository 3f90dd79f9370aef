import math

import pytest

from likeness.report import text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.98765, "0.9877"),
        (1.0, "1.0000"),
        (-0.25, "\N{MINUS SIGN}0.2500"),
        (-0.00001, "0.0000"),
        (None, "not defined"),
        (math.nan, "not defined"),
    ],
)
def test_correlations_have_four_decimals_and_a_point(value, expected):
    assert text.correlation(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.999, ""),
        (0.9993, "1 \N{MINUS SIGN} r = 7.0 \N{MULTIPLICATION SIGN} 10⁻⁴"),
        (1 - 4e-9, "1 \N{MINUS SIGN} r = 4.0 \N{MULTIPLICATION SIGN} 10⁻⁹"),
        (1.0, "1 \N{MINUS SIGN} r < 10⁻¹²"),
        (1.0000000001, "1 \N{MINUS SIGN} r < 10⁻¹²"),
        (None, ""),
        (math.nan, ""),
    ],
)
def test_above_0_999_the_distance_to_one_is_said(value, expected):
    assert text.distance_to_one(value) == expected


def test_no_share_is_rounded_to_nothing():
    assert text.share(0, 120) == "0 of 120"
    assert text.share(611, 1000) == "611 of 1,000 (61.1\N{NO-BREAK SPACE}%)"
    assert text.share(1, 1000) == "1 of 1,000 (0.10\N{NO-BREAK SPACE}%)"
    assert (
        text.share(1, 10_000_000)
        == "1 of 10,000,000 (1.0 \N{MULTIPLICATION SIGN} 10⁻⁵\N{NO-BREAK SPACE}%)"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (255, "255"),
        (1234567.0, "1,234,567"),
        (-0.0303219, "\N{MINUS SIGN}0.03032"),
        (0.5, "0.5"),
        (1e-7, "1.0 \N{MULTIPLICATION SIGN} 10⁻⁷"),
        (-3.2e12, "\N{MINUS SIGN}3.2 \N{MULTIPLICATION SIGN} 10¹²"),
        (math.inf, "not defined"),
    ],
)
def test_amounts(value, expected):
    assert text.amount(value) == expected


def test_invisible_characters_are_written_out_and_others_kept():
    hostile = "a\x1b[31m\u202egnp.exe\n\x00\u200b\u2028\udcff\U000e0041é漢🙂 ok"
    assert text.visible(hostile) == (
        r"a\x1b[31m\u202egnp.exe\x0a\x00\u200b\u2028\udcff\U000e0041é漢🙂 ok"
    )


def test_moments_are_iso_and_utc():
    assert text.moment("2025-01-31T09:15:00+01:00") == "2025-01-31 08:15 UTC"
    assert text.day("2025-01-01T00:30:00+01:00") == "2024-12-31"
    assert text.moment("yesterday") == "yesterday"
    assert text.day("yesterday") is None


def test_durations_and_sizes():
    assert [text.duration(s) for s in (12.34, 119, 3600, 9000)] == [
        "12.3 s",
        "119.0 s",
        "60 min",
        "2 h 30 min",
    ]
    assert [text.byte_size(n) for n in (12, 1500, 60_000_000)] == ["12 bytes", "1.5 kB", "60.0 MB"]


def test_paragraphs_are_split_at_blank_lines():
    assert text.paragraphs("one\ntwo\r\n\r\nthree\n\n\n") == ["one two", "three"]
