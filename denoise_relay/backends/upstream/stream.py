"""Read one connection's events until one of them is terminal, or the connection is of no use."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx

from denoise_relay.backends.upstream.errors import StreamEnded, UnknownStage
from denoise_relay.backends.upstream.messages import (
    Done,
    Failed,
    Processing,
    UpstreamEvent,
    decode_event,
)
from denoise_relay.backends.upstream.sse import EventParser
from denoise_relay.backends.upstream.stream_clock import StreamClock
from denoise_relay.exceptions import ProtocolError
from denoise_relay.runtime import metrics

#: A JSON event has no business being longer; far below what the parser can take.
MAX_LINE_BYTES = 64 * 1024
#: One connection. Ten events a second for two hours are 10 MB.
MAX_STREAM_BYTES = 512 * 1024 * 1024


class Listener:
    """Reads the events of one job over any number of connections, and keeps the last one."""

    def __init__(
        self,
        *,
        on_processing: Callable[[Processing], None],
        on_progress: Callable[[], None],
        skipped: Counter[str],
        clock: StreamClock,
    ) -> None:
        self._on_processing = on_processing
        self._on_progress = on_progress
        self._skipped = skipped
        self._clock = clock
        self._last: UpstreamEvent | None = None
        #: Milliseconds that the server asked clients to wait before they reconnect.
        self.retry: int | None = None

    async def listen(self, response: httpx.Response) -> Done | Failed:
        """Return the first terminal event; what may come after it is not read.

        Raises `StreamEnded`, `StreamStalled`, `ReadTimeout`, and `ProtocolError` when a bound is
        broken. The connection's own errors pass.
        """
        async with self._clock.running():
            return await self._read(response)

    async def _read(self, response: httpx.Response) -> Done | Failed:
        parser = EventParser(max_line_bytes=MAX_LINE_BYTES)
        budget = MAX_STREAM_BYTES
        clock, now = self._clock, asyncio.get_running_loop().time
        # Each chunk was waited for (`stream_connection`), so that a flood starves nobody.
        async for chunk in response.aiter_raw():
            progress = False
            for message in parser.feed(chunk):
                event = self._decode(message.data)
                if isinstance(event, Processing):
                    progress = True
                    self._on_event(event)
                elif event is not None:
                    return event
            # Bytes are not progress: comments would keep a dead stream open for ever.
            clock.heard(now(), progress=progress)
            self.retry = parser.retry
            budget -= len(chunk)
            if budget < 0:
                raise ProtocolError(f"a stream exceeds {MAX_STREAM_BYTES} bytes")
        raise StreamEnded

    def _decode(self, data: str) -> UpstreamEvent | None:
        try:
            return decode_event(data)
        except UnknownStage:
            self._skip("unknown_stage")
        except ProtocolError:
            self._skip("bad_event")
        return None

    def _skip(self, reason: str) -> None:
        self._skipped[reason] += 1
        metrics.UPSTREAM_SKIPPED.labels(reason).inc()

    def _on_event(self, event: Processing) -> None:
        # A reconnect may replay the last event: that is not progress, and a server that
        # drops every connection after it must not be asked at full speed.
        if event != self._last:
            self._last = event
            self._on_progress()
        self._on_processing(event)
