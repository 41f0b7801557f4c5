"""An incremental parser of Server-Sent Events: bytes in, events out. Pure.

WHATWG HTML 9.2.5-9.2.6 (https://html.spec.whatwg.org/multipage/server-sent-events.html),
with bounds that the standard does not have. One parser for each connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from denoise_relay.exceptions import ProtocolError

MAX_LINE_BYTES = 256 * 1024
MAX_EVENT_BYTES = 256 * 1024
MAX_DATA_LINES = 16_384
#: A delay with more digits than this is ignored; `int()` of thousands of them is slow.
MAX_RETRY_DIGITS = 15

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One dispatched event; `data` is its `data:` lines joined by LF."""

    data: str
    type: str = "message"
    #: The last event ID in force at dispatch; it lives on from event to event.
    id: str = ""
    #: Milliseconds, when the same block had a valid `retry:`.
    retry: int | None = None


class EventParser:
    """Parse one connection's bytes, however they are cut.

    `last_event_id` and `retry` (milliseconds, or None) are what a client would reconnect
    with. A line, an event's data, or its number of data lines over the bounds raises
    `ProtocolError`; the parser is spent then. An event that the end of the stream cuts off
    is dropped, as the standard asks: there is nothing to flush.
    """

    def __init__(
        self,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_data_lines: int = MAX_DATA_LINES,
    ) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._max_data_lines = max_data_lines
        self._line = bytearray()
        self._first_line = True
        self._after_cr = False
        self._id = ""
        self._type = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._block_retry: int | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `chunk` completes. Exhaust it before the next `feed`.

        An iterator, so that a terminal event is not lost to an endless line behind it.
        """
        if chunk:
            # A CR has ended its line at once, without waiting for a possible LF: an event
            # closed by CR CR before a silence would otherwise hang until the silence ends.
            after_cr, self._after_cr = self._after_cr, chunk.endswith(b"\r")
            if after_cr and chunk.startswith(b"\n"):
                chunk = chunk[1:]
        # `split` by one byte is much faster than by a pattern, and most streams have no CR.
        *lines, rest = chunk.split(b"\n") if b"\r" not in chunk else _LINE_END.split(chunk)
        for line in lines:
            if len(self._line) + len(line) > self._max_line_bytes:
                raise self._line_too_long()
            if self._line:
                line = bytes(self._line) + line
                self._line.clear()
            if self._first_line:
                self._first_line = False
                line = line.removeprefix(_BOM)
            if line:
                self._end_line(line)
            elif (event := self._dispatch()) is not None:
                yield event
        if rest:
            if len(self._line) + len(rest) > self._max_line_bytes:
                raise self._line_too_long()
            self._line += rest

    def _line_too_long(self) -> ProtocolError:
        return ProtocolError(f"a line of an event stream exceeds {self._max_line_bytes} bytes")

    def _end_line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add_data(value)
        elif name == b"event":
            self._type = value.decode(errors="replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= MAX_RETRY_DIGITS:
            self.retry = self._block_retry = int(value)

    def _add_data(self, value: bytes) -> None:
        self._data_bytes += len(value) + 1
        if self._data_bytes > self._max_event_bytes:
            raise ProtocolError(f"an event exceeds {self._max_event_bytes} bytes")
        if len(self._data) >= self._max_data_lines:
            raise ProtocolError(f"an event exceeds {self._max_data_lines} data lines")
        self._data.append(value)

    def _dispatch(self) -> ServerSentEvent | None:
        # The ID counts even when the block has no data, and so makes no event.
        self.last_event_id = self._id
        event = None
        if self._data:
            event = ServerSentEvent(
                b"\n".join(self._data).decode(errors="replace"),
                self._type or "message",
                self._id,
                self._block_retry,
            )
            self._data.clear()
            self._data_bytes = 0
        self._type = ""
        self._block_retry = None
        return event
