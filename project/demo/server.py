"""The process of one site: Daphne, for as long as the process that started it lives.

`python -m project.demo.server PORT`; standard input must be a pipe from the parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from daphne.cli import CommandLineInterface

from project.demo.sites import HOST

GRACE_SECONDS = 3.0
"""From the parent's death to our own, at the most."""


def _end_with_parent() -> None:
    """Wait for the end of standard input, which comes when the parent is gone, even by kill -9."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    # Daphne ends at SIGTERM; this is for the case that it hangs.
    threading.Event().wait(GRACE_SECONDS)
    os._exit(1)


def main(port: str) -> None:
    """Serve until SIGTERM, SIGINT or the parent's end."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    CommandLineInterface().run(
        [
            "--bind",
            HOST,
            "--port",
            port,
            # A socket whose browser has gone without a word is dropped after 40 s.
            "--ping-interval",
            "20",
            "--ping-timeout",
            "20",
            "--application-close-timeout",
            "10",
            "--verbosity",
            "0",
            "project.asgi:application",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1])
