"""Serves recordings over HTTP."""

from __future__ import annotations

from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from denoise_relay import access, presentation
from denoise_relay.formats import extension_of, media_type_of
from denoise_relay.media import derived
from denoise_relay.media.responses import file_response, redirect
from denoise_relay.models import Job

METHODS = ("GET", "HEAD")
KINDS = ("original", "denoised")


async def audio(request: HttpRequest, job_id: UUID, kind: str) -> HttpResponseBase:
    """GET /jobs/<uuid>/audio/<kind>/, where `kind` is `original`, `denoised` or `comparison`: both
    as the channels of one file.

    With `?download=1` the browser saves the file. The 404 is the same for a recording that is
    unknown, not allowed or not done yet.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    job = await access.aget_job(await access.viewer_of(request), job_id)
    attachment = bool(request.GET.get("download"))
    if kind == derived.COMPARISON:
        return await _comparison(request, job, attachment=attachment)
    return await recording_response(request, job, kind, attachment=attachment)


async def recording_response(
    request: HttpRequest, job: Job, kind: str, *, attachment: bool
) -> HttpResponseBase:
    """The answer with one of a job's recordings. The caller has checked that it is allowed.

    An attachment is sent as requested; for playing, a large file is sent in parts. Raises
    `Http404` if there is no such recording.
    """
    name = _stored_name(job, kind)
    if not name:
        if kind == "denoised" and (url := presentation.upstream_url(job)):
            return redirect(url)
        raise Http404("No such job.")
    return await file_response(
        request,
        name,
        media_type=media_type_of(name),
        file_name=_display_name(job, kind),
        attachment=attachment,
    )


async def _comparison(request: HttpRequest, job: Job, *, attachment: bool) -> HttpResponseBase:
    name = await sync_to_async(derived.stored_name)(job, derived.COMPARISON)
    if not name:
        raise Http404("No such job.")
    return await file_response(
        request,
        name,
        media_type=media_type_of(name),
        file_name=f"comparison.{extension_of(name)}",
        attachment=attachment,
        # What comes from another server without its consent, the Web Audio API plays as silence.
        redirects=False,
    )


def _display_name(job: Job, kind: str) -> str:
    """The file's name when a browser saves it."""
    return job.file_name if kind == "original" else presentation.denoised_name(job)


def _stored_name(job: Job, kind: str) -> str:
    if kind not in KINDS:
        return ""
    return (job.original if kind == "original" else job.result).name or ""
