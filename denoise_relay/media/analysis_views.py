"""Serves what is known about a job's recordings: waveforms, previews, spectrograms, numbers.

The 404 is the same for what is unknown, not allowed, or not there (yet).
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from denoise_relay import access
from denoise_relay.media import derived, waveforms
from denoise_relay.media.ranges import if_none_match
from denoise_relay.media.responses import file_response
from denoise_relay.media.waveforms import Known
from denoise_relay.models import Job, Segment, current_jobs

METHODS = ("GET", "HEAD")
#: For what does not change, and for what does.
LASTING, GROWING = "private, max-age=3600", "private, no-cache"
#: Waveforms become about a third: of a quarter of an hour, 0.9 MB becomes 0.3 MB, in 50 ms.
_GZIP_FROM_BYTES, _GZIP_LEVEL = 4096, 4
_GZIP_MAGIC = b"\x1f\x8b"
#: Digits of the longest number in a URL.
_DIGITS = 7


async def waveform(request: HttpRequest, job_id: UUID, side: str) -> HttpResponseBase:
    """GET /jobs/<uuid>/waveform/<side>/: audiowaveform's JSON, version 2.

    With `?from=<pixel>` only what is new. `first` is the pixel with which `data` begins; the
    waveform of the clean recording grows while the job runs, until `complete` is true, and says
    how many `segments` can be played, each of `segment_seconds` but the last. `?soon=1` is as for
    `statistics`.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    job = await _job(request, job_id, side)
    return await waveform_response(request, job, side)


async def waveform_response(request: HttpRequest, job: Job, side: str) -> HttpResponseBase:
    """The answer with a waveform of a job that the client may see. Raises `Http404`."""
    first = _number(request.GET.get("from", "")) or 0
    found = await sync_to_async(waveforms.known)(job, side, first)
    if found is None:
        return _not_yet(request)
    return await _answer(
        request,
        version=f"{job.pk}:{side}:{found.complete}:{found.version}",
        cache=LASTING if found.complete else GROWING,
        content_type="application/json",
        make=partial(_as_json, found),
    )


async def preview(request: HttpRequest, job_id: UUID, number: str) -> HttpResponseBase:
    """GET /jobs/<uuid>/preview/<number>/: a segment of the clean recording of a job that runs, as
    FLAC."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    return await preview_response(request, await _job(request, job_id), number)


async def preview_response(request: HttpRequest, job: Job, number: str) -> HttpResponseBase:
    """The answer with a segment of a job that the client may see. Raises `Http404`."""
    found = _number(number)
    row = None if found is None else await sync_to_async(_segment)(job, found)
    if row is None:
        raise Http404("No such job.")
    content = bytes(row.audio)
    return await _answer(
        request,
        version=f"{job.pk}:segment:{row.pk}",
        cache=LASTING,
        content_type="audio/flac",
        make=lambda: content,
    )


async def spectrogram(request: HttpRequest, job_id: UUID, side: str) -> HttpResponseBase:
    """GET /jobs/<uuid>/spectrogram/<side>/: a picture."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    job = await _job(request, job_id, side)
    name = await sync_to_async(derived.stored_name)(job, derived.spectrogram(side))
    media_type = derived.image_type_of(name)
    if not media_type:
        raise Http404("No such job.")
    return await file_response(
        request,
        name,
        media_type=media_type,
        file_name=f"spectrogram-{side}.{name.rpartition('.')[2]}",
        attachment=False,
        redirects=False,  # the pages' Content-Security-Policy allows our own pictures
    )


async def statistics(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """GET /jobs/<uuid>/statistics/: loudness, noise and so on, before and after, as JSON.

    With `?soon=1`, what has not been measured yet is answered by 204: a page that asks again and
    again would have an error in its console for each 404.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    job = await _job(request, job_id)
    if job.statistics is None:
        return _not_yet(request)
    body = msgspec.json.encode(job.statistics)
    return await _answer(
        request,
        version=body.decode(),
        cache=GROWING,
        content_type="application/json",
        make=lambda: body,
    )


def _not_yet(request: HttpRequest) -> HttpResponseBase:
    """The answer for what has not been made of a job that the client may see. Raises `Http404`."""
    if not request.GET.get("soon"):
        raise Http404("No such job.")
    return HttpResponse(status=204, headers={"Cache-Control": "private, no-store"})


async def _job(request: HttpRequest, job_id: UUID, side: str = derived.SIDES[0]) -> Job:
    job = await access.aget_job(await access.viewer_of(request), job_id)
    if side not in derived.SIDES:
        raise Http404("No such job.")
    return job


def _segment(job: Job, number: int) -> Segment | None:
    rows = Segment.objects.using(current_jobs().db)
    return rows.filter(job=job.pk, number=number).only("audio").first()


def _as_json(found: Known) -> bytes:
    body: dict[str, Any] = {
        **found.peaks.as_json(),
        "first": found.first,
        "complete": found.complete,
    }
    if found.segments is not None:
        body |= {"segments": found.segments, "segment_seconds": found.segment_seconds}
    return msgspec.json.encode(body)


async def _answer(
    request: HttpRequest,
    *,
    version: str,
    cache: str,
    content_type: str,
    make: Callable[[], bytes],
) -> HttpResponse:
    """The body that `make` builds, unless the client has this version of it."""
    etag = f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'
    if if_none_match(request.headers.get("If-None-Match", ""), etag):
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        pack = partial(_packed, make) if zipped and content_type == "application/json" else make
        # In a thread: the waveform of a long recording takes 50 ms.
        body = await asyncio.get_running_loop().run_in_executor(None, pack)
        response = HttpResponse(body, content_type=content_type)
        if body.startswith(_GZIP_MAGIC):
            response["Content-Encoding"] = "gzip"
    else:
        response = HttpResponse(status=304)
        del response["Content-Type"]
    response["ETag"] = f"W/{etag}"  # weak: compressed or not, it is the same
    response["Vary"] = "Accept-Encoding"
    response["Cache-Control"] = cache
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _packed(make: Callable[[], bytes]) -> bytes:
    body = make()
    return gzip.compress(body, _GZIP_LEVEL, mtime=0) if len(body) >= _GZIP_FROM_BYTES else body


def _number(text: str) -> int | None:
    """A whole number of a URL; None where it is none, or larger than any of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
