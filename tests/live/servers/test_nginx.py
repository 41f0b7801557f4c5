"""nginx with docs/deploy/nginx.conf in front of a site."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.live.cluster import API_KEY, SqliteCluster
from tests.live.forms import cookie_header
from tests.live.forms import submit as submit_form
from tests.live.recordings import SHORT
from tests.live.servers.nginx import HOST, Nginx
from tests.ports import free_port
from tests.processes import Process
from tests.upstreams import TimedUpstream

JOB_SECONDS = 2.0


@pytest.fixture(scope="module")
def proxy_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def site(
    live_upstream: TimedUpstream, proxy_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqliteCluster]:
    """One web process with the embedded worker; upstream jobs take a while."""
    live_upstream.reset()
    live_upstream.job_seconds = JOB_SECONDS
    cluster = SqliteCluster(tmp_path_factory.mktemp("nginx"), live_upstream)
    cluster.environ["CSRF_TRUSTED_ORIGINS"] = f"https://{HOST}:{proxy_port}"
    cluster.migrate()
    try:
        cluster.web(WORKER="embedded")
        yield cluster
        cluster.no_tracebacks()
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def nginx(site: SqliteCluster, proxy_port: int) -> Nginx:
    """In front of the site's process, and of a second one that is down."""
    ports = (site.webs[0].port, free_port())
    return Nginx(site.folder / "nginx", ports, proxy_port)


@pytest.fixture(scope="module")
def nginx_process(nginx: Nginx) -> Iterator[Process]:
    with nginx.start() as process:
        yield process


@pytest.fixture
def browser(nginx: Nginx, nginx_process: Process) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=nginx.url, verify=nginx.tls, trust_env=False, timeout=20) as client:
        yield client


def upload(browser: httpx.Client) -> str:
    """Send the form as a browser does over HTTPS; return the job's id."""
    base = str(browser.base_url)
    return submit_form(browser, SHORT, headers={"Origin": base.rstrip("/"), "Referer": base})


def test_page_upload_stream_and_ranges(browser: httpx.Client) -> None:
    job = upload(browser)
    arrivals: list[tuple[float, str]] = []
    with browser.stream("GET", f"/jobs/{job}/events/?after=0") as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"] == "text/event-stream"
        for line in stream.iter_lines():
            if line.startswith("data:"):
                arrivals.append((time.monotonic(), json.loads(line[5:])["stage"]))
    assert arrivals[-1][1] == "done", arrivals
    # A proxy that buffers would send everything at the end.
    spread = arrivals[-1][0] - arrivals[0][0]
    assert spread > JOB_SECONDS / 2, arrivals
    assert len({round(at, 1) for at, _stage in arrivals}) > 3, arrivals

    whole = browser.get(f"/jobs/{job}/audio/original/")
    assert whole.content == SHORT
    part = browser.get(f"/jobs/{job}/audio/original/", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 100-199/{len(SHORT)}"
    assert part.content == SHORT[100:200]


async def test_websocket_passes(browser: httpx.Client, nginx: Nginx) -> None:
    job = upload(browser)
    async with connect(
        f"wss://{HOST}:{nginx.port}/ws/denoise/{job}/?after=0",
        ssl=nginx.tls,
        origin=nginx.url,  # type: ignore[arg-type]
        additional_headers=cookie_header(browser),
        proxy=None,
    ) as socket:
        frames = [json.loads(text) async for text in socket]
    assert socket.close_code == 1000
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1]["stage"] == "done"


def test_api_and_its_stream_pass(browser: httpx.Client) -> None:
    headers = {"x-api-key": API_KEY}
    answer = browser.post(
        "/api/v1/denoise", headers=headers, files={"audio": ("voice.wav", SHORT, "audio/wav")}
    )
    assert answer.status_code == 200, answer.text
    job = answer.json()["denoiseId"]
    begun = time.monotonic()
    with browser.stream("GET", f"/api/v1/denoise/{job}/progress", headers=headers) as stream:
        lines = stream.iter_lines()
        first = next(line for line in lines if line.startswith("data:"))
        assert time.monotonic() - begun < JOB_SECONDS, "buffered"
        last = [line for line in lines if line.startswith("data:")][-1]
    assert json.loads(first[5:])["stage"] == "processing"
    assert json.loads(last[5:])["stage"] == "done"


def test_body_that_is_too_long_is_refused_before_it_is_sent(
    nginx: Nginx, nginx_process: Process
) -> None:
    connection = http.client.HTTPSConnection(HOST, nginx.port, context=nginx.tls, timeout=10)
    try:
        connection.putrequest("POST", "/api/v1/denoise")
        connection.putheader("Content-Length", str(206 * 1024 * 1024))
        connection.endheaders()
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_metrics_are_not_public(browser: httpx.Client, site: SqliteCluster) -> None:
    web = site.webs[0]
    assert browser.get("/metrics").status_code == 404
    inside = httpx.get(f"{web.url}/metrics", trust_env=False)
    assert inside.status_code == 200
    assert "denoise_relay_runners" in inside.text
    # The app refuses forwarded requests itself, if a proxy's configuration does not.
    forwarded = httpx.get(
        f"{web.url}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}, trust_env=False
    )
    assert forwarded.status_code == 404


def test_plain_http_is_redirected_to_https(nginx: Nginx, nginx_process: Process) -> None:
    answer = httpx.get(
        f"http://{HOST}:{nginx.plain_port}/jobs/?x=1",
        headers={"Host": HOST},
        trust_env=False,
    )
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://{HOST}/jobs/?x=1"


def test_process_that_is_down_is_skipped(browser: httpx.Client, nginx_process: Process) -> None:
    assert [browser.get("/healthz/live").status_code for _ in range(10)] == [200] * 10
    assert "Connection refused" in nginx_process.output, "the second process was never asked"
