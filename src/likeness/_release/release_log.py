"""The trail of releases of one audit: every decision, in a file whose lines are chained by hash.

Each line holds the hash of the one before it. A line that is changed, moved or taken out from the
middle breaks the chain. Lines cut off at the end leave no trace here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from likeness._files import hash_of_json, write_text
from likeness.errors import InputError

NAME: Final = "release-log.jsonl"
_FIRST: Final = "0" * 64


def append(folder: Path, entry: dict[str, Any]) -> None:
    """Add a line to the trail of an audit.

    Parameters
    ----------
    entry
        JSON values; time and hashes are added.

    Raises
    ------
    InputError
        If the trail was changed.
    OutputError
        If it cannot be written.
    """
    lines = read(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    content = {**entry, "when": now, "previous": lines[-1]["sha256"] if lines else _FIRST}
    lines.append({**content, "sha256": hash_of_json(content)})
    text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    write_text(folder / NAME, text, private=True)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the trail; none where there is no trail yet.

    Raises
    ------
    InputError
        If a line was changed, moved, or taken out.
    """
    path = folder / NAME
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    previous = _FIRST
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
            content = {key: value for key, value in line.items() if key != "sha256"}
            intact = line["sha256"] == hash_of_json(content) and line["previous"] == previous
        except (ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if not intact:
            msg = (
                f"Line {number} of {str(path)!r}, the trail of earlier releases, was changed, "
                "moved, or follows a line that was taken out. Put the file away under another "
                "name and find out why; then run the same command again."
            )
            raise InputError(msg)
        previous = line["sha256"]
        lines.append(line)
    return lines
