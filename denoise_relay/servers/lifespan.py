"""What starts and ends with the ASGI server: the embedded worker, the feed, threads, viewers.

Servers with a lifespan (uvicorn, granian, hypercorn) say when through it; Daphne, which has
none, through `servers.daphne`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

from denoise_relay.live import shutdown
from denoise_relay.live.feed import feed
from denoise_relay.runtime import background, database, logs
from denoise_relay.worker import embedded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


async def start() -> None:
    """Take viewers, start the embedded worker, and listen for events."""
    shutdown.reopen()
    await embedded.start()
    feed()


async def stop() -> None:
    """Close all viewers, hand jobs back, end threads."""
    await shutdown.close_all()
    await embedded.stop()
    await feed().stop()
    await asyncio.to_thread(database.close)


_drains: set[asyncio.Task[None]] = set()


def _begin_drain() -> None:
    _drains.add(background.spawn(shutdown.close_all(), "denoise-drain"))


def _drain_at_signals() -> None:
    """Close viewers as soon as the server is told to stop. Servers with a lifespan end it after
    the last response only, and a stream's response ends with its job."""
    if threading.current_thread() is not threading.main_thread():
        return  # no handler can be set here, and no signal arrives here
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, *, then: Any = servers_own) -> None:
            loop.call_soon_threadsafe(_begin_drain)
            if callable(then):
                then(number, frame)

        signal.signal(number, handle)


async def lifespan(receive: Receive, send: Send) -> None:
    """Serve the `lifespan` scope of ASGI."""
    await receive()
    try:
        await start()
    except Exception as error:  # noqa: BLE001 - the server is told, and does not start
        logs.logger.exception("The worker did not start", extra=logs.fields("start_failed"))
        await send({"type": "lifespan.startup.failed", "message": repr(error)})
        return
    _drain_at_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await stop()
    await send({"type": "lifespan.shutdown.complete"})
