"""A Ctrl-C that Python lost stops the work all the same."""

import os
import signal

import pytest

from likeness.cli._console import make_progress
from likeness.cli._interrupt import remember_interrupts


@pytest.fixture(autouse=True)
def _handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    remember_interrupts()
    for number, handler in before.items():
        signal.signal(number, handler)


class Destroyed:
    """Its destructor meets the signal: Python prints the exception and forgets it."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        for _ in range(1000):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("show", [True, False])
def test_a_lost_interrupt_is_raised_by_the_next_word_of_progress(number, show):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    remember_interrupts()
    progress = make_progress(show=show)
    done = False
    with pytest.raises(KeyboardInterrupt), progress.task("work", 3) as task:  # noqa: PT012
        task.advance()
        thing = Destroyed(number)
        del thing
        done = True
        task.advance()
    assert done, "the first exception was not lost, so that nothing was tested"
    for word in (lambda: progress.say("more"), lambda: task.note("more")):
        with pytest.raises(KeyboardInterrupt):
            word()
    remember_interrupts()
    task.advance()


def test_an_ignored_interrupt_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    remember_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
