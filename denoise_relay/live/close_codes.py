"""The codes with which our WebSockets close."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """4xxx is the range for applications: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.2"""

    #: The watched job has ended and its terminal frame was sent.
    FINISHED = 1000
    #: An error of ours. Not 1011: autobahn raises for it, and the socket would stay open
    #: without a word.
    BROKEN = 4011
    #: The server stops, or the database is away; the client reconnects. Not 1012, which
    #: autobahn refuses.
    GOING_AWAY = 4012
    #: Three messages that are not understood, or a number in the URL that is none.
    BAD_REQUEST = 4400
    #: The page that opened the socket belongs to another site.
    FORBIDDEN_ORIGIN = 4403
    #: No such job, or one that this viewer may not see; the client cannot tell which.
    NOT_FOUND = 4404
