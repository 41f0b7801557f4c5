"""A client of our WebSockets, through the real routes and without a server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from denoise_relay.models import Job
from denoise_relay.routing import websocket_urlpatterns

application = URLRouter(websocket_urlpatterns)
HOST = (b"host", b"testserver")


class Client(WebsocketCommunicator):  # type: ignore[misc]  # Channels is untyped
    """A client that speaks JSON and knows how it was closed."""

    async def frame(self) -> dict[str, Any]:
        return json.loads(await self.receive_from(timeout=5))  # type: ignore[no-any-return]

    async def frames(self, count: int) -> list[dict[str, Any]]:
        return [await self.frame() for _ in range(count)]

    async def say(self, body: Any) -> None:
        await self.send_to(text_data=json.dumps(body))

    async def closed(self) -> int:
        """The close code; any other message before the close is an error."""
        output = await self.receive_output(timeout=5)
        assert output["type"] == "websocket.close", output
        assert type(output["code"]) is int, "autobahn refuses an IntEnum"
        return int(output["code"])


@contextlib.asynccontextmanager
async def opened(
    path: str, headers: Sequence[tuple[bytes, bytes]] = (), app: Any = application
) -> AsyncIterator[Client]:
    """An accepted socket, disconnected at the end."""
    client = Client(app, path, headers=[HOST, *headers])
    accepted, _ = await client.connect(timeout=5)
    assert accepted
    try:
        yield client
    finally:
        await client.disconnect(timeout=5)


async def connected(path: str) -> Client:
    """An open socket that the test ends itself."""
    client = Client(application, path, headers=[HOST])
    await client.connect(timeout=5)
    return client


def job_path(job: Job, query: str = "") -> str:
    """The path of the socket of one job."""
    return f"/ws/denoise/{job.pk}/{query}"
