"""Whether a file is as it was when its content was looked at, without reading it again.

Whoever writes to a file changes its size, its inode or one of its times. What a disk loses by
itself does not, so a look at the content counts for a day only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS: Final = 24 * 3600


def state_of_file(path: Path) -> list[int]:
    """Return what changes when a file is written to: size, inode, and two times.

    Raises
    ------
    OSError
        If there is no such file.
    """
    status = path.lstat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def is_recent(when: Any) -> bool:  # noqa: ANN401
    """Whether a `time.time`, read from a file, lies within the day before now."""
    return isinstance(when, float) and 0 <= time.time() - when < _SECONDS
