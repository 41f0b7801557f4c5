"""Server-Sent Events: the frames of a WebSocket, for networks that allow none, and for the
progress endpoint of the API.

Everything here is async: Django consumes a synchronous iterator to its end before it sends the
first byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase, JsonResponse

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.conf import relay_settings
from denoise_relay.frames import Frame, parse_after, sse_message
from denoise_relay.journal import read
from denoise_relay.live import shutdown
from denoise_relay.live.watcher import Watcher
from denoise_relay.runtime import database, logs

#: Shorter than the 30-60 s after which proxies cut an idle response.
HEARTBEAT_SECONDS = 15.0
#: A comment, which clients ignore.
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
    viewer = await access.viewer_of(request)
    job = await access.aget_job(viewer, job_id)
    if job.ended and after == job.seq:
        # The client has the terminal event; 204 tells an EventSource to stop reconnecting.
        return HttpResponse(status=204)
    return await sse_response(job.pk, after, frame_message, viewer)


def frame_message(frame: Frame) -> bytes:
    """Encode a frame for this site's pages; the API has an encoding of its own."""
    return sse_message(frame.text, seq=frame.seq)


async def sse_response(
    job_id: UUID,
    after: int | None,
    encode: Callable[[Frame], bytes],
    viewer: Viewer | None = None,
) -> StreamingHttpResponse:
    """`event_stream` as a response whose headers keep caches, compressors and proxies from
    holding events back.

    Raises Django's database errors while the journal cannot be read: after the headers all that
    a client could be shown is a stream that ends, which looks like success.
    """
    await database.release()
    await database.read(read.latest, job_id)
    stream = event_stream(job_id, after, encode, viewer)
    response = StreamingHttpResponse(stream, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    # GZipMiddleware does not compress a response that has an encoding.
    response["Content-Encoding"] = "identity"
    return response


async def event_stream(
    job_id: UUID,
    after: int | None,
    encode: Callable[[Frame], bytes],
    viewer: Viewer | None = None,
) -> AsyncIterator[bytes]:
    """A job's events from the journal, then live, with heartbeats in between.

    Ends after the terminal event, after `STREAM_IDLE_SECONDS` without any, when the server
    stops, when the journal cannot be read, and when `viewer` may not see the job any more (None
    is not asked). Closing the iterator stops watching.
    """
    watcher, loop = Watcher(viewer=viewer), asyncio.get_running_loop()
    idle = relay_settings().STREAM_IDLE_SECONDS
    replay = watcher.watch(job_id, after)
    shutdown.streams.add(watcher.mailbox)
    try:
        # At once, so that the client sees the response's headers before the first event.
        yield HEARTBEAT
        async for frame in replay:
            yield encode(frame)
        ends = loop.time() + idle
        while job_id in watcher and not shutdown.stopping() and (left := ends - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, HEARTBEAT_SECONDS)):
                    frames = await watcher.take()
            except TimeoutError:
                yield HEARTBEAT
                continue
            for frame in frames:
                yield encode(frame)
            ends = loop.time() + idle
    except DatabaseFailure as error:
        # The client reconnects later and says which event it has.
        logs.logger.warning(
            "A stream could not read the journal: %s",
            type(error).__name__,
            extra=logs.fields("stream_unavailable", error=repr(error)),
        )
    finally:
        shutdown.streams.discard(watcher.mailbox)
        watcher.close()
