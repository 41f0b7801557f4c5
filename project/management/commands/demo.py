"""`python manage.py demo`: the whole chain on one machine, with no key and no internet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.demo.demo import Demo
from project.demo.parent_watch import end_with_make
from project.demo.ports import Taken
from project.demo.processes import ProcessDied
from project.management.terminal import port_before, saying
from project.settings import VAR_DIR


class Command(BaseCommand):
    """Thin: `project.demo.demo` does it."""

    help = (
        "Start a voice-isolation service and a site in front of it, on this machine only. "
        "With --upstream the site talks to that server and no service is started."
    )
    # The children run the checks of their own settings.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=port_before(1),
            default=8000,
            help="of the site; the service takes the next",
        )
        parser.add_argument("--upstream", default="", metavar="URL", help="base URL of an API")
        parser.add_argument(
            "--api-key",
            default="",
            metavar="KEY",
            help="for --upstream; $DENOISE_RELAY_API_KEY keeps it out of the process list",
        )
        parser.add_argument(
            "--state",
            type=Path,
            default=VAR_DIR / "demo",
            metavar="DIR",
            help="where databases and recordings are kept (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        demo = Demo(
            port=options["port"],
            state=options["state"].absolute(),
            upstream=options["upstream"],
            api_key=options["api_key"] or os.environ.get("DENOISE_RELAY_API_KEY", ""),
            say=saying(self.stdout),
        )
        end_with_make()
        try:
            demo.run()
        except (Taken, ProcessDied) as error:
            raise CommandError(str(error)) from error
