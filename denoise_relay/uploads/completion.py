"""Turns a complete upload (`tus`) into its job, once."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

from asgiref.sync import sync_to_async
from django.db import IntegrityError
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.exceptions import RelayError, UploadDeferred, UploadRejected
from denoise_relay.jobs import actions
from denoise_relay.jobs.limits import Origin
from denoise_relay.jobs.options import Options
from denoise_relay.models import Job
from denoise_relay.uploads import spool, tus
from denoise_relay.uploads.spool import ResumableUpload, UploadLocked


class CompletionError(RelayError):
    """This upload cannot become a job now. `status` is that of the HTTP answer."""

    def __init__(self, status: int, code: str, message: str, retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_seconds = retry_seconds

    def response(self) -> HttpResponse:
        """The answer, with the same body as for a file that a form sent and that was rejected."""
        headers = {"Retry-After": str(self.retry_seconds)} if self.retry_seconds else None
        return tus.error_response(self.status, self.code, str(self), headers)


async def complete(
    viewer: Viewer,
    upload_id: str,
    preset: str = "",
    *,
    excerpt: bool = False,
    options: Options | None = None,
    origin: Origin | None = None,
) -> Job:
    """Return the job of an upload of this viewer, created now or by an earlier request. So a
    client that lost the answer may ask again. `preset`, `excerpt`, `options` and `origin` are for a
    job that is created now (`actions.asubmit`).

    Raises `UploadRejected` after deleting the upload, and `CompletionError`: 404 unknown upload,
    409 parts are missing, 423 another request is completing it, 503 the server is busy,
    429 too many jobs are waiting. (With these two the upload is kept.)
    """
    owner = access.upload_owner(viewer)
    upload = await sync_to_async(spool.find, thread_sensitive=False)(owner, upload_id)
    # Read after the spool: an upload that has ended in between has left a job.
    job = await _existing_job(viewer, upload_id)
    if upload is None:
        if job is None:
            unknown = _("This upload is not known. Send the file again.")
            raise CompletionError(404, "unknown_upload", unknown)
        return job
    if job is None:
        if not upload.complete:
            raise CompletionError(409, "incomplete", _("Parts of this file are missing."))
        columns = (options or Options()).columns()
        submit = partial(actions.asubmit, preset=preset, excerpt=excerpt, **columns, origin=origin)
        job = await _submit(viewer, upload, submit)
    await sync_to_async(spool.discard, thread_sensitive=False)(upload)
    return job


async def _submit(
    viewer: Viewer, upload: ResumableUpload, submit: Callable[..., Awaitable[Job]]
) -> Job:
    with contextlib.ExitStack() as stack:
        try:
            # Entered in a thread, because it uses the disk. Leaving only renames and closes.
            enter = sync_to_async(stack.enter_context, thread_sensitive=False)
            file = await enter(spool.complete_file(upload))
            owner = viewer.logged_in_user
            visitor = "" if owner else viewer.visitor
            job_id = spool.job_id(upload.id)
            return await submit(file, owner=owner, visitor=visitor, job_id=job_id)
        except UploadDeferred as error:
            raise CompletionError(
                error.status, error.code, str(error), error.retry_seconds
            ) from error
        except UploadRejected:
            await sync_to_async(spool.discard, thread_sensitive=False)(upload)
            raise
        except (UploadLocked, IntegrityError, FileNotFoundError) as error:
            # An earlier request, whose client has gone, has made the job or is about to.
            job = await _existing_job(viewer, upload.id)
            if job is None:
                busy = _("Another request is finishing this upload.")
                raise CompletionError(423, "busy", busy, 1) from error
            return job


async def _existing_job(viewer: Viewer, upload_id: str) -> Job | None:
    job_id = spool.job_id(upload_id)
    if job_id is None:
        return None
    try:
        return await access.aget_job(viewer, job_id)
    except Http404:
        return None
