"""The least that works: `python -m bench.latency.pipe <port> <url>` sends what httpx reads from a
stream to a WebSocket, unchanged. No journal, no accounts, no Django."""

from __future__ import annotations

import asyncio
import sys

import httpx
from websockets.asyncio.server import ServerConnection, serve


async def main(port: int, url: str) -> None:
    """Serve until ended."""

    async def pipe(viewer: ServerConnection) -> None:
        async with (
            httpx.AsyncClient(timeout=None, trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    await viewer.send(line[6:])

    async with serve(pipe, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
