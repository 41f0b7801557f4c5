"""A child's end of the lifeline: when the parent is gone, even by kill -9, so are we."""

from __future__ import annotations

import os
import signal
import threading

GRACE_SECONDS = 3.0
"""From the parent's death to our own, at the most."""


def end_with_parent() -> None:
    """Watch standard input, a pipe from the parent: at its end, end as at SIGTERM."""
    threading.Thread(target=_watch, name="end-with-parent", daemon=True).start()


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    # Most programs end at SIGTERM; this is for the case that one hangs.
    threading.Event().wait(GRACE_SECONDS)
    if os.getpgrp() == os.getpid():
        # Ours alone: whatever we have started goes, too.
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
