"""`make demo` is two processes to whoever started it, and one thing to stop."""

from __future__ import annotations

import os
import signal
import threading

LOOK_SECONDS = 0.5


def end_with_make() -> None:
    """Under make, end as at SIGTERM when make is gone: killed, it cannot pass that on.

    Only under make (MAKELEVEL says so): a shell that has gone may have left the demo
    running on purpose.
    """
    if "MAKELEVEL" in os.environ:
        threading.Thread(
            target=_watch, args=[os.getppid()], name="end-with-make", daemon=True
        ).start()


def _watch(parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
