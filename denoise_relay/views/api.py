"""The contract, served from our own jobs: any client of the vendor's API can talk to us.

Errors and fields are worded as the contract words them, in English whatever
`Accept-Language` says: programs read them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime
from uuid import UUID

import msgspec
from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils import translation

from denoise_relay import db, jobs, wire
from denoise_relay.broadcast import Frame
from denoise_relay.events import Event, Stage
from denoise_relay.exceptions import UploadRejected
from denoise_relay.models import ApiKey, Job
from denoise_relay.transport.sse import event_stream, sse_response
from denoise_relay.views import history, links, media, replies
from denoise_relay.views.keys import job_of_key, keyed, viewer_of_key
from denoise_relay.views.links import Link

_UNREADABLE = (MultiPartParserError, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)
_DIGITS = 9


@keyed("GET", "HEAD", "POST")
async def denoise(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    """POST queues a file; GET is the history."""
    if request.method == "POST":
        return await _submit(request, key)
    return await _list(request, key)


@keyed("GET")
async def progress(request: HttpRequest, key: ApiKey, job_id: str) -> HttpResponseBase:
    """A job's live progress as SSE; one that has ended says how, and the stream closes."""
    job = await job_of_key(key, job_id)
    encode = _contract_frames(links.linker(request))
    await db.release()
    return sse_response(event_stream(job.pk, None, encode))


async def audio(request: HttpRequest, job_id: str, kind: str) -> HttpResponseBase:
    """A recording by its signed link; what is forged, expired or gone is the same 404."""
    if request.method not in media.METHODS:
        allow = {"Allow": ", ".join(media.METHODS)}
        return replies.error(replies.BAD_METHOD, "Method not allowed", headers=allow)
    try:
        job_uuid = UUID(job_id)
        if not links.valid(job_uuid, kind, request.GET.get("sig", "")):
            raise Http404("No such job.")
        job = await Job.objects.filter(pk=job_uuid).afirst()
        if job is None:
            raise Http404("No such job.")
        # Programs fetch the file rather than play it: they get all they ask for.
        return await media.recording(request, job, kind, attachment=True)
    except (Http404, ValueError):
        return replies.error(replies.NOT_FOUND, "No such record")


async def _submit(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    try:
        # In a thread: up to 200 MB of form are parsed and written to disk here.
        file = await sync_to_async(_file_of, thread_sensitive=False)(request)
    except _UNREADABLE:
        file = None
    if file is None:
        return replies.audio_required()
    with translation.override("en"):
        try:
            job = await jobs.asubmit(file, owner=key.user, api_key=key)
        except UploadRejected as refusal:
            return replies.rejected(refusal, file.size or 0)
    body = {"jobId": str(job.pk), "denoiseId": str(job.pk)}
    return HttpResponse(wire.encode(body), content_type="application/json")


def _file_of(request: HttpRequest) -> UploadedFile[bytes] | None:
    found = request.FILES.get("audio")
    return found if isinstance(found, UploadedFile) else None


async def _list(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    try:
        offset = _whole_number(request.GET.get("offset", ""), at_least=0, default=0)
        limit = _whole_number(request.GET.get("limit", ""), at_least=1, default=history.CEILING)
    except ValueError:
        return replies.error(
            replies.BAD_PAGE,
            "offset must be a whole number >= 0 and limit a whole number >= 1",
        )
    pages = history.pages(viewer_of_key(key), offset, limit, links.linker(request))
    # Read before the headers are sent, so that a database that is away is a 500 and not a
    # list that breaks off; and most lists have no second page.
    first: list[str] = await anext(pages, [])
    if request.method == "HEAD" or len(first) < history.PAGE:
        await pages.aclose()
        return HttpResponse(f"[{','.join(first)}]", content_type="application/json")
    return StreamingHttpResponse(_array(first, pages), content_type="application/json")


async def _array(first: list[str], others: AsyncGenerator[list[str], None]) -> AsyncIterator[str]:
    yield f"[{','.join(first)}"
    async with aclosing(others):
        async for page in others:
            yield f",{','.join(page)}"
    yield "]"


def _whole_number(text: str, *, at_least: int, default: int) -> int:
    """Read a query parameter; raises `ValueError` with no more detail than the contract has."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise ValueError(text)
    if (number := int(text)) < at_least:
        raise ValueError(text)
    return number


class _Told(msgspec.Struct):
    """What one of our frames says."""

    stage: Stage
    pct: float
    message: str
    at: datetime
    url: str = ""


_told = msgspec.json.Decoder(_Told)


def _contract_frames(link: Link) -> Callable[[Frame], bytes]:
    """Word frames as the contract does."""

    def encode(frame: Frame) -> bytes:
        told = _told.decode(frame.text)
        url = told.url
        if told.stage is Stage.DONE and not url.startswith(("http://", "https://")):
            # Stored here; the page's own URL would ask for a session.
            url = link(frame.job, "denoised")
        event = Event(
            job=frame.job,
            seq=frame.seq,
            stage=told.stage,
            pct=told.pct,
            message=told.message,
            at=told.at,
        )
        return wire.sse(wire.contract_payload(event, url))

    return encode
