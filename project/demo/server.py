"""A process of one site, for as long as the process that started it lives.

`python -m project.demo.server web PORT` is Daphne, `… worker` is `denoise_worker`.
"""

from __future__ import annotations

import sys

from daphne.cli import CommandLineInterface
from django.core.management import execute_from_command_line

from project.demo.parent_watch import end_with_parent
from project.demo.sites import HOST


def serve(port: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = {
        "bind": HOST,
        "port": port,
        # A socket whose browser is gone without a close is dropped after 40 s.
        "ping-interval": "20",
        "ping-timeout": "20",
        "application-close-timeout": "10",
        "verbosity": "0",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    CommandLineInterface().run([*arguments, "project.asgi:application"])


if __name__ == "__main__":
    end_with_parent()
    if sys.argv[1] == "web":
        serve(sys.argv[2])
    else:
        execute_from_command_line(["manage.py", "denoise_worker"])
