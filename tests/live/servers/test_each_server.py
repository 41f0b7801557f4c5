"""The site under each ASGI server: start, sockets, streams, uploads in parts, and the end."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

import httpx
import pytest

from tests.live.cluster import SqliteCluster, report
from tests.live.recordings import MIB, random_wav
from tests.live.uploads.tus_client import TusClient
from tests.live.viewers import all_finished, all_reached
from tests.processes import ASGI_APPLICATION, WebProcess, python
from tests.waiting import eventually, wait_for

pytestmark = pytest.mark.timeout(120)

DAPHNE = "-m daphne -b 127.0.0.1 -p {port}"
COMMANDS = {
    "daphne": DAPHNE,
    "daphne-asgi": DAPHNE,
    "uvicorn": "-m uvicorn --host 127.0.0.1 --port {port} --timeout-graceful-shutdown 8",
    "granian": "-m granian --interface asgi --host 127.0.0.1 --port {port}",
}
#: Close codes after which a viewer connects again. None: the connection was cut, because granian
#: may stop the loop before the close frames are sent (browsers see 1006).
GOING_AWAY = {
    "daphne": {4012},
    "daphne-asgi": {4012},
    "uvicorn": {4012, 1012},
    "granian": {4012, None},
}
#: Exit codes. uvicorn raises the signal that stopped it again.
STOPPED = {"daphne": {0}, "daphne-asgi": {0}, "uvicorn": {0, -15}, "granian": {0}}


def start(
    cluster: SqliteCluster, server: str, *, wait: bool = True, **overrides: str
) -> WebProcess:
    """Start a web process with the embedded worker; without `wait` no request is made."""

    def command(port: int) -> list[str]:
        return python(*COMMANDS[server].format(port=port).split(), ASGI_APPLICATION)

    if server == "daphne-asgi":
        overrides["DIRECT_SENDS"] = "0"
    return cluster.web(server=command, wait=wait, WORKER="embedded", **overrides)


@pytest.fixture(params=COMMANDS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def direct_sockets(web: WebProcess) -> int:
    """How many sockets the process writes to past ASGI, by its metrics."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{web.url}/metrics")).text
    (value,) = re.findall(r"^denoise_relay_direct_sockets (\S+)$", text, re.MULTILINE)
    return int(float(value))


async def test_the_worker_starts_without_a_request(
    sqlite_cluster: SqliteCluster, server: str
) -> None:
    first = sqlite_cluster.web()
    job = await sqlite_cluster.upload(first)
    await asyncio.to_thread(first.terminate)
    start(sqlite_cluster, server, wait=False)
    await sqlite_cluster.finish()
    assert sqlite_cluster.job(job)["status"] == "done"


async def test_sockets_and_streams_see_a_job_to_its_end(
    sqlite_cluster: SqliteCluster, server: str
) -> None:
    sqlite_cluster.upstream.job_seconds = 2
    web = start(sqlite_cluster, server)
    job = await sqlite_cluster.upload(web)
    async with sqlite_cluster.watching_both(job, sockets=3, streams=2) as (sockets, streams):
        await all_reached(sockets, 2)
        assert await direct_sockets(web) == (3 if server == "daphne" else 0)
        await all_finished([*sockets, *streams])
    assert [viewer.codes for viewer in sockets] == [[1000]] * 3
    await sqlite_cluster.finish()


async def test_a_signal_ends_it_soon_and_viewers_reconnect_elsewhere(
    sqlite_cluster: SqliteCluster, server: str
) -> None:
    sqlite_cluster.upstream.job_seconds = 6
    web = start(sqlite_cluster, server)
    job = await sqlite_cluster.upload(web)
    async with sqlite_cluster.watching_both(job, sockets=3, streams=2) as (sockets, streams):
        await all_reached([*sockets, *streams], 3)
        code, took = await asyncio.to_thread(web.terminate)
        report(f"{server}: exit after SIGTERM, with 5 viewers", took)
        assert code in STOPPED[server], web.output
        assert took < 5
        # The lease was released, and need not expire.
        row = sqlite_cluster.job(job)
        assert row["lease_owner"] == "" or row["status"] == "done"
        start(sqlite_cluster, "daphne", wait=False)
        await all_finished([*sockets, *streams])
    assert {viewer.codes[0] for viewer in sockets} <= GOING_AWAY[server]
    await sqlite_cluster.finish()


async def test_a_file_in_parts_becomes_a_job(
    sqlite_cluster: SqliteCluster, server: str, tmp_path: Path
) -> None:
    web = start(sqlite_cluster, server)
    file = random_wav(tmp_path / "long.wav", 3 * MIB)

    def send() -> str:
        with TusClient(web.url) as client:
            upload = client.create(file)
            parts = upload.parts(size=MIB)
            next(parts)
            upload.interrupt(MIB, after=MIB // 2)
            assert upload.server_offset() == MIB
            upload.send_rest(MIB)
            job: str = upload.finish().json()["job"]
            return job

    job = await asyncio.to_thread(send)
    sqlite_cluster.jobs.append(job)
    await sqlite_cluster.finish()
    (sent,) = sqlite_cluster.upstream.uploads
    assert sent.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


async def test_readiness_includes_the_worker(sqlite_cluster: SqliteCluster, server: str) -> None:
    web = start(sqlite_cluster, server)
    with TusClient(web.url) as client:
        await eventually(lambda: client.http.get("/healthz/ready").status_code == 200)
    wait_for(lambda: "The embedded worker has started" in web.output)
    code, _took = await asyncio.to_thread(web.terminate)
    assert code in STOPPED[server], web.output
    sqlite_cluster.no_tracebacks()
