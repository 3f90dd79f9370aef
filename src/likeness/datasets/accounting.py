"""What became of every file that was found: found = used + left out, always.

A file is left out *by rule* where that is what was asked for (it is no image, or a sequence that
was not selected); otherwise it is *skipped*, which lowers the trust in an audit and counts against
``--max-skipped``.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likeness._files import write_text
from likeness.errors import InputError, TooManySkippedError

if TYPE_CHECKING:
    from collections.abc import Iterable

REMOVED: Final = "removed_on_request"
"""Code of what was in the set and was taken out again."""

RULES: Final = {
    "other_file": "no reader knows it, and its name promises no image",
    "not_selected": "a sequence that was not asked for",
    "below_foreground": "none of its slices passes the foreground rule",
    "link": "leads to a file that is in the folder anyway",
    "other_set": "belongs to another part of the split",
    REMOVED: "of a patient who was removed on request",
}
"""Codes of files that are left out by rule."""

DEFAULT_MAX_SKIPPED: Final = 0.01

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class LeftOut:
    """One file, folder, or member of an archive, that gave no image."""

    path: str
    """Relative to the source, as `names.path_text` shows it."""
    stage: str
    """``find``, ``group``, ``read`` or ``select``."""
    code: str
    """One word, stable across versions."""
    reason: str
    """For the person who has to mend it."""
    num_bytes: int | None = None
    sha256: str | None = None

    @property
    def by_rule(self) -> bool:
        """Whether that is what was asked for."""
        return self.code in RULES


@dataclass(frozen=True)
class Accounting:
    """The account of one source.

    Raises
    ------
    InputError
        If the numbers do not add up: then a file was lost, which must never pass silently.
    """

    found: int
    """Files, members of archives, and folders that could not be entered."""
    used: int
    left_out: tuple[LeftOut, ...] = ()
    """Sorted by path."""

    def __post_init__(self) -> None:
        """Check that nothing is lost."""
        if self.found != self.used + len(self.left_out):
            msg = (
                f"The account does not add up: found {self.found}, used {self.used}, left out "
                f"{len(self.left_out)}. This is an error in Likeness; please report it."
            )
            raise InputError(msg)

    @property
    def num_skipped(self) -> int:
        """Number of files that should have been used but could not be."""
        return sum(not item.by_rule for item in self.left_out)

    def summary(self) -> str:
        """Return one line, for example ``found 12 files = 10 used + 2 left out (2 truncated)``."""
        files = "file" if self.found == 1 else "files"
        line = (
            f"found {self.found:,} {files} = {self.used:,} used + {len(self.left_out):,} left out"
        )
        return line + self.reasons()

    def reasons(self) -> str:
        """Return the codes with their counts, most frequent first, in brackets; or nothing."""
        counts = Counter(item.code for item in self.left_out)
        ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        text = ", ".join(f"{number:,} {code}" for code, number in ordered)
        return f" ({text})" if text else ""

    def examples(self, listed_in: Path | None = None) -> str:
        """Return the first three skipped files with reasons, and where all are; or nothing."""
        skipped = [item for item in self.left_out if not item.by_rule] or list(self.left_out)
        first = [f"{item.path!r}: {item.reason} [{item.code}]" for item in skipped[:3]]
        if not first:
            return ""
        where = f" All are listed in {str(listed_in)!r}." if listed_in and len(skipped) > 3 else ""
        return f"First: {'; '.join(first)}.{where}"

    def check(self, max_skipped: float, *, listed_in: Path | None = None) -> None:
        """Refuse an account with too many skipped files.

        Parameters
        ----------
        max_skipped
            Largest accepted share of skipped files among those that should have been used, in
            [0, 1].
        listed_in
            Table of the left-out files, named in the message.

        Raises
        ------
        TooManySkippedError
            If the share is larger.
        """
        wanted = self.used + self.num_skipped
        if self.num_skipped <= max_skipped * wanted:
            return
        msg = (
            f"{self.num_skipped:,} of {wanted:,} files cannot be used, more than the "
            f"{100 * max_skipped:.3g} % allowed ({self.summary()}). {self.examples(listed_in)} "
            "Mend or remove them, or allow more with --max-skipped."
        )
        raise TooManySkippedError(msg)

    def write_csv(self, path: Path) -> None:
        """Write the left-out files as a table that is safe to open in a spreadsheet."""
        write_text(path, left_out_csv(self.left_out), private=True)


def left_out_csv(items: Iterable[LeftOut]) -> str:
    """Return the table of left-out files as CSV text.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    lines: list[list[object]] = [["path", "stage", "code", "reason", "bytes", "sha256"]]
    for item in items:
        num_bytes = "" if item.num_bytes is None else item.num_bytes
        cells = [item.path, item.stage, item.code, item.reason, num_bytes, item.sha256 or ""]
        lines.append([safe_cell(cell) for cell in cells])
    return left_out_lines(lines)


def left_out_lines(lines: Iterable[Iterable[object]]) -> str:
    """Return lines of cells, which are safe already, as CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def safe_cell(value: object) -> str:
    """Return a table cell that no spreadsheet runs as a formula."""
    text = str(value)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
