"""One run of the demo: prepare both sites, start them, watch them, end them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from project.demo import prepare, sites
from project.demo.ports import expect_free, own_folder
from project.demo.processes import Child, end_all, until_signal
from project.demo.sites import HOST, Site

#: Until a site answers; on a slow machine, two migrations take most of it.
START_SECONDS = 60.0
#: For both children to end; a stop stays under three seconds with the rest of the work.
STOP_SECONDS = 2.5


@dataclass(kw_only=True)
class Demo:
    """One run. With `upstream` there is no service: the site talks to that server."""

    port: int
    state: Path
    upstream: str = ""
    api_key: str = field(default="", repr=False)
    say: Callable[[str], None]
    _children: list[Child] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Run until a signal comes. Raises `Taken` before anything starts, and `ProcessDied`
        when a site ends by itself."""
        for port in (self.port,) if self.upstream else (self.port, self.port + 1):
            expect_free(port, f"Choose another: make demo PORT={port + 10}")
        with own_folder(self.state, self.port) as folder, until_signal(self._stop, self.say):
            site = self._start(folder)
            self._welcome(site)
            while True:
                for child in self._children:
                    child.check()
                time.sleep(0.2)

    def _start(self, folder: Path) -> Site:
        """Prepare what is to run, in parallel, then start and wait until all answer."""
        service = None if self.upstream else sites.service(self.port + 1, folder)
        if service is None:
            # Another folder: jobs that one upstream began mean nothing to another.
            site = sites.site(
                self.port, folder / "upstream", upstream=self.upstream, api_key=self.api_key
            )
            self._prepare(site)
        else:
            draft = sites.site(self.port, folder, upstream=f"{service.url}api/v1", api_key="")
            self._prepare(service, draft)
            site = sites.site(
                self.port,
                folder,
                upstream=f"{service.url}api/v1",
                api_key=(service.folder / prepare.API_KEY).read_text(),
                private_host=f"{HOST}:{service.port}",
            )
        # The service first in the list: it is ended last.
        running = [service, site] if service else [site]
        for each in running:
            self._children.append(each.serve())
        deadline = time.monotonic() + START_SECONDS
        for each, child in zip(running, self._children, strict=True):
            child.until(each.answers, deadline)
        return site

    def _prepare(self, *to_prepare: Site) -> None:
        self._children = [site.prepare() for site in to_prepare]
        deadline = time.monotonic() + START_SECONDS
        for child in self._children:
            child.finish(deadline - time.monotonic())
        self._stop()

    def _stop(self) -> None:
        end_all(self._children, STOP_SECONDS)
        self._children = []

    def _welcome(self, site: Site) -> None:
        password = (site.folder / prepare.ADMIN_PASSWORD).read_text()
        upstream = site.own["DENOISE_RELAY_UPSTREAM_URL"]
        self.say(
            f"""
  Ready:  {site.url}

  Admin    {site.url}admin/   user {prepare.ADMIN}, password {password}
  Service  {upstream}   (does the work; the site is its client)
  Logs     {site.log.parent.parent}/*/log.txt

  Try: the noisy sample, or a recording of your own; open its page in a second window;
  reload it half-way; stop the demo while it works, and start it again.
  Ctrl-C stops it.
"""
        )
