"""What 1,000 viewers cost while nothing happens: pings, and rights that are asked again.

Each is a visitor of their own with a job of their own, as on a site; nobody could share the
answers. Beside a server of the library `websockets`, which asks nobody anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Sequence

from websockets.asyncio.client import ClientConnection, connect

from bench.process import Server, free_port, manage, pin_load, serving
from bench.report import Figure, Goal

TITLE = "1,000 idle viewers"
VIEWERS = 1000
CASE = "1,000 visitors, nothing happens"
OURS, RIVAL = "relay on Daphne", "websockets"
#: As long as `POSITION_CHECK_SECONDS` is by default, so that each viewer is asked about once.
SECONDS = 10.0
SETTLE_SECONDS = 2.0
CONNECT_SECONDS = 60.0
AT_ONCE = 20

#: Nothing was promised here: docs/scaling.md needs the figures.
GOALS: tuple[Goal, ...] = ()

_MAKE = """
from django.contrib.sessions.backends.db import SessionStore
from denoise_relay import access
from denoise_relay.models import Job
jobs = []
for number in range({viewers}):
    session = SessionStore()
    session[access.SESSION_KEY] = f"bench-{{number}}"
    session.save()
    jobs.append(Job(visitor=f"bench-{{number}}", file_name="bench.wav", seq=0))
    print(jobs[-1].pk, session.session_key)
Job.objects.bulk_create(jobs)
"""
_RIVAL = """
import asyncio, sys
from websockets.asyncio.server import serve
async def main():
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", int(sys.argv[1]),
                     compression=None):
        await asyncio.Event().wait()
asyncio.run(main())
"""


def run(rounds: int) -> list[Figure]:
    """All servers run, with their viewers, from the start; each round watches them in turn."""
    _many_files()
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder, pin_load():
        environment = {
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DENOISE_RELAY_WORKER": "external",
            "DEBUG": "0",
            "SECRET_KEY": "bench",
        }
        manage(environment, "migrate", "--verbosity", "0")
        code = _MAKE.format(viewers=VIEWERS)
        made = manage(environment, "shell", "--verbosity", "0", "-c", code).splitlines()[-VIEWERS:]
        visitors = [(line.split()[0], line.split()[1]) for line in made]
        return asyncio.run(_measure(rounds, environment, visitors))


async def _measure(
    rounds: int, environment: dict[str, str], visitors: Sequence[tuple[str, str]]
) -> list[Figure]:
    busy: dict[str, list[float]] = {}
    memory: dict[str, tuple[float, ...]] = {}
    async with contextlib.AsyncExitStack() as stack:
        servers: dict[str, Server] = {}
        for way in (OURS, RIVAL):
            port = free_port()
            context = serving(_command(way, port), environment, port=port)
            servers[way] = await asyncio.to_thread(context.__enter__)
            stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
            memory[way] = (servers[way].resident_mib(),)
            await _connect(stack, servers[way].port, visitors)
        await asyncio.sleep(SETTLE_SECONDS)
        for _ in range(rounds):
            before = {way: server.cpu_seconds() for way, server in servers.items()}
            begun = time.monotonic()
            await asyncio.sleep(SECONDS)
            for way, server in servers.items():
                spent = server.cpu_seconds() - before[way]
                share = 100 * spent / (time.monotonic() - begun)
                busy.setdefault(way, []).append(share)
                print(f"{way:20}{share:8.2f}% of a core", flush=True)
    return [
        *(Figure(case=CASE, way=w, metric="CPU %", values=tuple(v)) for w, v in busy.items()),
        *(Figure(case="no viewers", way=w, metric="MiB", values=v) for w, v in memory.items()),
    ]


def _command(way: str, port: int) -> list[str]:
    if way == RIVAL:
        return [sys.executable, "-c", _RIVAL, str(port)]
    words = f"-m daphne -b 127.0.0.1 -p {port} project.asgi:application"
    return [sys.executable, *words.split()]


async def _connect(
    stack: contextlib.AsyncExitStack, port: int, visitors: Sequence[tuple[str, str]]
) -> None:
    """One socket for each visitor, some at a time; they answer pings until the stack ends."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(job: str, session: str) -> ClientConnection:
        async with limit:
            return await connect(
                f"ws://127.0.0.1:{port}/ws/denoise/{job}/",
                additional_headers={"Cookie": f"sessionid={session}"},
                compression=None,
                ping_interval=None,
                proxy=None,
                open_timeout=CONNECT_SECONDS,
            )

    async with asyncio.timeout(CONNECT_SECONDS):
        sockets = await asyncio.gather(*(one(*visitor) for visitor in visitors))
    for socket in sockets:
        stack.callback(socket.transport.abort)


def _many_files() -> None:
    """As many open files as the system allows, for this process and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
