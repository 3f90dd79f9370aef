import csv
import io

import pytest

from likeness.datasets.accounting import Accounting, LeftOut, left_out_csv
from likeness.errors import InputError, TooManySkippedError


def item(path, code):
    return LeftOut(path, "read", code, "reason")


def test_the_summary_adds_up():
    account = Accounting(
        5, 2, (item("a", "truncated"), item("b", "truncated"), item("c", "empty_file"))
    )
    assert account.summary() == "found 5 files = 2 used + 3 left out (2 truncated, 1 empty_file)"
    assert Accounting(5216, 5216).summary() == "found 5,216 files = 5,216 used + 0 left out"


def test_an_account_that_does_not_add_up_cannot_be_made():
    with pytest.raises(InputError, match="does not add up"):
        Accounting(5, 2, (item("a", "truncated"),))


def test_files_left_out_by_rule_are_not_skipped():
    account = Accounting(4, 2, (item("a", "other_file"), item("b", "truncated")))
    assert account.num_skipped == 1
    account.check(0.34)
    with pytest.raises(
        TooManySkippedError, match=r"1 of 3 files.*'b': reason \[truncated\].*--max-skipped"
    ):
        account.check(0.33)
    Accounting(1, 0, (item("a", "other_file"),)).check(0.0)


def test_the_table_runs_no_formula_and_loses_nothing():
    paths = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", 'a"b', "a,b", "plain"]
    text = left_out_csv([LeftOut(path, "read", "code", "why", 3, "ab") for path in paths])
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["path", "stage", "code", "reason", "bytes", "sha256"]
    shown = [row[0] for row in rows[1:]]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t")) for cell in shown)
    assert [cell.removeprefix("'") for cell in shown] == paths
    assert rows[1][4:] == ["3", "ab"]
