"""`likeness cite`."""

from __future__ import annotations

from pathlib import Path

from likeness._findings import Findings
from likeness.cli._console import say


def cite(*, audit: Path) -> int:
    """Print the methods paragraph and the citation of an audit.

    Parameters
    ----------
    audit
        Folder that `likeness audit` wrote.
    """
    Findings.read(audit)  # an unfinished audit has nothing to cite
    say((audit / "CITATION.md").read_text(encoding="utf-8").rstrip())
    return 0
