"""Marks of tasks that were begun and have not ended: how a task that kills is told from a victim.

A worker that is killed cannot say what it was doing, and a scheduler blames everything that waited
on it. So a task leaves a file when it begins and takes it away when it ends, however it ends; what
is left belongs to a task that was running when its worker died.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from typing import TYPE_CHECKING

from likeness._files import PRIVATE_MODE, make_folder, writing_to

if TYPE_CHECKING:
    from pathlib import Path


def begin(folder: Path, key: str) -> Path:
    """Leave a mark; return it."""
    make_folder(folder, private=True)
    number = 0
    while True:
        mark = folder / f"{key}.{number}"
        try:
            # Not atomic_write: creating the name is all that counts, and two must not share one.
            descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        except FileExistsError:
            number += 1
            continue
        except OSError:
            with writing_to(mark):
                raise
        with os.fdopen(descriptor, "w") as stream:
            stream.write(json.dumps({"machine": platform.node(), "process": os.getpid()}))
        return mark


def end(mark: Path) -> None:
    """Take a mark away."""
    with contextlib.suppress(OSError):
        mark.unlink(missing_ok=True)


def count(folder: Path, key: str) -> int:
    """Return how often a task was begun without an end."""
    return sum(1 for _ in folder.glob(f"{key}.*"))


def forget(folder: Path) -> int:
    """Remove all marks, for nobody is at work; return how many there were."""
    marks = list(folder.glob("*"))
    for mark in marks:
        end(mark)
    return len(marks)
