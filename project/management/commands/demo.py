"""`python manage.py demo`: the whole chain on one machine, with no key and no internet."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import CommandParser

from project.demo.demo import Demo
from project.management.run_command import RunCommand


class Command(RunCommand):
    """The options of `project.demo.demo`."""

    help = (
        "Start a voice-isolation service and a site in front of it, on this machine only. "
        "With --upstream the site talks to that server and no service is started."
    )
    further_ports = 1
    port_help = "of the site; the service takes the next"
    folder = "demo"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--upstream", default="", metavar="URL", help="base URL of an API")
        parser.add_argument(
            "--api-key",
            default="",
            metavar="KEY",
            help="for --upstream; $DENOISE_RELAY_API_KEY keeps it out of the process list",
        )

    def make(self, options: dict[str, Any]) -> Demo:
        return Demo(
            port=options["port"],
            state=options["state"],
            upstream=options["upstream"],
            api_key=options["api_key"] or os.environ.get("DENOISE_RELAY_API_KEY", ""),
            say=self.say,
        )
