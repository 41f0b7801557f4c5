"""A TCP proxy between our processes and a server that can stall, cut or refuse connections.

By stalling one direction a test brings about "the answer was lost" or "the commit never
arrived". The proxy runs in a thread of its own, so that tests may block.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

READ_BYTES = 65536


class TcpProxy:
    """`with TcpProxy(port) as proxy:` listens on `proxy.port` and forwards to `port`.

    `on_bytes(direction, data)` is called in the proxy's thread for each read, with `up` (to
    the server) or `down`. It may call `hold_up` or `hold_down`, which then hold these bytes too.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.on_bytes: Callable[[str, bytes], None] | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._may_pass = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open_port)
        self.release()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def connections(self) -> int:
        """Open connections, now."""
        return len(self._open) // 2

    # Faults, from any thread

    def refuse(self) -> None:
        """Close the port and reset open connections: connecting fails at once."""
        self._call(self._refuse)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._call(self._open_port)

    def cut(self) -> None:
        """Reset every open connection; new ones are accepted."""
        self._call(self._cut)

    def hold_up(self) -> None:
        """Hold what is sent to the server, until `release`."""
        self._may_pass["up"].clear()

    def hold_down(self) -> None:
        """Hold what the server answers, until `release`."""
        self._may_pass["down"].clear()

    def release(self) -> None:
        """Forward what was held, and everything from now on."""
        for event in self._may_pass.values():
            self._loop.call_soon_threadsafe(event.set)

    # In the proxy's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, function: Callable[[], Any]) -> None:
        async def run() -> None:
            await function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _open_port(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for writer in list(self._open):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                # RST rather than FIN.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

    async def _close(self) -> None:
        await self._refuse()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, up_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump("up", reader, up_writer), name="proxy-up")
                group.create_task(self._pump("down", up_reader, writer), name="proxy-down")
        except* (ConnectionError, OSError):
            pass
        finally:
            self._open -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pump(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(READ_BYTES):
            if self.on_bytes is not None:
                self.on_bytes(direction, data)
            await self._may_pass[direction].wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one side has closed: close the other
