"""The scripted upstream itself: one asyncio server, one request for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from denoise_relay.testing.connection import Connection
from denoise_relay.testing.http1 import BadRequest
from denoise_relay.testing.state import UpstreamState


class ScriptedUpstream(UpstreamState):
    """Use it as `async with` in the test's loop, or as `with` in a thread of its own."""

    def __init__(self, *, key: str = "scripted-key") -> None:
        super().__init__(key=key)
        #: Open connections, now.
        self.open_connections = 0
        self._port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._stop_thread: Any = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def netloc(self) -> str:
        """Host and port, for `ALLOWED_RESULT_HOSTS`."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """For `UPSTREAM_URL`."""
        return f"{self.origin}/api/v1"

    async def refuse_connections(self) -> None:
        """Close the port: connecting fails until `accept_connections`."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accept_connections(self) -> None:
        """Open the port, the same one as before."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, limit=1024 * 1024
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self.origin = f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> ScriptedUpstream:
        await self.accept_connections()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse_connections()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    def __enter__(self) -> ScriptedUpstream:
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="scripted-upstream", daemon=True
        )
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the scripted upstream did not start within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop_thread is not None:
            self._stop_thread()
        if self._thread is not None:
            self._thread.join(20)

    async def _serve(self, ready: threading.Event) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop_thread = lambda: loop.call_soon_threadsafe(stop.set)
        async with self:
            ready.set()
            await stop.wait()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: the task is ours, so that leaving the context ends it.
        task = asyncio.create_task(self._serve_connection(reader, writer), name="scripted upstream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.open_connections += 1
        try:
            await Connection(self, reader, writer).serve()
        except (BadRequest, ConnectionError, TimeoutError):
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
