"""A job's page, its status as JSON, and what its owner does with it: cancel, retry, delete."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from denoise_relay import access, presentation
from denoise_relay.access import Viewer
from denoise_relay.backends import presets
from denoise_relay.exceptions import NotEnded, RecordingDeleted, UploadDeferred, UploadRejected
from denoise_relay.jobs import actions, deletion, fetching, form_tokens, limits
from denoise_relay.jobs.idempotency import once
from denoise_relay.journal import read
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job

#: How often a page without JavaScript reloads itself while its job runs.
REFRESH_SECONDS = 3


# Cached for this viewer only, and checked with the server each time. Not `no-store`, which would
# keep the page out of the browser's back/forward cache.
@cache_control(private=True, no_cache=True)
@require_http_methods(["GET", "HEAD"])
async def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The page of one job: complete without JavaScript, and live with it."""
    viewer = await access.viewer_of(request)
    found = await access.aget_job(viewer, job_id)
    return await sync_to_async(_render_job)(request, viewer, found)


def _render_job(
    request: HttpRequest, viewer: Viewer, found: Job, problem: str = "", status: int = 400
) -> HttpResponse:
    context = {
        "job": found,
        "preset": presets.label_of(found.preset),
        "problem": problem,
        "may_change": access.allowed(viewer, found, "change"),
        "may_delete": access.allowed(viewer, found, "delete"),
        "links": presentation.links_of(found),
        "refresh_seconds": REFRESH_SECONDS,
    }
    return render(request, "denoise_relay/job.html", context, status=status if problem else 200)


async def _refuse(
    request: HttpRequest, viewer: Viewer, found: Job, error: UploadRejected
) -> HttpResponse:
    """The job's page, with what was refused."""
    later = error if isinstance(error, UploadDeferred) else None
    status = later.status if later else 400
    response = await sync_to_async(_render_job)(request, viewer, found, str(error), status)
    if later:
        response["Retry-After"] = str(later.retry_seconds)
    return response


@require_GET
async def status(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """The job as JSON (`presentation.status_of`)."""
    found = await access.aget_job(await access.viewer_of(request), job_id)
    newest = await sync_to_async(read.latest)(found.pk)
    body = presentation.status_of(found, newest.at if newest else None)
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


@require_POST
async def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """End the job; a job that has ended stays as it is. 302 to its page."""
    found = await access.aget_job(await access.viewer_of(request), job_id, "change")
    await actions.acancel(found)
    return HttpResponseRedirect(reverse("denoise_relay:job", args=[found.pk]))


@require_POST
async def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Process the same recording again, as a new job, with the preset `preset` or else with the
    same one. 302 to the new job's page; 400 with the job's page if there is no such preset, 429 if
    too many of this person wait (`jobs.limits`).

    If the backend may have the result of a job that failed, the new job only fetches it, at no cost
    (`jobs.fetching`), unless the form has `preset` or `anew`; that of a canceled one, only if the
    form has `fetch`, because the backend may have been told to stop. An active job is not retried:
    302 to its own page. With `form_token`, the same form sent again leads to the same new job
    (`jobs.form_tokens`).
    """
    viewer = await access.viewer_of(request)
    found = await access.aget_job(viewer, job_id, "change")
    try:
        fields = await sync_to_async(_retry_fields, thread_sensitive=False)(request)
        origin = limits.origin_of(request)
        wanted = fields.fetch or (found.status == Status.ERROR and not fields.anew)
        fetch = found.fetchable and wanted and not fields.preset
        kind = "fetch" if fetch else "retry"
        new_id = form_tokens.job_id(viewer, fields.token, kind, str(found.pk), fields.preset)
        make = (
            partial(fetching.afetch_again, found, job_id=new_id, origin=origin)
            if fetch
            else partial(actions.aretry, found, fields.preset, job_id=new_id, origin=origin)
        )
        retried = await once(viewer, new_id, make)
    except UploadRejected as error:
        return await _refuse(request, viewer, found, error)
    except NotEnded:
        retried = found
    except (IntegrityError, RecordingDeleted) as error:
        # `IntegrityError`: the new row refers to the old job, which was pruned since.
        raise Http404("The recording has been deleted.") from error
    return HttpResponseRedirect(reverse("denoise_relay:job", args=[retried.pk]))


@require_POST
async def whole(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Process the whole recording of an excerpt, as a new job, once. 302 to that job's page."""
    viewer = await access.viewer_of(request)
    found = await access.aget_job(viewer, job_id, "change")
    try:
        made = await actions.adenoise_whole(found, origin=limits.origin_of(request))
    except UploadRejected as error:
        return await _refuse(request, viewer, found, error)
    except ValueError as error:
        raise Http404("This job is for no excerpt.") from error
    except (IntegrityError, FileNotFoundError) as error:
        raise Http404("The recording has been deleted.") from error
    return HttpResponseRedirect(reverse("denoise_relay:job", args=[made.pk]))


@cache_control(private=True, no_cache=True)
@require_http_methods(["GET", "HEAD", "POST"])
async def delete(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """GET: a page that asks, for browsers without the dialog of the job's page. POST: delete the
    job and its recordings; 302 to the list."""
    found = await access.aget_job(await access.viewer_of(request), job_id, "delete")
    if request.method == "POST":
        await deletion.adelete(found)
        return HttpResponseRedirect(reverse("denoise_relay:upload"))
    context = {"job": found, "links": presentation.links_of(found)}
    return await sync_to_async(render)(request, "denoise_relay/delete.html", context)


class RetryFields(NamedTuple):
    """What the form says."""

    preset: str
    token: str
    #: Submit it anew, though the backend may have a result.
    anew: bool
    #: Only fetch the result.
    fetch: bool


def _retry_fields(request: HttpRequest) -> RetryFields:
    form = request.POST
    return RetryFields(
        preset=form.get("preset", ""),
        token=form.get(form_tokens.FIELD, ""),
        anew=bool(form.get("anew")),
        fetch=bool(form.get("fetch")),
    )
