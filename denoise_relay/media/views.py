"""Recordings over HTTP: one range at a time, conditional, streamed without blocking the loop."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from denoise_relay import access, presentation
from denoise_relay.formats import media_type_of
from denoise_relay.media.file_stream import StoredBytes
from denoise_relay.media.ranges import Span, Unsatisfiable, if_range, none_match, parse_range
from denoise_relay.models import Job, media_storage
from denoise_relay.runtime import database

METHODS = ("GET", "HEAD")
KINDS = ("original", "denoised")
LOCATE_SECONDS = 10.0
"""How long the storage may take to say where and how large a file is."""
PARTS_FROM_BYTES = 16 * 1024 * 1024
"""Files larger than this are played in parts."""
PART_BYTES = 8 * 1024 * 1024
# A hostile "recording" that a browser takes for a page may run nothing. It keeps its origin,
# or a real one opened by itself would be asked for again without cookies, and not play.
POLICY = "sandbox allow-same-origin; default-src 'none'; media-src 'self'"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Elsewhere:
    """The storage serves the file itself, from this URL."""

    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Here:
    """We read the file from the storage."""

    name: str
    size_bytes: int

    @property
    def etag(self) -> str:
        """Strong: a stored file never changes, and its name is never used twice. Hashed,
        because the name is nobody's business."""
        text = f"{self.name}:{self.size_bytes}"
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


async def audio(request: HttpRequest, job_id: UUID, kind: str) -> HttpResponseBase:
    """GET /jobs/<uuid>/audio/<kind>/, where `kind` is `original` or `denoised`.

    `?download=1` saves instead of playing. What is unknown, not allowed or not done yet is
    the same 404.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    job = await access.aget_job(await access.viewer_of(request), job_id)
    return await recording(request, job, kind, attachment=bool(request.GET.get("download")))


async def recording(
    request: HttpRequest, job: Job, kind: str, *, attachment: bool
) -> HttpResponseBase:
    """One of a job's recordings, for somebody who may have it; `Http404` if there is none.

    An attachment is sent whole, or as much as was asked for; what is played comes in parts.
    """
    name = _stored_name(job, kind)
    if not name:
        if kind == "denoised" and (url := job.result_url):
            return _redirect(url)
        raise Http404("No such job.")
    try:
        async with asyncio.timeout(LOCATE_SECONDS):
            # Not `sync_to_async`, which after a cancellation waits for its thread all the same.
            loop, host = asyncio.get_running_loop(), request.get_host()
            place = await loop.run_in_executor(None, _locate, name, host)
    except TimeoutError:
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    if isinstance(place, _Elsewhere):
        return _redirect(place.url)
    response = _answer(request, place, in_parts=not attachment)
    if response.status_code in (200, 206):
        response["Content-Type"] = media_type_of(name)
        disposition = content_disposition_header(attachment, _display_name(job, kind))
        response["Content-Disposition"] = disposition or "inline"
    else:
        del response["Content-Type"]  # 304 and 416 have no content
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = POLICY
    if response.streaming:
        await database.release()
    return response


def _answer(request: HttpRequest, place: _Here, *, in_parts: bool) -> HttpResponseBase:
    """Status, validators and body, in RFC 9110's order of precedence (13.2.2)."""
    size, etag = place.size_bytes, place.etag
    if not none_match(request.headers.get("If-None-Match", ""), etag):
        return _with_validators(HttpResponse(status=304), etag)
    span: Span | None = None
    # Only GET has ranges (14.2); HEAD is answered for the whole file.
    if request.method == "GET" and if_range(request.headers.get("If-Range", ""), etag):
        try:
            span = parse_range(request.headers.get("Range", ""), size)
        except Unsatisfiable:
            refused = HttpResponse(status=416)
            refused["Content-Range"] = f"bytes */{size}"
            refused["Accept-Ranges"] = "bytes"
            return refused
    as_part = span is not None and span.open_ended and in_parts and size > PARTS_FROM_BYTES
    if span is not None and as_part:
        # Browsers begin with "bytes=0-" and read as they play. Daphne never makes a sender
        # wait (daphne issue 170), so that a whole long recording would pile up in memory
        # for each slow listener. A server may send less than was asked for (15.3.7), and
        # players ask on from there.
        span = span.at_most(PART_BYTES)
    length = span.length if span else size
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    else:
        first = span.first if span else 0
        response = StreamingHttpResponse(
            StoredBytes(media_storage(), place.name, first=first, length=length)
        )
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {span.first}-{span.last}/{size}"
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    _with_validators(response, etag)
    if as_part:
        # Chromium's cache, once it holds a part, asks for all the rest by an explicit range.
        response["Cache-Control"] = "private, no-store"
    return response


def _with_validators(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    # What a URL answers never changes, but who may see it does: never in shared caches.
    response["Cache-Control"] = "private, max-age=3600"
    return response


def _redirect(url: str) -> HttpResponseBase:
    if urlsplit(url).scheme not in ("http", "https"):
        raise Http404("No such job.")
    response = HttpResponseRedirect(url)
    # The URL is often signed for a short while.
    response["Cache-Control"] = "no-store"
    return response


def _display_name(job: Job, kind: str) -> str:
    """What the file is called on the person's own disk."""
    return job.file_name if kind == "original" else presentation.denoised_name(job)


def _stored_name(job: Job, kind: str) -> str:
    if kind not in KINDS:
        return ""
    return (job.original if kind == "original" else job.result).name or ""


def _locate(name: str, host: str) -> _Here | _Elsewhere:
    """Where a stored file is to be had. Blocking."""
    storage = media_storage()
    try:
        storage.path(name)
    except NotImplementedError:
        url = storage.url(name)
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.netloc != host:
            return _Elsewhere(url=url)
    try:
        return _Here(name=name, size_bytes=storage.size(name))
    except FileNotFoundError as error:
        raise Http404("No such job.") from error
