"""What `demo` and `cluster` share: their options, and how they print and fail."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.demo.parent_watch import end_with_make
from project.demo.ports import Taken
from project.demo.processes import ProcessDied
from project.settings import VAR_DIR


class Runnable(Protocol):
    """A demo or a cluster."""

    def run(self) -> None:
        """Run until a signal arrives. Raises `Taken` and `ProcessDied`."""


class RunCommand(BaseCommand):
    """Starts several processes and watches them until Ctrl-C."""

    #: Ports that are taken after `--port`.
    further_ports: int
    port_help: str
    #: The folder below `var/` where data are kept, unless `--state` names another.
    folder: str
    # The children run the checks of their own settings.
    requires_system_checks = ()

    def make(self, options: dict[str, Any]) -> Runnable:
        """Make what is to run of the options; print through `self.say`."""
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=self._port, default=8000, help=self.port_help)
        parser.add_argument(
            "--state",
            type=lambda text: Path(text).absolute(),
            default=VAR_DIR / self.folder,
            metavar="DIR",
            help="where databases and recordings are kept (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_make()
        try:
            self.make(options).run()
        except (Taken, ProcessDied) as error:
            raise CommandError(str(error)) from error

    def say(self, text: str) -> None:
        """Print at once: the reader of a pipe must not wait for a full buffer."""
        # Without a reader, too, we must go on and end the children.
        with contextlib.suppress(OSError):
            self.stdout.write(text)
            self.stdout.flush()

    def _port(self, text: str) -> int:
        last = 65535 - self.further_ports
        if not text.isdecimal() or not 1 <= int(text) <= last:
            raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and {last}")
        return int(text)
