"""Serves the clean recording in the format and the mix that somebody wants."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from denoise_relay import access, presentation
from denoise_relay.formats import media_type_of
from denoise_relay.lifecycle import Status
from denoise_relay.media import derived, renditions
from denoise_relay.media.rendering import Busy, RenditionFailed, renderer
from denoise_relay.media.renditions import InvalidChoice, Rendition
from denoise_relay.media.responses import file_response
from denoise_relay.models import Job
from denoise_relay.runtime import database

METHODS = ("GET", "HEAD")
#: How long a request waits for what is being made. Proxies wait longer.
WAIT_SECONDS: Final = 20.0
#: When to ask again, for a browser that has waited, for programs, and where too many wait.
RELOAD_SECONDS: Final = 3
RETRY_SECONDS: Final = 5
BUSY_SECONDS: Final = 15


async def download(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """GET /jobs/<uuid>/download/?format=mp3&mix=0.8: the clean recording as an attachment.

    `format` is one of `engine.RENDER_FORMATS` (videos for videos only), `mix` goes from 0 (the
    original) to 1 (the default) in steps of 0.05. Made at the first request and kept. While that
    takes longer than `WAIT_SECONDS`, browsers get a page that reloads itself (202), programs 503
    with `Retry-After`. 400 for what there is not; 404 for a recording that is unknown, not allowed,
    not done or not stored here.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    job = await access.aget_job(await access.viewer_of(request), job_id)
    if job.status != Status.DONE or not job.result:
        raise Http404("No such job.")
    try:
        rendition = renditions.parse(request.GET, job)
        name = await _stored_name(job, rendition)
        if not name:
            # Others need the connection in the meantime.
            await database.release()
            name = await renderer().made(job, rendition, within=WAIT_SECONDS)
    except InvalidChoice as error:
        return await _answer(request, job, 400, "invalid", str(error))
    except RenditionFailed as error:
        return await _answer(request, job, error.status, "failed", _(str(error)))
    except Busy:
        text = _("Too many downloads are being made right now.")
        return await _answer(request, job, 503, "busy", text, BUSY_SECONDS)
    if not name:
        text = _("This download is being made.")
        return await _answer(request, job, 202, "preparing", text, RELOAD_SECONDS)
    return await file_response(
        request,
        name,
        media_type=media_type_of(name),
        file_name=rendition.file_name(job),
        attachment=True,
    )


async def _stored_name(job: Job, rendition: Rendition) -> str:
    if rendition.is_result(job):
        return job.result.name or ""
    return await sync_to_async(derived.stored_name)(job, rendition.kind)


async def _answer(
    request: HttpRequest,
    job: Job,
    status: int,
    code: str,
    text: str,
    again_seconds: int | None = None,
) -> HttpResponse:
    """A page for browsers, which reloads itself after `again_seconds`; JSON for programs, to which
    what is being made is not there yet (503)."""
    response: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        context = {"links": presentation.links_of(job), "text": text, "again": again_seconds}
        response = await sync_to_async(render)(
            request, "denoise_relay/preparing.html", context, status=status
        )
        if again_seconds:
            response["Refresh"] = str(again_seconds)
    else:
        response = JsonResponse(
            {"error": code, "message": text}, status=503 if again_seconds else status
        )
    if again_seconds:
        response["Retry-After"] = str(max(again_seconds, RETRY_SECONDS))
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["Accept"])
    return response
