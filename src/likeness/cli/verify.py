"""`likeness verify`."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from likeness.cli._console import say
from likeness.cli._options import Output
from likeness.datasets import verify as verify_set

DAMAGED = 3


def verify(path: Path, /, *, output: Output = Output()) -> int:  # noqa: B008 - frozen
    """Check every byte of an image set against its checksums.

    Parameters
    ----------
    path
        Folder that `likeness prepare` wrote.
    """
    result = verify_set(path, progress=output.make_progress())
    if output.json:
        content = {
            "path": str(path),
            "files": result.num_files,
            "problems": list(result.problems),
            "notes": list(result.notes),
        }
        say(json_module.dumps(content, indent=2, sort_keys=True))
    elif result.problems:
        say(
            f"{len(result.problems)} problems in {path}", *(f"  {text}" for text in result.problems)
        )
        say("next  prepare the set again from its source")
    else:
        say(f"{path}: {result.num_files} files, every byte as written")
    if not output.json:
        say(*(f"note  {text}" for text in result.notes))
    return DAMAGED if result.problems else 0
