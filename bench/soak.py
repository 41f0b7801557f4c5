"""Many jobs in one process: memory, threads and file descriptors must stay flat.

Each job goes the whole way: it is submitted to a scripted upstream, followed, watched over a
WebSocket or as an event stream; its result is stored, its page opened and the result heard. Few
begin with an upload, which takes much longer (a child process looks at each file); the others
are retries.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from bench.process import Server, daphne, manage
from denoise_relay.testing import ScriptedUpstream
from denoise_relay.testing.state import tone_wav

#: Jobs between two lines of the table.
EACH = 500
#: Visitors, each of whom has one job at a time.
AT_ONCE = 8
#: Of a visitor's jobs, one in so many is a new recording.
UPLOAD_EACH = 20
TIMEOUT_SECONDS = 60.0
#: How long connections of clients that have left may take to vanish.
SETTLE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One process between two jobs."""

    jobs: int
    seconds: float
    resident_mib: float
    threads: int
    descriptors: int


def run(jobs: int) -> None:
    """Run the jobs and print a table."""
    print(f"\nSoak: {jobs} jobs in one process (Daphne, SQLite, embedded worker)")
    print(f"{'jobs':>8}{'seconds':>10}{'MiB':>10}{'threads':>10}{'fds':>8}")
    with site() as server:
        asyncio.run(_print(server, jobs))


async def _print(server: Server, jobs: int) -> None:
    async for figures in soak(server, jobs, each=EACH):
        print(
            f"{figures.jobs:8}{figures.seconds:10.0f}{figures.resident_mib:10.1f}"
            f"{figures.threads:10}{figures.descriptors:8}",
            flush=True,
        )


@contextlib.contextmanager
def site(application: str = "project.asgi:application") -> Iterator[Server]:
    """A site in one process with a scripted upstream."""
    with (
        tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder,
        ScriptedUpstream() as upstream,
    ):
        environment = {
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DEBUG": "0",
            "SECRET_KEY": "bench",
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_UPSTREAM_URL": upstream.url,
            "DENOISE_RELAY_API_KEY": upstream.key,
            "DENOISE_RELAY_ALLOWED_RESULT_HOSTS": upstream.netloc,
            # What the scripted upstream returns has nothing to do with what it got.
            "DENOISE_RELAY_VERIFY_RESULTS": "0",
            "DENOISE_RELAY_ANALYSE_RESULTS": "0",
        }
        manage(environment, "migrate", "--verbosity", "0")
        with daphne(application, environment) as server:
            yield server


async def soak(server: Server, jobs: int, *, each: int) -> AsyncIterator[Figures]:
    """Run so many jobs, and yield the server's figures at the start and after `each` jobs."""
    begun = time.monotonic()
    yield await _figures(server, 0, begun)
    async with contextlib.AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(_browser(server.port)) for _ in range(AT_ONCE)]
        for done in range(0, jobs, each):
            numbers = iter(range(done, min(done + each, jobs)))
            async with asyncio.TaskGroup() as group:
                for visitor in visitors:
                    group.create_task(_run_jobs(visitor, numbers))
            yield await _figures(server, min(done + each, jobs), begun)


def _browser(port: int) -> httpx.AsyncClient:
    base = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(base_url=base, timeout=TIMEOUT_SECONDS, trust_env=False)


async def _run_jobs(client: httpx.AsyncClient, numbers: Iterator[int]) -> None:
    page = ""
    for turn, number in enumerate(numbers):
        form = (await client.get(page or "/")).text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        if found is None:
            raise RuntimeError(f"no form on {page}")
        data = {"csrfmiddlewaretoken": found[1]}
        if page and turn % UPLOAD_EACH:
            answer = await client.post(f"{page}retry/", data=data)
        else:
            files = {"audio": ("voice.wav", tone_wav(), "audio/wav")}
            answer = await client.post("/", data=data, files=files)
        page = answer.headers["location"]
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if number % 2:
                await _watch_socket(client, page)
            else:
                await _watch_stream(client, page)
        (await client.get(f"{page}status/")).raise_for_status()
        (await client.get(f"{page}audio/denoised/")).raise_for_status()


async def _watch_socket(client: httpx.AsyncClient, page: str) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = f"{client.base_url.netloc.decode()}/ws/denoise{page.removeprefix('/jobs')}"
    url, headers = f"ws://{address}", {"Cookie": cookies}
    last = ""
    while not last:
        # Daphne refuses a handshake that it could not finish within 5 s, on a busy machine; as a
        # page does, come again.
        with contextlib.suppress(InvalidHandshake):
            async with connect(url, additional_headers=headers, proxy=None) as socket:
                async for text in socket:
                    last = str(text)
    _check_end(last)


async def _watch_stream(client: httpx.AsyncClient, page: str) -> None:
    async with client.stream("GET", f"{page}events/") as stream:
        lines = [line async for line in stream.aiter_lines() if line.startswith("data:")]
    _check_end(lines[-1] if lines else "")


def _check_end(frame: str) -> None:
    if '"done"' not in frame:
        raise RuntimeError(f"the last frame of a job was {frame!r}")


async def _figures(server: Server, jobs: int, begun: float) -> Figures:
    """The figures once clients that have left are gone from the server, too."""
    seconds, found = time.monotonic() - begun, _now(server)
    quiet = time.monotonic() + 1.0
    ends = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < min(quiet, ends):
        await asyncio.sleep(0.1)
        if (now := _now(server)) != found:
            found, quiet = now, time.monotonic() + 1.0
    threads, descriptors = found
    return Figures(
        jobs=jobs,
        seconds=seconds,
        resident_mib=server.resident_mib(),
        threads=threads,
        descriptors=descriptors,
    )


def _now(server: Server) -> tuple[int, int]:
    """Threads and file descriptors."""
    folder = Path(f"/proc/{server.pid}")
    return len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))
