"""`python manage.py cluster`: several web processes and workers on PostgreSQL and Valkey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.demo.cluster import WEBS, Cluster
from project.demo.parent_watch import end_with_make
from project.demo.ports import Taken
from project.demo.processes import ProcessDied
from project.management.terminal import port_before, saying
from project.settings import VAR_DIR


class Command(BaseCommand):
    """Thin: `project.demo.cluster` does it."""

    help = (
        "Start PostgreSQL, Valkey, a voice-isolation service, and two web processes with two "
        "workers in front of it, on this machine only. What dies is started again."
    )
    # The children run the checks of their own settings.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=port_before(WEBS),
            default=8000,
            help="of the first web process; the others and the service take the next ones",
        )
        parser.add_argument(
            "--state",
            type=Path,
            default=VAR_DIR / "cluster",
            metavar="DIR",
            help="where databases and recordings are kept (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        cluster = Cluster(
            port=options["port"],
            state=options["state"].absolute(),
            say=saying(self.stdout),
        )
        end_with_make()
        try:
            cluster.run()
        except (Taken, ProcessDied) as error:
            raise CommandError(str(error)) from error
