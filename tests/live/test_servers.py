"""The site under each server it may run on: start, sockets, streams, uploads and a clean end."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.live.cluster import SqliteCluster, Web, measured
from tests.live.processes import Process
from tests.live.tus_client import MIB, Browser, loud_wav
from tests.ports import free_port
from tests.waiting import eventually, wait_for

pytestmark = pytest.mark.timeout(120)

APPLICATION = "project.asgi:application"
COMMANDS = {
    "daphne": "-m daphne -b 127.0.0.1 -p {port}",
    "uvicorn": "-m uvicorn --host 127.0.0.1 --port {port} --timeout-graceful-shutdown 8",
    "granian": "-m granian --interface asgi --host 127.0.0.1 --port {port}",
}
GOING_AWAY = {"daphne": {4012}, "uvicorn": {4012, 1012}, "granian": {4012, None}}
"""Codes that make a viewer come back; None: cut, because granian may stop the loop before the
closes are out (browsers see 1006)."""
STOPPED = {"daphne": {0}, "uvicorn": {0, -15}, "granian": {0}}
"""uvicorn lets the signal that stopped it end it."""


class AnyWeb(Web):
    """A web process on a server of choice."""

    def __init__(self, server: str, port: int, env: dict[str, str], log: Path) -> None:
        self.port = port
        args = [*COMMANDS[server].format(port=port).split(), APPLICATION]
        Process.__init__(self, server, args, env, log)


def start(cluster: SqliteCluster, server: str, **environ: str) -> Web:
    """Start a web process; no request is made."""
    _name, log = cluster._place(server)
    web = AnyWeb(server, free_port(), cluster._env(environ), log)
    cluster.webs.append(web)
    return web


def worker_pid(web: Web) -> int:
    """The process that serves: granian's is a child, and the largest of them."""
    found = [web.pid]
    for children in Path(f"/proc/{web.pid}/task").glob("*/children"):
        found += [int(pid) for pid in children.read_text().split()]
    return max(found, key=memory_kb)


def memory_kb(pid: int) -> int:
    """Resident set size."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture(params=COMMANDS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def test_the_worker_starts_without_a_request(single: SqliteCluster, server: str) -> None:
    door = single.web()
    job = await single.upload(door)
    await asyncio.to_thread(door.terminate)
    start(single, server, WORKER="embedded")
    await single.finish()
    assert single.job(job)["status"] == "done"


async def test_sockets_and_streams_see_a_job_to_its_end(single: SqliteCluster, server: str) -> None:
    single.upstream.job_seconds = 2
    web = start(single, server, WORKER="embedded")
    web.ready()
    job = await single.upload(web)
    async with (
        single.watching(job, viewers=3) as sockets,
        single.watching(job, viewers=2, kind="sse") as streams,
    ):
        for viewer in [*sockets, *streams]:
            await viewer.finished()
            assert viewer.saw_everything()
    assert [viewer.codes for viewer in sockets] == [[1000]] * 3
    await single.finish()


async def test_a_signal_ends_it_soon_and_viewers_go_on_elsewhere(
    single: SqliteCluster, server: str
) -> None:
    single.upstream.job_seconds = 6
    web = start(single, server, WORKER="embedded")
    web.ready()
    job = await single.upload(web)
    async with (
        single.watching(job, viewers=3) as sockets,
        single.watching(job, viewers=2, kind="sse") as streams,
    ):
        for viewer in [*sockets, *streams]:
            await viewer.reached(3)
        code, took = await asyncio.to_thread(web.terminate)
        measured(f"{server}: exit after SIGTERM, with 5 viewers", took)
        assert code in STOPPED[server], web.text
        assert took < 5
        # Handed back, not left to expire.
        assert single.job(job)["lease_owner"] == "" or single.job(job)["status"] == "done"
        start(single, "daphne", WORKER="embedded")
        for viewer in [*sockets, *streams]:
            await viewer.finished()
            assert viewer.saw_everything()
    assert {viewer.codes[0] for viewer in sockets} <= GOING_AWAY[server]
    await single.finish()


async def test_a_file_in_parts_becomes_a_job(
    single: SqliteCluster, server: str, tmp_path: Path
) -> None:
    web = start(single, server, WORKER="embedded")
    web.ready()
    file = loud_wav(tmp_path / "long.wav", 3 * MIB)

    def send() -> str:
        with Browser(web.url) as browser:
            upload = browser.announce(file)
            parts = upload.parts(size=MIB)
            next(parts)
            upload.break_off(MIB, after=MIB // 2)
            assert upload.stands() == MIB
            for _ in parts:
                pass
            job: str = upload.finish().json()["job"]
            return job

    job = await asyncio.to_thread(send)
    single.jobs.append(job)
    await single.finish()
    (sent,) = single.upstream.uploads
    assert sent.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


async def test_ready_answers_for_the_worker(single: SqliteCluster, server: str) -> None:
    web = start(single, server, WORKER="embedded")
    web.ready()
    with Browser(web.url) as browser:
        await eventually(lambda: browser.client.get("/healthz/ready").status_code == 200)
    wait_for(lambda: "The embedded worker has started" in web.text)
    code, _took = await asyncio.to_thread(web.terminate)
    assert code in STOPPED[server], web.text
    single.no_tracebacks()
