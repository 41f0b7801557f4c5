"""A rival: `websockets.broadcast` to a set of connections per job, and nothing else."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from uuid import UUID

from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.fanout import control, frames

_viewers: dict[UUID, set[ServerConnection]] = defaultdict(set)


async def _viewer(connection: ServerConnection) -> None:
    assert connection.request is not None
    viewers = _viewers[UUID(connection.request.path.rpartition("/ws/denoise/")[2].strip("/"))]
    viewers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        viewers.discard(connection)


def _publish(jobs: int, number: int) -> None:
    for job in map(frames.job_id, range(jobs)):
        broadcast(_viewers[job], json.dumps(frames.body(job, number)))


async def _serve(port: int) -> None:
    control.listen(_publish)
    async with serve(_viewer, "127.0.0.1", port, compression=None, ping_interval=None):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
