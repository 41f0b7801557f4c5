"""Ends the sockets and streams of this process when its server stops; their clients reconnect."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from denoise_relay.live.close_codes import CloseCode
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.runtime import metrics

#: How long the closing handshakes of all sockets together may take.
CLOSING_SECONDS = 2.0


class Socket(Protocol):
    """What is needed of a WebSocket here; `websocket.RelayConsumer` is one."""

    async def close(self, code: int | None = None, reason: str | None = None) -> None: ...


#: The open sockets. Each adds itself when it opens and removes itself at its end.
sockets: set[Socket] = set()
#: The mailboxes of the open streams; a stream that is woken looks at `stopping`.
streams: set[Mailbox] = set()
_stopping = False

metrics.SOCKETS.set_function(lambda: len(sockets))


def stopping() -> bool:
    """Whether the server is about to stop. A socket that opens now is closed at once."""
    return _stopping


async def close_all() -> None:
    """End every stream, close every socket with 4012, and wait for the closing handshakes.

    Streams come first, because a graceful server waits for its last response. Takes at most
    `CLOSING_SECONDS`. A viewer that comes later is sent away at once, until `reopen`.
    """
    global _stopping
    _stopping = True
    for mailbox in streams:
        mailbox.wake()
    closing = (socket.close(CloseCode.GOING_AWAY) for socket in sockets)
    await asyncio.gather(*closing, return_exceptions=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_SECONDS):
            while sockets:  # noqa: ASYNC110 - once per process, at its end
                await asyncio.sleep(0.02)


def reopen() -> None:
    """Accept viewers again: a server has started (in tests one process starts several)."""
    global _stopping
    _stopping = False
