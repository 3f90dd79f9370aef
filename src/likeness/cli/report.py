"""`likeness report`."""

from __future__ import annotations

from pathlib import Path

from likeness._audit import require_complete
from likeness.cli._console import say
from likeness.cli._options import bytes_from
from likeness.report import write_report


def report(*, audit: Path, max_size: str = "60MB", pairs: int = 60) -> int:
    """Write the report of an audit again, from its saved results.

    Nothing is computed anew; the images themselves are not needed.

    Parameters
    ----------
    audit
        Folder that `likeness audit` wrote.
    max_size
        Largest size of the internal report; pairs beyond it are left out, and it says so.
    pairs
        Most pairs shown.
    """
    require_complete(audit)
    paths = write_report(audit, max_bytes=bytes_from(max_size, "--max-size"), pairs=pairs)
    say(
        f"wrote {paths.internal} (training images inside: do not share)",
        f"      {paths.summary} (numbers only)",
    )
    return 0
