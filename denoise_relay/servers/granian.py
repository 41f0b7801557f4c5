"""Patches granian where it serves us: closing a socket.

Its sockets have one lock for both directions. A close that is sent while a `receive` waits for
the client waits for the same lock, until the client sends something (seen in 2.8.7), so a viewer
of a job that has ended, or of a server that stops, would never get the close.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

#: How long a waiting `receive` may take to end, and the close to be sent.
CLOSE_SECONDS = 2.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def serving() -> bool:
    """Whether granian is loaded in this process."""
    return "granian" in sys.modules


def patched(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Wrap `receive` and `send` of one socket: a close ends the waiting `receive` first."""
    waiting: asyncio.Task[Message] | None = None
    closing = asyncio.Event()
    closed = asyncio.Event()

    async def receive_once() -> Message:
        return await receive()

    async def patched_receive() -> Message:
        nonlocal waiting
        if not closing.is_set():
            waiting = asyncio.create_task(receive_once(), name="denoise-granian-receive")
            try:
                return await waiting
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not closing.is_set() or (task and task.cancelling()):
                    raise  # this task is cancelled, not the one that it waits for
            finally:
                waiting.cancel()
                waiting = None
        # The application ends when it gets the disconnect, and a close that has not been sent
        # yet would be lost.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await closed.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def patched_send(message: Message) -> None:
        if message["type"] != "websocket.close":
            await send(message)
            return
        closing.set()
        try:
            if waiting is not None:
                waiting.cancel()
                await asyncio.wait({waiting}, timeout=CLOSE_SECONDS)
            await send(message)
        finally:
            closed.set()

    return patched_receive, patched_send
