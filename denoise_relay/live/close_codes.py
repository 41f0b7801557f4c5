"""The codes with which our WebSockets close."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """4xxx is the range for applications: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.2"""

    #: The watched job has ended and its terminal frame was sent.
    FINISHED = 1000
    #: A failure of ours. Not 1011, for which autobahn raises, so that the socket would stay
    #: open in silence.
    BROKEN = 4011
    #: The server stops, or the database is away: come back. Not 1012, which autobahn refuses.
    GOING_AWAY = 4012
    #: Messages that are not understood, three times.
    BAD_REQUEST = 4400
    #: The page that opens the socket is of another site.
    FORBIDDEN_ORIGIN = 4403
    #: No such job, or not allowed to see it: the two are answered alike.
    NOT_FOUND = 4404
