"""The contract's endpoints, served from our own jobs to any client of the vendor's API.

Fields and error texts are the contract's, in English for any `Accept-Language`: programs read
them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import NamedTuple
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils import translation

from denoise_relay.api import errors, history, idempotency, signed_urls
from denoise_relay.api.auth import job_of_key, require_api_key, viewer_of_key
from denoise_relay.exceptions import UploadRejected
from denoise_relay.frames import Frame, contract_payload, sse_message, to_json
from denoise_relay.jobs import actions, deletion, limits, options
from denoise_relay.jobs.idempotency import once
from denoise_relay.live.event_stream import sse_response
from denoise_relay.media.views import METHODS, recording_response
from denoise_relay.models import ApiKey, Job
from denoise_relay.presentation import Link, with_denoised_url

_UNREADABLE = (MultiPartParserError, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)
# What a form says for yes and no.
_BOOLEANS = {"": False, "0": False, "false": False, "1": True, "true": True}
# Longest number in a query parameter.
_DIGITS = 9


@require_api_key("GET", "HEAD", "POST")
async def denoise(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    """POST submits a file, GET lists the jobs of the key."""
    if request.method == "POST":
        return await _submit(request, key)
    return await _list(request, key)


@require_api_key("GET")
async def progress(request: HttpRequest, key: ApiKey, job_id: str) -> HttpResponseBase:
    """A job's live progress as SSE. The stream closes after the event that ends the job."""
    job = await job_of_key(key, job_id)
    encode = _contract_encoder(signed_urls.link_builder(request, key))
    return await sse_response(job.pk, None, encode, viewer_of_key(key))


@require_api_key("DELETE")
async def job(request: HttpRequest, key: ApiKey, job_id: str) -> HttpResponseBase:
    """An extension: delete a job and its recordings. 204; 404 when there is no such job, as after
    an earlier request."""
    await deletion.adelete(await job_of_key(key, job_id, "delete"))
    return HttpResponse(status=204)


@require_api_key("POST")
async def cancel(request: HttpRequest, key: ApiKey, job_id: str) -> HttpResponseBase:
    """An extension: end a job. Its ids, as for a submission; also if it has ended before."""
    job = await job_of_key(key, job_id, "change")
    await actions.acancel(job)
    return _submitted(job)


@require_api_key("POST")
async def whole(request: HttpRequest, key: ApiKey, job_id: str) -> HttpResponseBase:
    """An extension: denoise the whole recording of an excerpt, once, however often it is asked."""
    job = await job_of_key(key, job_id, "change")
    try:
        with translation.override("en"):
            origin = limits.origin_of(request)
            return _submitted(await actions.adenoise_whole(job, origin=origin))
    except UploadRejected as error:
        return errors.rejected(error, 0)
    except ValueError:
        text = "This job is for no excerpt"
        return errors.error_response(errors.NO_EXCERPT, text)
    except (IntegrityError, FileNotFoundError):
        return errors.error_response(errors.NOT_FOUND, "No such record")


async def audio(request: HttpRequest, job_id: str, kind: str) -> HttpResponseBase:
    """A recording by its signed URL; the same 404 if that is forged or expired, the job gone, or
    the key revoked for which it was signed."""
    if request.method not in METHODS:
        allow = {"Allow": ", ".join(METHODS)}
        return errors.error_response(errors.BAD_METHOD, "Method not allowed", headers=allow)
    try:
        find = sync_to_async(signed_urls.job_of_link)
        job = await find(UUID(job_id), kind, request.GET.get("sig", ""))
        # Programs fetch the file, they do not play it: no parts.
        return await recording_response(request, job, kind, attachment=True)
    except (Http404, ValueError):
        return errors.error_response(errors.NOT_FOUND, "No such record")


async def _submit(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    try:
        # In a thread: this parses up to 200 MB of form data and writes them to disk.
        form = await sync_to_async(_form_of, thread_sensitive=False)(request)
    except _UNREADABLE:
        form = _Form()
    if form.file is None:
        return errors.audio_required()
    if form.excerpt.lower() not in _BOOLEANS:
        return errors.error_response(errors.NO_EXCERPT, "excerpt must be true or false")
    idempotency_key = request.headers.get(idempotency.HEADER, "")
    if len(idempotency_key) > idempotency.KEY_LIMIT:
        text = f"{idempotency.HEADER} takes at most {idempotency.KEY_LIMIT} characters"
        return errors.error_response(errors.BAD_KEY, text)
    job_id = idempotency.job_id(key, idempotency_key)
    with translation.override("en"):
        try:
            chosen = options.parsed(form.max_attenuation_db, form.loudness_lufs)
            submit = partial(
                actions.asubmit,
                form.file,
                owner=key.user,
                api_key=key,
                job_id=job_id,
                preset=form.preset,
                excerpt=_BOOLEANS[form.excerpt.lower()],
                **chosen.columns(),
                origin=limits.origin_of(request),
            )
            job = await once(viewer_of_key(key), job_id, submit)
        except UploadRejected as error:
            return errors.rejected(error, form.file.size or 0)
    if job_id is not None and not idempotency.same_file(job, form.file):
        text = f"{idempotency.HEADER} was used for another file"
        return errors.error_response(errors.KEY_REUSED, text)
    if job_id is not None and options.of(job) != chosen:
        text = f"{idempotency.HEADER} was used with other options"
        return errors.error_response(errors.KEY_REUSED, text)
    return _submitted(job)


def _submitted(job: Job) -> HttpResponse:
    body = {"jobId": str(job.pk), "denoiseId": str(job.pk)}
    return HttpResponse(to_json(body), content_type="application/json")


class _Form(NamedTuple):
    """The contract's file, and our extensions: the name of the preset, whether to denoise an
    excerpt only, and options."""

    file: UploadedFile[bytes] | None = None
    preset: str = ""
    excerpt: str = ""
    max_attenuation_db: str = ""
    loudness_lufs: str = ""


def _form_of(request: HttpRequest) -> _Form:
    found = request.FILES.get("audio")
    return _Form(
        file=found if isinstance(found, UploadedFile) else None,
        preset=request.POST.get("preset", ""),
        excerpt=request.POST.get("excerpt", ""),
        max_attenuation_db=request.POST.get(options.STRENGTH, ""),
        loudness_lufs=request.POST.get(options.LOUDNESS, ""),
    )


async def _list(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    try:
        offset = _whole_number(request.GET.get("offset", ""), at_least=0, default=0)
        limit = _whole_number(request.GET.get("limit", ""), at_least=1, default=history.MAX_RECORDS)
    except ValueError:
        return errors.error_response(
            errors.BAD_PAGE,
            "offset must be a whole number >= 0 and limit a whole number >= 1",
        )
    pages = history.pages(viewer_of_key(key), offset, limit, signed_urls.link_builder(request, key))
    # Read before the headers are sent, so that a database failure is an error answer and not a
    # list that breaks off. Most lists have no second page.
    first: list[str] = await anext(pages, [])
    if request.method == "HEAD" or len(first) < history.PAGE_SIZE:
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
    """Parse a query parameter; raises `ValueError`."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise ValueError(text)
    if (number := int(text)) < at_least:
        raise ValueError(text)
    return number


def _contract_encoder(link: Link) -> Callable[[Frame], bytes]:
    """Encodes frames as the contract's SSE messages."""

    def encode(frame: Frame) -> bytes:
        # The URL in a frame is for pages and needs a session: programs get a signed one.
        return sse_message(contract_payload(with_denoised_url(frame.event, link)))

    return encode
