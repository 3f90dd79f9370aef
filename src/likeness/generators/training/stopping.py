"""A wish to stop, from SIGTERM or Ctrl-C, that a loop grants where its state is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopWish:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None
        """Name of the first signal that came, for example ``SIGTERM``."""


@contextmanager
def stop_on_signals() -> Iterator[StopWish]:
    """Turn SIGTERM and SIGINT into a wish while the block runs; then put back the old handlers.

    A second Ctrl-C raises `KeyboardInterrupt` at once. Outside the main thread, where Python
    allows no handlers, signals do what they did before.
    """
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def take(number: int, _frame: FrameType | None) -> None:
        if wish.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        wish.signal = signal.Signals(number).name

    before = {number: signal.signal(number, take) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            # None: a handler that was not set from Python, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
