"""What granian lacks for our purpose, mended where it serves: closing a socket.

Its sockets have one lock for both directions: a close that is sent while a `receive` waits
for the client waits with it, for as long as the client says nothing (seen in 2.8.7), and a
viewer of a job that has ended, or of a server that stops, would never be told.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

CLOSE_SECONDS = 2.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def serving() -> bool:
    """Whether granian is loaded in this process."""
    return "granian" in sys.modules


def mended(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """`receive` and `send` of one socket; a close ends the waiting `receive` first."""
    waiting: asyncio.Task[Message] | None = None
    closing = asyncio.Event()
    told = asyncio.Event()

    async def hear() -> Message:
        return await receive()

    async def mended_receive() -> Message:
        nonlocal waiting
        if not closing.is_set():
            waiting = asyncio.create_task(hear(), name="denoise-granian-receive")
            try:
                return await waiting
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not closing.is_set() or (task and task.cancelling()):
                    raise  # meant for us, not for what we wait for
            finally:
                waiting.cancel()
                waiting = None
        # Whoever hears this leaves, and takes a close that is not out yet with it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await told.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def mended_send(message: Message) -> None:
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
            told.set()

    return mended_receive, mended_send
