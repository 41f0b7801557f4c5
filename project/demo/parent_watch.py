"""Ends this process when the process that started it is gone, even by kill -9."""

from __future__ import annotations

import os
import signal
import threading

#: How often the parent is looked for. (A process without a parent gets another one at once.)
LOOK_SECONDS = 0.2
#: From SIGTERM to the end of a process that does not obey it.
GRACE_SECONDS = 3.0
#: Names the parent's process id to its children, because it may be gone before they can ask.
VARIABLE = "DENOISE_RELAY_DEMO_PARENT"


def end_with_parent() -> None:
    """In a child: end as at SIGTERM once the process that `VARIABLE` names is gone."""
    _start(int(os.environ[VARIABLE]))


def end_with_make() -> None:
    """Under make, end as at SIGTERM once make is gone: killed, it cannot pass that on.

    Only under make (MAKELEVEL is set there): after a shell that is gone, the demo may be meant
    to go on.
    """
    if "MAKELEVEL" in os.environ:
        _start(os.getppid())


def _start(parent: int) -> None:
    threading.Thread(target=_watch, args=[parent], name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    if VARIABLE not in os.environ:
        return  # the command itself, which has children to end and a deadline for that
    pause.wait(GRACE_SECONDS)
    if os.getpgrp() == os.getpid():
        # A group of our own: what we have started ends, too.
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
