"""The process of one site: Daphne, for as long as the process that started it lives.

`python -m project.demo.server PORT`; standard input must be a pipe from the parent.
"""

from __future__ import annotations

import sys

from daphne.cli import CommandLineInterface

from project.demo.lifeline import end_with_parent
from project.demo.sites import HOST


def main(port: str) -> None:
    """Serve until SIGTERM, SIGINT or the parent's end."""
    end_with_parent()
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
