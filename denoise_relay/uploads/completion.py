"""Uploads that came in parts (`tus.py`) and are whole now: each becomes its job, once."""

from __future__ import annotations

import contextlib

from asgiref.sync import sync_to_async
from django.db import IntegrityError
from django.http import Http404, JsonResponse
from django.utils.translation import gettext as _

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.exceptions import RelayError, UploadRejected
from denoise_relay.jobs import actions
from denoise_relay.models import Job
from denoise_relay.uploads import spool, tus
from denoise_relay.uploads.spool import Pending, UploadBusy


class NotReady(RelayError):
    """This upload cannot become a job now; `status` says whether it ever will."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


async def job_of(viewer: Viewer, upload_id: str) -> Job:
    """The job of an upload of this viewer, made now or found: a client whose answer was lost
    asks again.

    Raises `UploadRejected`, after which the upload is gone, and `NotReady`: 404 unknown,
    409 parts are missing, 423 another request is at it.
    """
    pending = await tus.in_thread(spool.find, access.upload_owner(viewer), upload_id)
    # Asked after the spool: what ended in between has left a job.
    made = await _existing(viewer, upload_id)
    if pending is None:
        if made is None:
            unknown = _("This upload is not known. Send the file again.")
            raise NotReady(404, "unknown_upload", unknown)
        return made
    if made is None:
        if not pending.whole:
            raise NotReady(409, "incomplete", _("Parts of this file are missing."))
        made = await _submitted(viewer, pending)
    await tus.in_thread(spool.discard, pending)
    return made


def not_ready(error: NotReady) -> JsonResponse:
    """The answer to `NotReady`, shaped as a refusal of a form's file is."""
    body = {"errors": [{"code": error.code, "message": str(error)}]}
    headers = {"Retry-After": "1"} if error.status == 423 else None
    return JsonResponse(body, status=error.status, headers=headers)


async def _submitted(viewer: Viewer, pending: Pending) -> Job:
    number = spool.job_id(pending.id)
    with contextlib.ExitStack() as stack:
        try:
            # In a thread for the disk's sake. Leaving only renames and closes.
            file = await tus.in_thread(stack.enter_context, spool.finishing(pending))
            owner = viewer.user if viewer.user.is_authenticated else None
            visitor = "" if owner else viewer.visitor
            return await actions.asubmit(file, owner=owner, visitor=visitor, job_id=number)
        except UploadRejected:
            await tus.in_thread(spool.discard, pending)
            raise
        except (UploadBusy, IntegrityError, FileNotFoundError) as error:
            # An earlier request, whose client has gone: it has made the job, or is about to.
            made = await _existing(viewer, pending.id)
            if made is None:
                busy = _("Another request is finishing this upload.")
                raise NotReady(423, "busy", busy) from error
            return made


async def _existing(viewer: Viewer, upload_id: str) -> Job | None:
    number = spool.job_id(upload_id)
    if number is None:
        return None
    try:
        return await sync_to_async(access.get_job)(viewer, number)
    except Http404:
        return None
