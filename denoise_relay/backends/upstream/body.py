"""The body of an HTTP/1.1 response on a connection that is not used again. Pure.

h11 has read the head by then, and refused what is no HTTP. It could read the body, too, but takes
longer for one small event than everything else here together. That nothing but this body is read
from the connection makes it simple: bytes that follow it are nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

from denoise_relay.exceptions import ProtocolError

#: A chunk's size with its extensions, and all trailers together.
MAX_LINE_BYTES = 16 * 1024

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;.*)?[ \t]*")


class Body(Protocol):
    """Takes bytes from the connection and gives those of the body."""

    #: Whether the body has been whole.
    complete: bool

    def feed(self, data: bytes) -> bytes:
        """The body's share of `data`; empty where there is none. Raises `ProtocolError`."""


def body_of(status: int, headers: Mapping[bytes, bytes]) -> Body:
    """How the body of a response to a GET is framed (RFC 9112, 6.3), by headers that h11 has
    normalised: it lets no other transfer coding pass, and no two lengths."""
    if status in (204, 304):
        return SizedBody(0)
    if b"transfer-encoding" in headers:
        return ChunkedBody()
    if b"content-length" in headers:
        return SizedBody(int(headers[b"content-length"]))
    return OpenBody()


class OpenBody:
    """Ends with the connection."""

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        return data


class SizedBody:
    """Has a `Content-Length`."""

    __slots__ = ("_left", "complete")

    def __init__(self, size: int) -> None:
        self._left = size
        self.complete = not size

    def feed(self, data: bytes) -> bytes:
        share = data[: self._left]
        self._left -= len(share)
        self.complete = not self._left
        return share


class _Next(Enum):
    SIZE = auto()
    END_OF_CHUNK = auto()
    TRAILER = auto()


class ChunkedBody:
    """Comes in chunks, each after its size (RFC 9112, 7.1)."""

    __slots__ = ("_left", "_next", "_rest", "_trailer_bytes", "complete")

    def __init__(self) -> None:
        self.complete = False
        #: Bytes of the present chunk that are still to come; at 0, a line is next.
        self._left = 0
        self._next = _Next.SIZE
        self._rest = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        if self._rest:
            data, self._rest = self._rest + data, b""
        shares = []
        at, size = 0, len(data)
        while at < size and not self.complete:
            if self._left:
                share = data[at : at + self._left]
                at += len(share)
                self._left -= len(share)
                shares.append(share)
                continue
            # A bare LF is tolerated where h11 does so, too.
            ending = b"\n" if self._next is _Next.TRAILER else b"\r\n"
            end = data.find(ending, at, at + MAX_LINE_BYTES)
            if end < 0:
                self._rest = data[at:]
                if len(self._rest) >= MAX_LINE_BYTES:
                    raise ProtocolError("a line of the chunked coding is too long")
                break
            self._end_line(data[at:end])
            at = end + len(ending)
        return shares[0] if len(shares) == 1 else b"".join(shares)

    def _end_line(self, line: bytes) -> None:
        if self._next is _Next.END_OF_CHUNK:
            if line:
                raise ProtocolError("a chunk is longer than its size")
            self._next = _Next.SIZE
        elif self._next is _Next.SIZE:
            if (match := _SIZE.fullmatch(line)) is None:
                raise ProtocolError("a chunk without a size")
            self._left = int(match[1], 16)
            self._next = _Next.END_OF_CHUNK if self._left else _Next.TRAILER
        elif line not in (b"", b"\r"):
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_LINE_BYTES:
                raise ProtocolError("the trailers are too long")
        else:
            self.complete = True
