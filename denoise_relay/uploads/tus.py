"""Resumable uploads over HTTP: tus 1.0 (https://tus.io/protocols/resumable-upload), the core
protocol with the extensions creation, termination and expiration.

A 200 MB file in one request costs Daphne its size in memory, because it queues the whole body;
in parts it costs one part. To make a job of a complete upload, a client POSTs the upload page
with `upload=<id>` instead of a file (`completion`), and repeats this if the answer is lost.
"""

from __future__ import annotations

import base64
import binascii
import errno
import functools
from collections.abc import Callable, Coroutine
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext as _

from denoise_relay import access
from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import UploadDeferred
from denoise_relay.jobs import limits, validation
from denoise_relay.models import Job
from denoise_relay.uploads import spool
from denoise_relay.uploads.spool import (
    ResumableUpload,
    TooManyUploads,
    UploadLocked,
    WrongOffset,
)

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
PART_TYPE = "application/offset+octet-stream"
#: Longest `Upload-Metadata` that is accepted.
METADATA_BYTES = 4096
#: Error numbers of a disk without room, or without room for this user.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

View = Callable[..., Coroutine[Any, Any, HttpResponse]]


def _tus_view(view: View) -> View:
    """Answer OPTIONS, refuse other protocol versions with 412, add the headers of every answer."""

    @functools.wraps(view)
    async def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        # For clients behind proxies that do not pass PATCH on. Only for POST, whose CSRF token
        # has been checked: other sites could send a GET that stands for DELETE.
        if request.method == "POST":
            request.method = request.headers.get("X-HTTP-Method-Override", "POST").upper()
        if request.method == "OPTIONS":
            response = _capabilities()
        elif request.headers.get("Tus-Resumable") != VERSION:
            response = _answer(412, {"Tus-Version": VERSION}, f"Send Tus-Resumable: {VERSION}.")
        else:
            response = await view(request, **kwargs)
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


def _capabilities() -> HttpResponse:
    limit = str(relay_settings().MAX_UPLOAD_BYTES)
    return _answer(
        204, {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": limit}
    )


@_tus_view
async def collection(request: HttpRequest) -> HttpResponse:
    """POST creates an upload: 201 with its `Location`. Errors that a person should read are JSON,
    with the same body as for a file that a form sent."""
    if request.method != "POST":
        return _answer(405, {"Allow": "OPTIONS, POST"})
    length = _whole_number(request.headers.get("Upload-Length", ""))
    if not length:
        return _answer(400, text="Upload-Length takes the file's size in bytes, above 0.")
    limit = relay_settings().MAX_UPLOAD_BYTES
    if length > limit:
        headers = {"Tus-Max-Size": str(limit)}
        return error_response(413, "too_large", _("This file is too large."), headers)
    metadata = request.headers.get("Upload-Metadata", "")
    try:
        name = validation.display_name(_parse_metadata(metadata).get("filename", ""))
    except ValueError:
        return _answer(400, text="Upload-Metadata takes `key base64` pairs, up to 4 KB.")
    viewer = await access.with_visitor(request, await access.viewer_of(request))
    user = viewer.logged_in_user
    made_of_it = Job(owner=cast(Any, user), visitor="" if user else viewer.visitor)
    create = sync_to_async(spool.create, thread_sensitive=False)
    try:
        # Before the file is sent, and once more when it has become a job.
        await limits.acheck(made_of_it, limits.origin_of(request))
        created = await create(access.upload_owner(viewer), name, length, metadata)
    except UploadDeferred as error:
        headers = {"Retry-After": str(error.retry_seconds)}
        return error_response(error.status, error.code, str(error), headers)
    except TooManyUploads:
        message = _("You have too many unfinished uploads. Try again later.")
        return error_response(429, "too_many", message, {"Retry-After": "60"})
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return error_response(507, "no_space", _("The server has no room for this file."))
    location = reverse("denoise_relay:tus_upload", args=[created.id])
    return _answer(201, {"Location": location, **_expiry(created)})


@_tus_view
async def upload(request: HttpRequest, upload_id: str) -> HttpResponse:
    """HEAD returns the offset, PATCH appends a part, DELETE deletes the upload."""
    if request.method not in ("DELETE", "HEAD", "PATCH"):
        return _answer(405, {"Allow": "DELETE, HEAD, OPTIONS, PATCH"})
    owner = access.upload_owner(await access.viewer_of(request))
    found = await sync_to_async(spool.find, thread_sensitive=False)(owner, upload_id)
    if found is None:
        return _answer(404)
    if request.method == "PATCH":
        return await _patch(request, found)
    if request.method == "DELETE":
        await sync_to_async(spool.discard, thread_sensitive=False)(found)
        return _answer(204)
    headers = {"Upload-Offset": str(found.offset), "Upload-Length": str(found.length)}
    if found.metadata:
        headers["Upload-Metadata"] = found.metadata
    return _answer(200, headers | _expiry(found))


async def _patch(request: HttpRequest, found: ResumableUpload) -> HttpResponse:
    limit = relay_settings().UPLOAD_PART_BYTES
    if request.content_type != PART_TYPE:
        return _answer(415, text=f"Send {PART_TYPE}.")
    offset = _whole_number(request.headers.get("Upload-Offset", ""))
    if offset is None:
        return _answer(400, text="Upload-Offset takes a number of bytes.")
    size = _whole_number(request.headers.get("Content-Length", ""))
    if size is None:
        return _answer(411, text="Send Content-Length.")
    if size > limit:
        # The server has read the body already. This makes clients send less the next time.
        return _answer(413, text=f"Send at most {limit} bytes in one part.")
    if offset + size > found.length:
        return _answer(400, text="The part goes past the announced length.")
    append = sync_to_async(spool.append, thread_sensitive=False)
    try:
        end = await append(found, offset, request.read, limit)
    except WrongOffset as error:
        return _answer(409, {"Upload-Offset": str(error.offset)})
    except UploadLocked:
        return _answer(423, {"Retry-After": "1"}, "Another request is writing.")
    except FileNotFoundError:
        return _answer(404)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        # The bytes that fitted are kept; HEAD returns the offset.
        return _answer(507, {"Retry-After": "60"}, "The disk is full.")
    return _answer(204, {"Upload-Offset": str(end), **_expiry(found)})


def _parse_metadata(header: str) -> dict[str, str]:
    """Parse `Upload-Metadata`: pairs of a key and a Base64 value, which may be missing, separated
    by commas. Raises `ValueError`."""
    # HEAD sends the header back as it came, so it may only have characters of a header.
    if len(header) > METADATA_BYTES or not header.isascii() or not header.isprintable():
        raise ValueError("no metadata")
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    try:
        return {
            key: base64.b64decode(value, validate=True).decode(errors="replace")
            for key, _space, value in pairs
        }
    except binascii.Error as error:
        raise ValueError("not Base64") from error


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _expiry(upload: ResumableUpload) -> dict[str, str]:
    return {"Upload-Expires": http_date(upload.expires)}


def _answer(status: int, headers: dict[str, str] | None = None, text: str = "") -> HttpResponse:
    return HttpResponse(text, status=status, headers=headers, content_type="text/plain")


def error_response(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> HttpResponse:
    """An error for people, with the same body as for a file that a form sent."""
    body = {"errors": [{"code": code, "message": message}]}
    return JsonResponse(body, status=status, headers=headers)
