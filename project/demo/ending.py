"""Until a signal comes: what was started is ended, whichever way the work is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class _Stopped(Exception):
    """SIGINT or SIGTERM came, or nobody is left to send one."""


@contextlib.contextmanager
def until_signal(
    stop: Callable[[], None], say: Callable[[str], None]
) -> Iterator[Callable[[float], None]]:
    """Run the block until it ends, raises, or SIGINT or SIGTERM finds it; then call `stop`.

    A signal is a good end. Any further one is ignored: `stop` must not be cut short, or a
    child would be left behind. What is yielded sleeps for a number of seconds, and ends the
    block, too, when the `make` that started us was killed: to whoever started it, it was us.
    """
    made_by = os.getppid() if "MAKELEVEL" in os.environ else None

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        if made_by is not None and os.getppid() != made_by:
            raise _Stopped

    def interrupt(_number: int, _frame: object) -> None:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    before = [(number, signal.signal(number, interrupt)) for number in NUMBERS]
    try:
        yield pause
    except _Stopped:
        say("Stopping. Unfinished jobs go on at the next start.")
    finally:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        try:
            stop()
        finally:
            for number, handler in before:
                signal.signal(number, handler)
