"""`likeness cite`."""

from __future__ import annotations

from pathlib import Path

from likeness._audit import require_complete
from likeness.cli._console import say


def cite(*, audit: Path) -> int:
    """Print the methods paragraph and the citation of an audit.

    Parameters
    ----------
    audit
        Folder that `likeness audit` wrote.
    """
    require_complete(audit)
    say((audit / "CITATION.md").read_text(encoding="utf-8").rstrip())
    return 0
