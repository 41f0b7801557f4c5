"""Answers with a file of the storage: ranges, conditions, streams that do not block the loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from denoise_relay.media.ranges import (
    ByteRange,
    RangeNotSatisfiable,
    if_none_match,
    if_range,
    parse_range,
)
from denoise_relay.media.storage import FileStream, own_url
from denoise_relay.models import media_storage
from denoise_relay.runtime import database

T = TypeVar("T")

#: Longest time that the storage may take to find a file and its size.
LOCATE_SECONDS = 10.0
#: Larger files are played in parts of PART_BYTES.
PARTS_FROM_BYTES = 16 * 1024 * 1024
PART_BYTES = 8 * 1024 * 1024
#: Content-Security-Policy. A hostile file that a browser takes for a page can run no script. The
#: origin is kept: without it, a browser that opens a recording in a tab of its own would request
#: it again without cookies, and not play it.
POLICY = "sandbox allow-same-origin; default-src 'none'; media-src 'self'"


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredFile:
    """A file that we read from the storage."""

    name: str
    size_bytes: int

    @property
    def etag(self) -> str:
        """A strong validator: a stored file never changes, and its name is never used again.
        Hashed, because the name is secret."""
        text = f"{self.name}:{self.size_bytes}"
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


async def file_response(
    request: HttpRequest,
    name: str,
    *,
    media_type: str,
    file_name: str,
    attachment: bool,
    redirects: bool = True,
) -> HttpResponseBase:
    """The answer with the stored file `name`. The caller has checked that it is allowed.

    `file_name` is what a browser saves it as. An attachment is sent as requested; for playing, a
    large file is sent in parts. A storage that serves files itself is asked for its URL, unless
    `redirects` is false: what a script reads must come from this site. Raises `Http404` if the
    storage has no such file.
    """
    host = request.get_host() if redirects else None
    try:
        found = await _in_time(lambda: _redirect_url(name, host) or _find(name))
    except TimeoutError:
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    if isinstance(found, str):
        return redirect(found)
    response = _file_response(request, found, in_parts=not attachment)
    if response.status_code in (200, 206):
        response["Content-Type"] = media_type
        disposition = content_disposition_header(attachment, file_name)
        response["Content-Disposition"] = disposition or "inline"
    else:
        del response["Content-Type"]  # 304 and 416 have no content
    return await _sent(response)


async def blind_response(request: HttpRequest, name: str) -> HttpResponseBase:
    """A stored recording for a script, with nothing around it that says which recording it is:
    no name, no type, no redirect to a storage. The caller has checked that it is allowed.

    Raises `Http404` if the storage has no such file.
    """
    try:
        found = await _in_time(lambda: _find(name))
    except TimeoutError:
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    response = _file_response(request, found, in_parts=False)
    del response["ETag"]  # A and X would have the same
    response["Content-Type"] = "application/octet-stream"
    response["Cache-Control"] = "private, no-store"
    return await _sent(response)


def redirect(url: str) -> HttpResponseBase:
    """Send the client to a storage, or to the upstream."""
    response = HttpResponseRedirect(url)
    # Such URLs are often signed and expire soon.
    response["Cache-Control"] = "no-store"
    return response


async def _sent(response: HttpResponseBase) -> HttpResponseBase:
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = POLICY
    if response.streaming:
        await database.release()
    return response


def _file_response(request: HttpRequest, file: _StoredFile, *, in_parts: bool) -> HttpResponseBase:
    """Status, validators and body; conditions in the order of RFC 9110 (13.2.2)."""
    size, etag = file.size_bytes, file.etag
    if not if_none_match(request.headers.get("If-None-Match", ""), etag):
        return _with_validators(HttpResponse(status=304), etag)
    try:
        span = _requested_range(request, file)
    except RangeNotSatisfiable:
        refused = HttpResponse(status=416)
        refused["Content-Range"] = f"bytes */{size}"
        refused["Accept-Ranges"] = "bytes"
        return refused
    as_part = span is not None and span.open_ended and in_parts and size > PARTS_FROM_BYTES
    if span is not None and as_part:
        # Browsers begin with "bytes=0-" and read while they play. Daphne does not make a sender
        # wait (daphne issue 170), so a whole long recording would be in memory for each slow
        # listener. A server may send less than was requested (15.3.7), and players then request
        # the rest.
        span = span.at_most(PART_BYTES)
    length = span.length if span else size
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    else:
        first = span.first if span else 0
        response = StreamingHttpResponse(
            FileStream(media_storage(), file.name, first=first, length=length)
        )
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {span.first}-{span.last}/{size}"
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    _with_validators(response, etag)
    if as_part:
        # Once Chromium has cached a part, it requests all the rest as a range with an end.
        response["Cache-Control"] = "private, no-store"
    return response


def _requested_range(request: HttpRequest, file: _StoredFile) -> ByteRange | None:
    """The range to send, or None for the whole file. Raises `RangeNotSatisfiable`."""
    # Ranges are for GET only (14.2); HEAD gets the headers of the whole file.
    if request.method != "GET" or not if_range(request.headers.get("If-Range", ""), file.etag):
        return None
    return parse_range(request.headers.get("Range", ""), file.size_bytes)


def _with_validators(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    # The content of a URL never changes, but who may see it does: no shared caches.
    response["Cache-Control"] = "private, max-age=3600"
    return response


async def _in_time(look: Callable[[], T]) -> T:
    """Ask the storage. Raises `TimeoutError` if it takes longer than `LOCATE_SECONDS`."""
    async with asyncio.timeout(LOCATE_SECONDS):
        # Not `sync_to_async`, which waits for its thread even after a cancellation.
        return await asyncio.get_running_loop().run_in_executor(None, look)


def _redirect_url(name: str, host: str | None) -> str:
    """The URL of a file whose storage serves files itself, on another host than ours; else "".
    Without a host none is wanted. Blocking."""
    url = own_url(name) if host is not None else ""
    return url if urlsplit(url).netloc != host else ""


def _find(name: str) -> _StoredFile:
    """Find a stored file. Blocking."""
    try:
        return _StoredFile(name=name, size_bytes=media_storage().size(name))
    except FileNotFoundError as error:
        raise Http404("No such job.") from error
