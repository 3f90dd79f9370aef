"""Write both pages of an audit folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from likeness._files import write_text
from likeness.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

INTERNAL_NAME: Final = "report-INTERNAL.html"
SUMMARY_NAME: Final = "summary.html"


@dataclass(frozen=True)
class ReportPaths:
    """Where the pages are."""

    internal: Path
    """Holds images and ids of patients; readable by its owner only."""
    summary: Path
    """Holds numbers only."""


def write_report(audit: Path, *, max_bytes: int = 60_000_000, pairs: int = 60) -> ReportPaths:
    """Render an audit folder into `report-INTERNAL.html` and `summary.html`, beside its files.

    Parameters
    ----------
    audit
        The folder that an audit wrote.
    max_bytes
        Size that pictures may not carry the internal report beyond, in bytes; above 0. Pairs that
        do not fit are left out, the worst are kept, and the report says how many are missing.
    pairs
        Most pairs to show; 0 or more.

    Returns
    -------
    ReportPaths
        The two files.

    Raises
    ------
    OptionError
        If `max_bytes` or `pairs` is out of range.
    InputError
        If there is no audit in the folder.
    FormatVersionError
        If another version of Likeness wrote it in another format.
    OutputError
        If the pages cannot be written.
    """
    if max_bytes <= 0:
        msg = f"The size of the report is {max_bytes} bytes; it must be above 0."
        raise OptionError(msg)
    if pairs < 0:
        msg = f"The number of pairs is {pairs}; it must be 0 or more."
        raise OptionError(msg)
    # Here, so that `import likeness` does not pay for templates and tables.
    from likeness.report.audit_files import read_audit
    from likeness.report.internal import render_internal
    from likeness.report.summary import SummaryFacts, render_summary

    content = read_audit(audit)
    internal = render_internal(content, max_bytes=max_bytes, max_pairs=pairs)
    summary = render_summary(SummaryFacts.from_findings(content.findings))
    paths = ReportPaths(audit / INTERNAL_NAME, audit / SUMMARY_NAME)
    write_text(paths.internal, internal, private=True)
    write_text(paths.summary, summary)
    return paths
