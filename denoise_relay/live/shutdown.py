"""How sockets and streams end: the close codes, and all at once when the server stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from enum import IntEnum

from denoise_relay.live.mailbox import Mailbox
from denoise_relay.runtime import metrics


class CloseCode(IntEnum):
    """4xxx is the range for applications: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.2"""

    #: The watched job has ended and its terminal frame was sent.
    FINISHED = 1000
    #: An error of ours. Not 1011: autobahn raises for it, and the socket would stay open.
    BROKEN = 4011
    #: The server stops, the database is away, or the session has ended; the client reconnects.
    #: Not 1012, which autobahn refuses.
    GOING_AWAY = 4012
    #: Three messages that are not understood, or a number in the URL that is none.
    BAD_REQUEST = 4400
    #: The page that opened the socket belongs to another site.
    FORBIDDEN_ORIGIN = 4403
    #: No such job, or one that this viewer may not see; the client cannot tell which.
    NOT_FOUND = 4404


#: How long the closing handshakes of all sockets together may take.
CLOSING_SECONDS = 2.0

#: The `close` of each open socket, which adds it when it opens and removes it at its end.
sockets: set[Callable[[int], Awaitable[None]]] = set()
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
    closing = (close(CloseCode.GOING_AWAY) for close in sockets)
    await asyncio.gather(*closing, return_exceptions=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_SECONDS):
            while sockets:  # noqa: ASYNC110 - once per process, at its end
                await asyncio.sleep(0.02)


def reopen() -> None:
    """Accept viewers again: a server has started (in tests one process starts several)."""
    global _stopping
    _stopping = False
