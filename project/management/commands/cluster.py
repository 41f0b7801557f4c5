"""`python manage.py cluster`: several web processes and workers on PostgreSQL and Valkey."""

from __future__ import annotations

from typing import Any

from project.demo.cluster import WEBS, Cluster
from project.management.run_command import RunCommand


class Command(RunCommand):
    """The options of `project.demo.cluster`."""

    help = (
        "Start PostgreSQL, Valkey, a voice-isolation service, and two web processes with two "
        "workers in front of it, on this machine only. What dies is started again."
    )
    further_ports = WEBS
    port_help = "of the first web process; the others and the service take the next ones"
    folder = "cluster"

    def make(self, options: dict[str, Any]) -> Cluster:
        return Cluster(port=options["port"], state=options["state"], say=self.say)
