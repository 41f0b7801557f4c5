"""The upload page, and the JSON that its script reads.

Views are asynchronous; templates are rendered in Django's database thread, because a
site's own base template may use `request.user` or anything else that queries the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from denoise_relay import access, presentation
from denoise_relay.access import Viewer
from denoise_relay.backends import presets
from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import UploadDeferred, UploadRejected
from denoise_relay.formats import AUDIO, KNOWN, VIDEO
from denoise_relay.jobs import actions, excerpts, form_tokens, limits, lists, validation
from denoise_relay.jobs.idempotency import once
from denoise_relay.jobs.limits import Origin
from denoise_relay.models import Job
from denoise_relay.uploads import completion
from denoise_relay.uploads.completion import CompletionError
from denoise_relay.views import upload_form

#: Jobs on one page of the list; a shared socket may watch MAX_WATCHES of them.
PAGE_SIZE = 20


class Rejection(NamedTuple):
    """A file that was not accepted; `name` is empty when no file was sent."""

    name: str
    code: str
    message: str
    status: int = 400
    #: Seconds after which the same file may be accepted; 0 if it never is.
    retry_seconds: int = 0

    @classmethod
    def of(cls, error: UploadRejected, name: str = "") -> Rejection:
        later = (error.status, error.retry_seconds) if isinstance(error, UploadDeferred) else ()
        return cls(name, error.code, str(error), *later)


@dataclass(kw_only=True, slots=True)
class FormResult:
    """The outcome of each file of one form: a rejected file does not stop the others."""

    jobs: list[Job] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def refuse(self, response: HttpResponse) -> HttpResponse:
        """Give the answer the status of its first rejection."""
        response.status_code = self.rejections[0].status
        if seconds := self.rejections[0].retry_seconds:
            response["Retry-After"] = str(seconds)
        return response


@cache_control(private=True, no_cache=True)
@require_http_methods(["GET", "HEAD", "POST"])
async def upload(request: HttpRequest) -> HttpResponse:
    """GET: the form and the viewer's jobs. POST: files in `audio`, or `sample=1`, or
    `upload=<id>` of a complete resumable upload (`uploads.tus`), each with `preset` if one was
    chosen, `excerpt=1` to try 30 seconds first, and options (`jobs.options`). With `form_token`,
    the same form sent again gets the same answer (`jobs.form_tokens`).

    A form gets 302 (to the job, or to this page for several jobs) or 400 with the page;
    `Accept: application/json` gets 201 `{"job", "url", …}` or 400 `{"errors": […]}`. Where the
    server is busy, 503 with `Retry-After` in place of 400; 429 where too many wait (`jobs.limits`).
    """
    viewer = await access.viewer_of(request)
    if request.method == "GET":
        viewer = await access.with_visitor(request, viewer)
    if request.method != "POST":
        return await _upload_page(request, viewer)
    fields = await sync_to_async(upload_form.fields_of, thread_sensitive=False)(request)
    if fields.upload_id:
        return await _complete(viewer, fields, limits.origin_of(request))
    files = await sync_to_async(upload_form.files_of, thread_sensitive=False)(request)
    if files:
        viewer = await access.with_visitor(request, viewer)
    result = await _receive(files, viewer, fields, limits.origin_of(request))
    if "application/json" in request.headers.get("Accept", ""):
        return _result_json(result)
    if result.rejections:
        return await _upload_page(request, viewer, result)
    single = result.jobs[0] if len(result.jobs) == 1 else None
    target = ("denoise_relay:job", [single.pk]) if single else ("denoise_relay:upload", [])
    return HttpResponseRedirect(reverse(target[0], args=target[1]))


async def _complete(viewer: Viewer, fields: upload_form.Fields, origin: Origin) -> HttpResponse:
    """Only scripts make resumable uploads, so the answer is always JSON."""
    try:
        job = await completion.complete(
            viewer,
            fields.upload_id,
            fields.preset,
            excerpt=fields.excerpt,
            options=fields.options(),
            origin=origin,
        )
        return _result_json(FormResult(jobs=[job]))
    except UploadRejected as error:
        return _result_json(FormResult(rejections=[Rejection.of(error)]))
    except CompletionError as error:
        return error.response()


async def _receive(
    files: Sequence[File[bytes]], viewer: Viewer, fields: upload_form.Fields, origin: Origin
) -> FormResult:
    result = FormResult()
    if not files:
        message = _("Choose a recording first.")
        result.rejections.append(Rejection(name="", code="required", message=message))
        return result
    try:
        options = fields.options()
    except UploadRejected as error:
        result.rejections.append(Rejection.of(error))
        return result
    owner = viewer.logged_in_user
    visitor = "" if owner else viewer.visitor
    ids = await sync_to_async(upload_form.job_ids, thread_sensitive=False)(files, viewer, fields)
    for file, job_id in zip(files, ids, strict=True):
        submit = partial(
            actions.asubmit,
            file,
            owner=owner,
            visitor=visitor,
            job_id=job_id,
            preset=fields.preset,
            excerpt=fields.excerpt,
            **options.columns(),
            origin=origin,
        )
        try:
            result.jobs.append(await once(viewer, job_id, submit))
        except UploadRejected as error:
            name = validation.display_name(file.name or "")
            result.rejections.append(Rejection.of(error, name))
    return result


def _result_json(result: FormResult) -> HttpResponse:
    errors = [
        {"code": r.code, "message": r.message, "file_name": r.name} for r in result.rejections
    ]
    if not result.jobs:
        return result.refuse(JsonResponse({"errors": errors}))
    jobs = [_job_json(job) for job in result.jobs]
    body = jobs[0] | ({"jobs": jobs} if len(jobs) > 1 else {})
    return JsonResponse(body | ({"errors": errors} if errors else {}), status=201)


def _job_json(job: Job) -> dict[str, Any]:
    """A new job for a script: `url` is its page, `links` and `state` feed a live row."""
    links = presentation.links_of(job)
    return {
        "job": str(job.pk),
        "url": links.page,
        "links": {"status": links.status, "events": links.events, "socket": links.socket},
        "state": presentation.status_of(job),
    }


async def _upload_page(
    request: HttpRequest, viewer: Viewer, result: FormResult | None = None
) -> HttpResponse:
    return await sync_to_async(_render_upload)(request, viewer, result or FormResult())


def _render_upload(request: HttpRequest, viewer: Viewer, result: FormResult) -> HttpResponse:
    jobs = cast("Sequence[Job]", lists.listed(viewer))
    page = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    settings = relay_settings()
    size_limit = presentation.size(settings.MAX_UPLOAD_BYTES)
    context = {
        "page": page,
        "pages": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
        "refusals": result.rejections,
        "taken": result.jobs,
        "field": upload_form.FIELD,
        "form_token": form_tokens.new(),
        "preset_field": upload_form.PRESET_FIELD,
        "excerpt_field": upload_form.EXCERPT_FIELD if excerpts.available() else "",
        "presets": presets.choices(),
        "option_fields": upload_form.option_fields(request),
        # After a refusal, the page shows what was chosen.
        "preset": request.POST.get(upload_form.PRESET_FIELD) or presets.default_name(),
        "extensions": sorted(KNOWN),
        # For templates of a site: ours says "any", because content decides.
        "audio_formats": ", ".join(sorted(name.upper() for name in AUDIO)),
        "video_formats": ", ".join(sorted(name.upper() for name in VIDEO)),
        # As text: scripts read these, and a template would add the language's separators.
        "max_bytes": str(settings.MAX_UPLOAD_BYTES),
        "part_bytes": str(settings.UPLOAD_PART_BYTES),
        "max_size": size_limit,
        "max_minutes": round(settings.MAX_DURATION_SECONDS / 60),
        "texts": presentation.upload_texts(size_limit),
        "blank": Job(),
    }
    response = render(request, "denoise_relay/upload.html", context)
    return result.refuse(response) if result.rejections else response
