"""Sends the live frames of one socket, as soon as they are published.

No task waits for them: the feed's own turn of the loop runs the server's `send`, which rarely has
to wait. When it does, because the viewer reads slowly, a task goes on with it, and frames stay in
the mailbox, which keeps the latest, until it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, Protocol

from denoise_relay.frames import Frame
from denoise_relay.live.shutdown import CloseCode
from denoise_relay.live.watcher import Watcher
from denoise_relay.runtime import logs, metrics
from denoise_relay.runtime.stepping import stepper

#: The key of an ASGI scope under which a server that has a direct way puts a function: it returns
#: the `DirectSend` of the accepted socket, or None.
DIRECT_SEND = "denoise_relay.direct_send"
#: Writes an encoded WebSocket message to the connection. Returns false, and writes nothing, while
#: only `send` of ASGI can say what is to happen. Never waits, never raises.
DirectSend = Callable[[bytes], bool]
TASK_NAME = "denoise-socket"


class Socket(Protocol):
    """What a sender needs of its socket."""

    watcher: Watcher
    #: `send` of ASGI.
    base_send: Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

    async def send_frame(self, frame: Frame) -> None:
        """Send any frame, and what follows from it."""

    async def tell_lost(self) -> None:
        """Tell the client what it may not watch any more."""

    async def close(self, code: int) -> None:
        """Close, once."""


class Sender:
    """One per socket, from the end of its first replay on."""

    __slots__ = ("_direct", "_run_now", "_send", "_sending", "_socket", "_task")

    def __init__(self, socket: Socket, direct: DirectSend | None) -> None:
        """Start. `direct` is the faster way for progress, if the server has one."""
        self._socket = socket
        self._direct = direct
        self._send = socket.base_send
        self._run_now = stepper().run
        self._sending = False
        #: What goes on with a `send` that has to wait.
        self._task: asyncio.Task[None] | None = None
        if direct is not None:
            metrics.DIRECT_SOCKETS.inc()
        socket.watcher.mailbox.on_wake = self._wake
        self._be_ready()

    async def stop(self) -> None:
        """Send nothing more. Call it once."""
        if self._direct is not None:
            metrics.DIRECT_SOCKETS.dec()
        self._sending = True
        mailbox = self._socket.watcher.mailbox
        mailbox.on_wake = mailbox.send_now = None
        if self._task is not None:
            self._task.cancel()
            # `wait` does not raise the task's cancellation, so that one raised here is our own.
            await asyncio.wait({self._task})

    def _send_now(self, frame: Frame) -> None:
        """Send progress for which nobody else waits. Called for each frame and viewer."""
        if self._direct is not None and self._direct(frame.wire):
            return
        work = self._send({"type": "websocket.send", "text": frame.text})
        try:
            task = self._run_now(work, TASK_NAME)
        except Exception as error:  # noqa: BLE001 - each server raises exceptions of its own
            self._run(self._break(error))
        else:
            if task is not None:
                self._wait_for(task)

    def _wake(self) -> None:
        if not self._sending:
            self._run(self._send_waiting())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may send several messages. `work` raises nothing."""
        self._sending = True
        self._socket.watcher.mailbox.send_now = None
        task = self._run_now(work, TASK_NAME)
        if task is None:
            self._be_ready()
        else:
            self._wait_for(task)

    def _wait_for(self, task: asyncio.Task[None]) -> None:
        self._sending = True
        self._socket.watcher.mailbox.send_now = None
        self._task = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._run(self._break(error))
        else:
            self._be_ready()

    def _be_ready(self) -> None:
        """Everything was sent; what has come meanwhile is next."""
        self._sending = False
        mailbox = self._socket.watcher.mailbox
        if mailbox.on_wake is None:
            return  # stopped
        if mailbox.woken:
            self._wake()
        else:
            mailbox.send_now = self._send_now

    async def _send_waiting(self) -> None:
        watcher = self._socket.watcher
        try:
            while watcher.mailbox.woken:
                for frame in watcher.take_now():
                    await self._socket.send_frame(frame)
                await self._socket.tell_lost()
        except Exception as error:  # noqa: BLE001 - each server raises exceptions of its own
            await self._break(error)

    async def _break(self, error: BaseException) -> None:
        """Most likely the client left between two frames, and its disconnect message is on its
        way. If not, the client must see a close: it cannot tell a broken socket from a quiet one.
        """
        logs.logger.info("A socket broke: %r", error, extra=logs.fields("socket_broke"))
        mailbox = self._socket.watcher.mailbox
        mailbox.on_wake = mailbox.send_now = None
        with contextlib.suppress(Exception):
            await self._socket.close(CloseCode.BROKEN)
