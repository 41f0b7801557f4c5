"""Server-Sent Events: what a WebSocket would carry, for networks that allow none, and for
the contract's own progress endpoint. Async all the way: Django consumes a synchronous
iterator whole before it sends the first byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase, JsonResponse

from denoise_relay import access
from denoise_relay.conf import relay_settings
from denoise_relay.frames import Frame, parse_after, sse_message
from denoise_relay.live import shutdown
from denoise_relay.live.feed import feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.runtime import database, logs

HEARTBEAT_SECONDS = 15.0
"""Below the 30-60 s after which proxies cut an idle response."""
HEARTBEAT = b": ping\n\n"


async def events(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """GET /jobs/<uuid>/events/: WebSocket frames as SSE; `Last-Event-ID` wins over `?after=`."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    try:
        after = parse_after(
            request.headers.get("Last-Event-ID", "") or request.GET.get("after", "")
        )
    except ValueError:
        return JsonResponse({"error": "after takes a whole number"}, status=400)
    job = await access.aget_job(await access.viewer_of(request), job_id)
    if job.ended and after == job.seq:
        # The client has the terminal event. 204 tells an EventSource to stop reconnecting.
        return HttpResponse(status=204)
    await database.release()
    return sse_response(event_stream(job.pk, after, frame_message))


def frame_message(frame: Frame) -> bytes:
    """A frame as this site's pages get it."""
    return sse_message(frame.text, seq=frame.seq)


def sse_response(stream: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """Headers that keep caches, compressors and proxies from holding events back."""
    response = StreamingHttpResponse(stream, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    # GZipMiddleware leaves a response alone that has an encoding.
    response["Content-Encoding"] = "identity"
    return response


async def event_stream(
    job_id: UUID, after: int | None, encode: Callable[[Frame], bytes]
) -> AsyncIterator[bytes]:
    """A job's events from the journal, then live; ends after the terminal one, or after
    `STREAM_IDLE_SECONDS` without any. Closing the iterator stops watching."""
    here, mailbox = feed(), Mailbox()
    loop = asyncio.get_running_loop()
    idle = relay_settings().STREAM_IDLE_SECONDS
    # A late double of what the client has must not make its seq fall.
    sent = -1 if after is None else after
    here.watch(job_id, mailbox)
    shutdown.streams.add(mailbox)
    try:
        # At once, so that the client sees the response's headers before the first event.
        yield HEARTBEAT
        async for frame in here.replay(job_id, after):
            sent = frame.seq
            yield encode(frame)
            if frame.terminal:
                return
        ends = loop.time() + idle
        while not shutdown.stopping() and (left := ends - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, HEARTBEAT_SECONDS)):
                    frames = await mailbox.take()
            except TimeoutError:
                yield HEARTBEAT
                continue
            for frame in frames:
                if frame.seq <= sent:
                    continue
                sent = frame.seq
                yield encode(frame)
                if frame.terminal:
                    return
            ends = loop.time() + idle
    except DatabaseFailure as error:
        # It is away. The client comes back later, and says where it stopped.
        logs.logger.warning(
            "A stream could not read the journal: %s",
            type(error).__name__,
            extra=logs.fields("stream_unavailable", error=repr(error)),
        )
    finally:
        shutdown.streams.discard(mailbox)
        here.unwatch(job_id, mailbox)
