"""One run of a cluster: two servers, a service, web processes and workers, and their end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from denoise_relay.conf import relay_settings
from project.demo import prepare, sites
from project.demo.ports import expect_free, free_port, own_folder
from project.demo.processes import Child, Restarter, end_all, until_signal
from project.demo.sites import HOST, Site
from project.demo.state_servers import Postgres, Valkey

WEBS = 2
WORKERS = 2
#: Until all answer; on a slow machine, making two databases takes most of it.
START_SECONDS = 60.0
#: For our own processes to end while the database still runs: they release their leases.
STOP_SECONDS = 2.8
#: For PostgreSQL to write its buffers; with the seconds above, a stop stays under five.
SERVERS_STOP_SECONDS = 1.5


@dataclass(kw_only=True)
class Cluster:
    """One run. Web processes listen on `port` and the next ones, the service after them."""

    port: int
    state: Path
    say: Callable[[str], None]
    _servers: list[Child] = field(default_factory=list, init=False)
    #: Preparations at first, then the service, the web processes and the workers.
    _children: list[Child] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Run until a signal comes. Raises `Taken` before anything starts, and `ProcessDied`
        when something does not start, or the database dies."""
        for port in range(self.port, self.port + WEBS + 1):
            expect_free(port, f"Choose others: make cluster PORT={self.port + 10}")
        with own_folder(self.state, self.port) as folder, until_signal(self._stop, self.say):
            webs = self._start(folder)
            restarter = Restarter(say=self.say)
            self._welcome(folder, webs)
            database, *others = self._servers
            while True:
                database.check()
                restarter.check([*others, *self._children])
                time.sleep(0.2)

    def _start(self, folder: Path) -> list[Site]:
        """Start the servers, prepare both databases, then start the rest and wait for it."""
        deadline = time.monotonic() + START_SECONDS
        service = sites.service(self.port + WEBS, folder)
        postgres = Postgres(folder / "postgres")
        self._servers.append(postgres.child)
        valkey = Valkey(folder / "valkey", free_port())
        self._servers.append(valkey.child)
        self._children.append(service.prepare())
        postgres.child.until(postgres.answers, deadline)
        valkey.child.until(valkey.answers, deadline)
        shared = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "DENOISE_RELAY_WORKER": "external",
        }
        self._children.append(self._site(folder, service, shared, "site").prepare())
        for child in self._children:
            child.finish(deadline - time.monotonic())
        shared["DENOISE_RELAY_API_KEY"] = (service.folder / prepare.API_KEY).read_text()

        webs = [
            self._site(folder, service, shared, f"web {number}", self.port + number - 1)
            for number in range(1, WEBS + 1)
        ]
        self._children = [each.serve() for each in (service, *webs)]
        answering = list(zip((service, *webs), self._children, strict=True))
        for number in range(1, WORKERS + 1):
            worker = self._site(folder, service, shared, f"worker {number}")
            self._children.append(worker.start("project.demo.server", "worker"))
        for site, child in answering:
            child.until(site.answers, deadline)
        return webs

    def _site(
        self, folder: Path, service: Site, shared: dict[str, str], name: str, port: int = 0
    ) -> Site:
        """One process of the cluster: all see the same but their logs."""
        site = sites.site(
            port,
            folder,
            upstream=f"{service.url}api/v1",
            api_key="",
            private_host=f"{HOST}:{service.port}",
        )
        own = {**site.own, **shared, "MEDIA_ROOT": str(site.folder / "media")}
        return dataclasses.replace(site, name=name, folder=folder / name.replace(" ", "-"), own=own)

    def _stop(self) -> None:
        end_all(self._children, STOP_SECONDS)
        end_all(self._servers, SERVERS_STOP_SECONDS)

    def _welcome(self, folder: Path, webs: list[Site]) -> None:
        password = (folder / "site" / prepare.ADMIN_PASSWORD).read_text()
        addresses = "\n".join(f"  Ready:  {web.url}" for web in webs)
        pids = "\n".join(f"  {child.name:<8} process {child.pid}" for child in self._children)
        lease = relay_settings().LEASE_SECONDS + 2
        self.say(
            f"""
{addresses}

  Admin    {webs[0].url}admin/   user {prepare.ADMIN}, password {password}
  Logs     {folder}/*/log.txt

{pids}

  Try: upload on one, and open the job's page on the other as well (same path, other port:
  your session holds on both). kill -9 the worker that has it: within {lease:g} s the other
  one goes on, and nothing is submitted twice. kill -9 a web process, or the service: pages
  wait and go on. What dies is started again; only the database is not, it ends the cluster.
  Ctrl-C stops it.
"""
        )
