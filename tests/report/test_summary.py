"""What may be handed on holds numbers only."""

import base64
import itertools
import re
from dataclasses import fields, replace
from urllib.parse import quote

import numpy as np
import pytest
from tests.report.factory import make_audit
from tests.report.pages import Page

from likeness.report import write_report
from likeness.report.summary import (
    DistributionFacts,
    LevelFacts,
    SelfCheckFacts,
    SetFacts,
    SetLevelFacts,
    SummaryFacts,
    share,
    suppress,
)


def encodings(token: str) -> dict[str, bytes]:
    """All forms of a token that a search must not meet."""
    raw = token.encode()
    forms = {
        "plain": raw,
        "upper": token.upper().encode(),
        "reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "hex upper": raw.hex().upper().encode(),
        "url": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "url of odd characters": quote(token).encode(),
        "utf-16 le": token.encode("utf-16-le"),
        "utf-16 be": token.encode("utf-16-be"),
        "entities": "".join(f"&#{byte};" for byte in raw).encode(),
    }
    for shift in range(3):  # base64 depends on where in a group of three the token begins
        text = base64.b64encode(b"\x00" * shift + raw)
        forms[f"base64 {shift}"] = text[4 if shift else 0 : len(text) // 4 * 4 - 4]
    return forms


def test_nothing_that_could_name_anybody_is_in_the_summary(tmp_path):
    tokens = []
    number = itertools.count()

    def mark(text: str) -> str:
        token = f"Zq{next(number):05d}xKanary"
        tokens.append(token)
        return text + token

    made = make_audit(tmp_path / "Zq99999xKanary", text=mark, num_undefined=3, num_errors=5)
    tokens.append("Zq99999xKanary")
    paths = write_report(made.folder)
    internal, content = paths.internal.read_bytes(), paths.summary.read_bytes()
    assert len(tokens) > 200
    lowered = content.lower()
    for token in tokens:
        for form, pattern in encodings(token).items():
            assert len(pattern) >= 10
            assert pattern.lower() not in lowered, (token, form)
    # The search can find something: the internal report holds them.
    assert sum(token.encode() in internal for token in tokens) > 100


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_no_pixel_is_in_the_summary(tmp_path, dtype):
    made = make_audit(tmp_path / "audit", dtype=dtype, num_pairs=5)
    content = write_report(made.folder).summary.read_bytes()
    assert b"<img" not in content
    assert b"data:" not in content
    assert b"url(" not in content
    assert not re.search(rb"[A-Za-z0-9+/]{80,}", content)  # no long base64 of any kind
    for image in (*made.synthetic, *made.train):
        row = np.ascontiguousarray(image[0, image.shape[1] // 2, 8:24])
        assert row.min() < row.max()
        for form in (row.tobytes(), row.tobytes().hex().encode(), base64.b64encode(row)):
            assert form not in content
        listed = ",".join(str(value) for value in row.tolist()).encode()
        assert listed not in content


def test_the_facts_are_numbers_codes_and_dates():
    allowed = re.compile(
        r"(int|float|bool|VerdictCode|Comparison)( \| None)?"
        r"|tuple\[(SetFacts|DistributionFacts|LevelFacts), \.\.\.\]"
        r"|SelfCheckFacts|SetLevelFacts"
    )
    parts = (SetFacts, DistributionFacts, LevelFacts, SelfCheckFacts, SetLevelFacts)
    checked_text = {"version", "date", "role", "level"}
    for record in (SummaryFacts, *parts):
        for field in fields(record):
            assert allowed.fullmatch(field.type) or field.name in checked_text, field


def test_a_level_that_is_not_in_the_list_is_left_out(tmp_path):
    findings = make_audit(tmp_path / "audit").findings
    odd = replace(findings.self_check.levels[0], level="L0 of Mrs Mueller")
    check = replace(findings.self_check, levels=[odd, *findings.self_check.levels[1:]])
    facts = SummaryFacts.from_findings(replace(findings, self_check=check))
    assert [row.level for row in facts.self_check.levels] == ["L1", "L2", "L3", "L4"]


def test_version_and_date_are_let_through_only_in_their_form(tmp_path):
    made = make_audit(tmp_path / "plain")
    facts = SummaryFacts.from_findings(made.findings)
    assert (facts.version, facts.date) == ("0.1.0", "2025-03-04")
    odd = make_audit(tmp_path / "odd", text=lambda text: text + "-mueller")
    facts = SummaryFacts.from_findings(odd.findings)
    assert (facts.version, facts.date) == (None, None)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0"), (1, "fewer than 5"), (4, "fewer than 5"), (5, "5"), (1234, "1,234")],
)
def test_small_counts_are_suppressed(number, expected):
    assert suppress(number) == expected


def test_a_share_does_not_give_a_small_count_away():
    assert share(3, 120) == "fewer than 5 of 120"
    assert share(0, 120) == "0 of 120"
    assert share(9, 120).startswith("9 of 120 (7.5")
    assert share(1, 1) == "fewer than 5 of fewer than 5"


@pytest.mark.parametrize(
    ("num_flagged", "flagged", "patients"),
    [(0, "0 of 120", "0 of 100"), (2, "fewer than 5 of 120", "fewer than 5 of 100")],
)
def test_the_summary_suppresses(tmp_path, num_flagged, flagged, patients):
    verdict = "COPIES_FOUND" if num_flagged else "NO_COPY_DETECTED"
    made = make_audit(tmp_path / "audit", num_flagged=num_flagged, verdict=verdict)
    page = Page(write_report(made.folder).summary.read_text())
    assert page.counts["flagged"].split("rate between")[0] == flagged
    # Neither an interval nor a bound gives the small count away.
    assert ("rate between" in page.text) == (num_flagged == 0)
    assert ("not shown" in page.text) == (num_flagged > 0)
    assert page.counts["patients"] == patients


def test_the_summary_says_what_it_is_and_what_it_does_not_show(tmp_path):
    page = Page(write_report(make_audit(tmp_path / "audit").folder).summary.read_text())
    assert page.counts["flagged"].startswith("9 of 120")
    assert "No image and no identifier is in this file." in page.text
    assert "What this does not show" in page.text
    assert "1 passed, 1 warning, 1 failed" in page.text
