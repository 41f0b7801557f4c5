"""Publishes in commits, when a datagram says so: in a process of its own, or in the web process.

`python -m bench.pubsub.publishing` is the first; `application` imports `listen` for the second.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

#: The environment variables with the UDP port, and with what is published how: `relay`,
#: `tutorial`, `postgresql`.
PORT, WAY = "BENCH_CONTROL_PORT", "BENCH_WAY"
#: What stands for the transaction of each commit.
COMMIT_SECONDS = 0.001
MESSAGE = "Running noise reduction"
_FIRST = 0xBE << 120


def job_id(number: int) -> UUID:
    """The id of the job with this number, from 0."""
    return UUID(int=_FIRST + number)


def listen() -> asyncio.Task[None]:
    """On the running loop, publish `<seq> <jobs> <commit>`: an event of each job, so many in one
    commit."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setblocking(False)
    receiver.bind(("127.0.0.1", int(os.environ[PORT])))
    publish = {"relay": _relay, "tutorial": _tutorial, "postgresql": _postgresql}[os.environ[WAY]]

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        while True:
            seq, jobs, commit = map(int, (await loop.sock_recv(receiver, 64)).split())
            await _in_commits(publish, seq, jobs, commit)

    return asyncio.get_running_loop().create_task(serve(), name="bench-publish")


async def _in_commits(
    publish: Callable[[int, Sequence[int]], Awaitable[None]], seq: int, jobs: int, commit: int
) -> None:
    for start in range(0, jobs, commit):
        await asyncio.sleep(COMMIT_SECONDS)
        await publish(seq, range(start, min(start + commit, jobs)))


async def _relay(seq: int, jobs: Sequence[int]) -> None:
    from denoise_relay.pubsub import publisher

    await publisher.publish(_events(seq, jobs))


async def _postgresql(seq: int, jobs: Sequence[int]) -> None:
    from denoise_relay.pubsub import postgres, publisher
    from denoise_relay.runtime import database

    events = _events(seq, jobs)
    await database.call(postgres.notify_events, "default", events)
    await publisher.publish(events)


async def _tutorial(seq: int, jobs: Sequence[int]) -> None:
    from channels.layers import get_channel_layer

    layer, at = get_channel_layer(), datetime.now(UTC).isoformat()
    assert layer is not None
    for number in jobs:
        body = {"job": str(job_id(number)), "seq": seq, "stage": "processing", "pct": 1}
        body |= {"message": MESSAGE, "at": at}
        await layer.group_send(job_id(number).hex, {"type": "job.update", "body": body})


def _events(seq: int, jobs: Sequence[int]) -> list[object]:
    from denoise_relay.events import Event, Stage

    now = datetime.now(UTC)
    return [
        Event(job=job_id(n), seq=seq, stage=Stage.PROCESSING, pct=1.0, message=MESSAGE, at=now)
        for n in jobs
    ]


async def _main() -> None:
    await listen()


if __name__ == "__main__":
    import django

    django.setup()
    asyncio.run(_main())
