"""Flags that several verbs share, and how values with units are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from likeness._progress import Progress
from likeness.cli._console import make_progress
from likeness.errors import OptionError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
          "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """What is shown."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print the result as one JSON object."""
    quiet: Annotated[bool, Parameter(alias="-q", negative="")] = False
    """Print no progress and no remarks."""
    progress: bool = True
    """Show progress on stderr."""

    def make_progress(self) -> Progress:
        """Return the progress that these flags ask for."""
        return make_progress(show=self.progress and not self.quiet)


def bytes_from(text: str, flag: str) -> int:
    """Return the bytes that a text such as ``2GB`` or ``512 MiB`` means."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS:
        msg = f"{flag} is {text!r}; give a size such as 2GB or 512MiB."
        raise OptionError(msg)
    return int(float(match[1]) * _UNITS[match[2].lower()])


def share_from(text: str, flag: str) -> float:
    """Return the share that ``1%`` or ``0.01`` means."""
    stripped = text.strip()
    try:
        value = float(stripped.removesuffix("%")) / (100 if stripped.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        msg = f"{flag} is {text!r}; give a share such as 1% or 0.01."
        raise OptionError(msg)
    return value


def names_from(text: str | None) -> tuple[str, ...] | None:
    """Return the names in a list such as ``t1,t2,flair``."""
    if text is None:
        return None
    return tuple(name.strip() for name in text.split(",") if name.strip())


def readable_bytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
