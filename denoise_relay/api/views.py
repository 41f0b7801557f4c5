"""The contract, served from our own jobs: any client of the vendor's API can talk to us.

Errors and fields are worded as the contract words them, in English whatever
`Accept-Language` says: programs read them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils import translation

from denoise_relay.api import errors, history, signed_urls
from denoise_relay.api.auth import job_of_key, keyed, viewer_of_key
from denoise_relay.events import Stage
from denoise_relay.exceptions import UploadRejected
from denoise_relay.frames import Frame, contract_payload, sse_message, to_json
from denoise_relay.jobs import actions
from denoise_relay.live.event_stream import event_stream, sse_response
from denoise_relay.media.views import METHODS, recording
from denoise_relay.models import ApiKey, Job
from denoise_relay.presentation import Link, denoised_url
from denoise_relay.runtime import database

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
    encode = _contract_frames(signed_urls.linker(request))
    await database.release()
    return sse_response(event_stream(job.pk, None, encode))


async def audio(request: HttpRequest, job_id: str, kind: str) -> HttpResponseBase:
    """A recording by its signed link; what is forged, expired or gone is the same 404."""
    if request.method not in METHODS:
        allow = {"Allow": ", ".join(METHODS)}
        return errors.error_response(errors.BAD_METHOD, "Method not allowed", headers=allow)
    try:
        job_uuid = UUID(job_id)
        if not signed_urls.valid(job_uuid, kind, request.GET.get("sig", "")):
            raise Http404("No such job.")
        job = await Job.objects.filter(pk=job_uuid).afirst()
        if job is None:
            raise Http404("No such job.")
        # Programs fetch the file rather than play it: they get all they ask for.
        return await recording(request, job, kind, attachment=True)
    except (Http404, ValueError):
        return errors.error_response(errors.NOT_FOUND, "No such record")


async def _submit(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    try:
        # In a thread: up to 200 MB of form are parsed and written to disk here.
        file = await sync_to_async(_file_of, thread_sensitive=False)(request)
    except _UNREADABLE:
        file = None
    if file is None:
        return errors.audio_required()
    with translation.override("en"):
        try:
            job = await actions.asubmit(file, owner=key.user, api_key=key)
        except UploadRejected as refusal:
            return errors.rejected(refusal, file.size or 0)
    body = {"jobId": str(job.pk), "denoiseId": str(job.pk)}
    return HttpResponse(to_json(body), content_type="application/json")


def _file_of(request: HttpRequest) -> UploadedFile[bytes] | None:
    found = request.FILES.get("audio")
    return found if isinstance(found, UploadedFile) else None


async def _list(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    try:
        offset = _whole_number(request.GET.get("offset", ""), at_least=0, default=0)
        limit = _whole_number(request.GET.get("limit", ""), at_least=1, default=history.CEILING)
    except ValueError:
        return errors.error_response(
            errors.BAD_PAGE,
            "offset must be a whole number >= 0 and limit a whole number >= 1",
        )
    pages = history.pages(viewer_of_key(key), offset, limit, signed_urls.linker(request))
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


def _contract_frames(link: Link) -> Callable[[Frame], bytes]:
    """Word frames as the contract does."""

    def encode(frame: Frame) -> bytes:
        event = frame.event
        if event.stage is Stage.DONE:
            # Of a recording stored here, the page's own URL would ask for a session.
            event = replace(event, url=denoised_url(event.job, event.url, link))
        return sse_message(contract_payload(event))

    return encode
