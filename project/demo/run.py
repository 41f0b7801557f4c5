"""The course of the demo: prepare both sites, start them, watch them, end them."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from project.demo import prepare, sites
from project.demo.child import Child, ChildDied
from project.demo.sites import HOST, Site

START_SECONDS = 60.0
"""Until a site answers; a slow machine migrates two databases in it."""
STOP_SECONDS = 2.5
"""For both children to end; with the rest of the work it makes three."""
PORT_SECONDS = 2.0
"""A port may still belong to a demo that is just ending."""

Say = Callable[[str], None]


class PortTaken(Exception):
    """Somebody else listens there; the text says so."""


class Stopped(Exception):
    """SIGINT or SIGTERM came."""


@dataclass(kw_only=True)
class Demo:
    """One run. With `upstream` there is no service: the site talks to that server."""

    port: int
    state: Path
    upstream: str = ""
    api_key: str = field(default="", repr=False)
    say: Say
    _children: list[Child] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Run until a signal comes. Raises `PortTaken` before anything starts, and
        `ChildDied` when a site ends by itself."""
        for port in (self.port,) if self.upstream else (self.port, self.port + 1):
            _expect_free(port)
        with _own_folder(self.state, self.port) as folder, _signals():
            try:
                site = self._start(folder)
                self._welcome(site)
                while True:
                    for child in self._children:
                        child.check()
                    time.sleep(0.2)
            except Stopped:
                self.say("Stopping. Unfinished jobs go on at the next start.")
            finally:
                # A second Ctrl-C must not leave a child behind.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                self._stop()

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
            self._children.append(Child(each, "project.demo.server", str(each.port)))
        deadline = time.monotonic() + START_SECONDS
        for child in self._children:
            _wait_for_answer(child, deadline)
        return site

    def _prepare(self, *to_prepare: Site) -> None:
        self._children = [Child(site, "project.demo.prepare", site.name) for site in to_prepare]
        deadline = time.monotonic() + START_SECONDS
        for child in self._children:
            child.finish(deadline - time.monotonic())
        self._stop()

    def _stop(self) -> None:
        """End the site, then its service; kill what is not gone in time."""
        deadline = time.monotonic() + STOP_SECONDS
        for child in reversed(self._children):
            child.terminate()
        for child in reversed(self._children):
            child.wait_until(deadline)
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


def _expect_free(port: int) -> None:
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As the server does: connections that are closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if time.monotonic() > deadline or isinstance(error, PermissionError):
                    raise PortTaken(
                        f"Port {port} of {HOST} is taken ({error.strerror}). "
                        f"Choose another: make demo PORT={port + 10}"
                    ) from error
            else:
                return
        time.sleep(0.1)


@contextlib.contextmanager
def _own_folder(state: Path, port: int) -> Iterator[Path]:
    """Yield `state`, or `state-<port>` while another demo uses that one."""
    for folder in (state, state.with_name(f"{state.name}-{port}")):
        folder.mkdir(parents=True, exist_ok=True)
        # Released by the kernel when this process ends, however it does.
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder
            return
    raise PortTaken(f"Two demos are running in {state} already.")


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Raise `Stopped` where SIGINT or SIGTERM finds us."""

    def stop(_number: int, _frame: object) -> None:
        raise Stopped

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _wait_for_answer(child: Child, deadline: float) -> None:
    """Return once the site says it is alive; raise `ChildDied` if it ends or takes too long."""
    while time.monotonic() < deadline:
        child.check()
        if _alive(child.site.port):
            return
        time.sleep(0.1)
    raise ChildDied(
        f"The {child.site.name} did not answer in {START_SECONDS:.0f} s; see {child.site.log}."
    )


def _alive(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/healthz/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
