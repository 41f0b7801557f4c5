"""Daphne with the embedded worker: it resumes what a killed process left, and closes sockets."""

from __future__ import annotations

import signal
import time
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from denoise_relay import engine
from tests.live.forms import cookie_header, submit
from tests.live.recordings import noise
from tests.live.servers.conftest import MakeSite, browser_of
from tests.processes import WebProcess, manage
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(not engine.available(), reason="needs the local engine")


def open_socket(
    web: WebProcess, path: str, browser: httpx.Client, **options: Any
) -> ClientConnection:
    """A WebSocket with the browser's cookies; `path` is that below `/ws/denoise/`."""
    return connect(
        f"{web.socket_url}{path}",
        additional_headers=cookie_header(browser),
        proxy=None,
        open_timeout=10,
        **options,
    )


def close_code(client: ClientConnection, within: float = 10) -> int | None:
    """Read to the end; return the close code, None if the connection was cut."""
    deadline = time.monotonic() + within
    while True:
        try:
            client.recv(timeout=max(0.01, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


def test_a_killed_server_resumes_without_a_request(make_site: MakeSite) -> None:
    site = make_site()
    first = site.serve()
    with browser_of(first) as browser:
        submit(browser, noise(30))
    running = "SELECT 1 FROM denoise_relay_job WHERE status = 'processing' AND pct > 0"
    wait_for(lambda: site.values(running), within=30)
    first.kill()

    second = site.serve()
    wait_for(lambda: site.statuses() == ["done"], within=50)

    ((epoch,),) = site.values("SELECT epoch FROM denoise_relay_job")
    percents = [pct for (pct,) in site.values("SELECT pct FROM denoise_relay_event ORDER BY seq")]
    assert epoch == 2
    assert percents == sorted(percents)
    assert second.terminate()[0] == 0
    assert "Traceback" not in second.output


def test_sigterm_closes_sockets_and_releases_the_lease(make_site: MakeSite) -> None:
    site = make_site()
    web = site.serve()
    with browser_of(web) as browser:
        job = submit(browser, noise(60))
        wait_for(lambda: site.statuses() == ["processing"], within=30)
        with (
            open_socket(web, f"{job}/", browser) as one,
            open_socket(web, "", browser) as many,
        ):
            one.recv(timeout=10)
            begun = time.monotonic()
            web.send(signal.SIGTERM)
            codes = [close_code(one), close_code(many)]
            code = web.wait(10)
            took = time.monotonic() - begun

    assert codes == [4012, 4012]
    assert code == 0
    assert took < 3
    assert "Traceback" not in web.output
    assert site.values("SELECT status, lease_until FROM denoise_relay_job") == [
        ("processing", None)
    ]


def test_sockets_through_daphne(make_site: MakeSite) -> None:
    web = make_site().serve()
    with browser_of(web) as browser:
        job = submit(browser)
        with open_socket(web, f"{job}/?after=0", browser) as one:
            assert close_code(one, within=40) == 1000
        with open_socket(web, "nowhere/", browser) as nowhere:
            assert close_code(nowhere) == 4404
        with open_socket(web, f"{job}/", httpx.Client()) as stranger:
            assert close_code(stranger) == 4404
        with open_socket(web, "", browser, origin="https://evil.example") as foreign:
            assert close_code(foreign) == 4403
        with open_socket(web, "", browser) as malformed:
            for message in (b"\x00", "{", "x" * 100_000):
                malformed.send(message)
            assert close_code(malformed) == 4400
        with open_socket(web, "", browser) as many:
            many.send('{"ping": 1}')
            assert many.recv(timeout=5) == '{"pong":1}'


def test_a_server_and_a_worker_share_a_sqlite_file(make_site: MakeSite) -> None:
    site = make_site()
    web = site.serve()
    worker = site.start("worker", manage("denoise_worker"))
    with browser_of(web) as browser:
        for _ in range(6):
            submit(browser)
        wait_for(lambda: site.statuses() == ["done"] * 6, within=50)

    assert set(site.values("SELECT epoch, attempt FROM denoise_relay_job")) == {(1, 0)}
    holders = {owner for (owner,) in site.values("SELECT lease_owner FROM denoise_relay_job")}
    assert len(holders) == 2
    assert [process.terminate()[0] for process in (web, worker)] == [0, 0]
    assert "Traceback" not in web.output + worker.output
