"""When to save work in progress: so often that a kill costs little, so seldom that it is cheap."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pace:
    """Tells when the next state is due; saving takes at most one part in `COST` of the time.

    What a kill destroys is then the work of half a second, or of `COST` times what a saving takes.
    """

    LEAST_SECONDS = 0.5
    COST = 30

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin to wait anew: there is nothing that would have to be saved."""
        self._due = time.monotonic() + self.LEAST_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed."""
        return time.monotonic() >= self._due

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Take the time of a saving, on which it depends when the next one is due."""
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._due = now + max(self.LEAST_SECONDS, self.COST * (now - began))
