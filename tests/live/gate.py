"""A TCP gate between our processes and a server: it can hold, cut or refuse what passes.

It stands where a network stands. Holding one direction makes "the answer was lost" and
"the commit never arrived" into things a test can do on purpose. It runs in a thread of
its own, so that tests may block.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

PIECE = 65536


class Gate:
    """`with Gate(port) as gate:` listens on `gate.port` and passes bytes to `port`.

    `on_bytes(direction, data)`, called in the gate's thread for each piece with `up` (to the
    server) or `down`, may call `hold_up`, `hold_down` or `cut`; the piece itself is then
    subject to it.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.on_bytes: Callable[[str, bytes], None] | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pass = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open_port)
        self.release()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def connections(self) -> int:
        """Open connections, now."""
        return len(self._open) // 2

    # What tests do to it (from any thread)

    def refuse(self) -> None:
        """Close the port and cut what is open: connecting fails at once."""
        self._call(self._refuse)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._call(self._open_port)

    def cut(self) -> None:
        """Reset every open connection; new ones are welcome."""
        self._call(self._cut)

    def hold_up(self) -> None:
        """Let nothing reach the server any more (what is on its way stays here)."""
        self._pass["up"].clear()

    def hold_down(self) -> None:
        """Let the server's answers not come through."""
        self._pass["down"].clear()

    def release(self) -> None:
        """Let everything pass again."""
        for event in self._pass.values():
            self._loop.call_soon_threadsafe(event.set)

    # In its thread

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
                group.create_task(self._pump("up", reader, up_writer), name="gate-up")
                group.create_task(self._pump("down", up_reader, writer), name="gate-down")
        except* (ConnectionError, OSError):
            pass
        finally:
            self._open -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pump(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(PIECE):
            if self.on_bytes is not None:
                self.on_bytes(direction, data)
            await self._pass[direction].wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one side has gone: so does the other
