"""Resumable uploads: tus 1.0 (https://tus.io/protocols/resumable-upload), core with the
extensions creation, termination and expiration.

A 200 MB file in one request costs Daphne its size in memory, because it queues the whole
body; in parts it costs a part. A whole upload becomes a job by the form's own way: POST the
upload page with `upload=<id>` instead of a file, as often as the answer is lost.
"""

from __future__ import annotations

import base64
import binascii
import errno
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext as _

from denoise_relay import access
from denoise_relay.conf import relay_settings
from denoise_relay.jobs import validation
from denoise_relay.uploads import spool
from denoise_relay.uploads.spool import NoSpace, Pending, TooManyUploads, UploadBusy, WrongOffset

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
PART_TYPE = "application/offset+octet-stream"
METADATA_BYTES = 4096
FULL = (errno.ENOSPC, errno.EDQUOT)

View = Callable[..., Coroutine[Any, Any, HttpResponse]]
T = TypeVar("T")


def _speaks_tus(view: View) -> View:
    """Answer OPTIONS, refuse other versions with 412, and sign every answer."""

    @functools.wraps(view)
    async def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        # For clients behind proxies that know no PATCH. Of a POST only, which CSRF has
        # checked: a GET that may call itself DELETE would be anybody's.
        if request.method == "POST":
            request.method = request.headers.get("X-HTTP-Method-Override", "POST").upper()
        if request.method == "OPTIONS":
            response = _abilities()
        elif request.headers.get("Tus-Resumable") != VERSION:
            response = _answer(412, {"Tus-Version": VERSION}, f"Send Tus-Resumable: {VERSION}.")
        else:
            response = await view(request, **kwargs)
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


def _abilities() -> HttpResponse:
    limit = str(relay_settings().MAX_UPLOAD_BYTES)
    return _answer(
        204, {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": limit}
    )


@_speaks_tus
async def collection(request: HttpRequest) -> HttpResponse:
    """POST: announce an upload; 201 with its `Location`. What a person should read is JSON,
    shaped as the form's refusals are."""
    if request.method != "POST":
        return _answer(405, {"Allow": "OPTIONS, POST"})
    length = _whole_number(request.headers.get("Upload-Length", ""))
    if not length:
        return _answer(400, text="Upload-Length takes the file's size in bytes, above 0.")
    limit = relay_settings().MAX_UPLOAD_BYTES
    if length > limit:
        return _refuse(413, "too_large", _("This file is too large."), {"Tus-Max-Size": str(limit)})
    sent = request.headers.get("Upload-Metadata", "")
    try:
        name = validation.display_name(_metadata(sent).get("filename", ""))
    except ValueError:
        return _answer(400, text="Upload-Metadata takes `key base64` pairs, up to 4 KB.")
    owner = access.upload_owner(await access.viewer_of(request)) or access.visitor_owner(
        await access.visitor_token(request)
    )
    try:
        pending = await in_thread(spool.create, owner, name, length, sent)
    except TooManyUploads:
        message = _("You have too many unfinished uploads. Try again later.")
        return _refuse(429, "too_many", message, {"Retry-After": "60"})
    except (NoSpace, OSError) as error:
        if isinstance(error, OSError) and error.errno not in FULL:
            raise
        return _refuse(507, "no_space", _("The server has no room for this file."))
    location = reverse("denoise_relay:tus_upload", args=[pending.id])
    return _answer(201, {"Location": location, **_expiry(pending)})


@_speaks_tus
async def upload(request: HttpRequest, upload_id: str) -> HttpResponse:
    """HEAD: where it stands. PATCH: a part. DELETE: forget it."""
    if request.method not in ("DELETE", "HEAD", "PATCH"):
        return _answer(405, {"Allow": "DELETE, HEAD, OPTIONS, PATCH"})
    owner = access.upload_owner(await access.viewer_of(request))
    pending = await in_thread(spool.find, owner, upload_id)
    if pending is None:
        return _answer(404)
    if request.method == "PATCH":
        return await _patch(request, pending)
    if request.method == "DELETE":
        await in_thread(spool.discard, pending)
        return _answer(204)
    where = {"Upload-Offset": str(pending.offset), "Upload-Length": str(pending.length)}
    told = {"Upload-Metadata": pending.metadata} if pending.metadata else {}
    return _answer(200, {**where, **told, **_expiry(pending)})


async def _patch(request: HttpRequest, pending: Pending) -> HttpResponse:
    most = relay_settings().UPLOAD_PART_BYTES
    if request.content_type != PART_TYPE:
        return _answer(415, text=f"Send {PART_TYPE}.")
    offset = _whole_number(request.headers.get("Upload-Offset", ""))
    if offset is None:
        return _answer(400, text="Upload-Offset takes a number of bytes.")
    size = _whole_number(request.headers.get("Content-Length", ""))
    if size is None:
        return _answer(411, text="Send Content-Length.")
    if size > most:
        # The server has read it already; what is bounded is what clients learn to send.
        return _answer(413, text=f"Send at most {most} bytes in one part.")
    if offset + size > pending.length:
        return _answer(400, text="The part goes past the announced length.")
    try:
        stands = await in_thread(spool.append, pending, offset, request, most)
    except WrongOffset as error:
        return _answer(409, {"Upload-Offset": str(error.offset)})
    except UploadBusy:
        return _answer(423, {"Retry-After": "1"}, "Another request is writing.")
    except FileNotFoundError:
        return _answer(404)
    except OSError as error:
        if error.errno not in FULL:
            raise
        # What fitted has been kept: HEAD says how much.
        return _answer(507, {"Retry-After": "60"}, "The disk is full.")
    return _answer(204, {"Upload-Offset": str(stands), **_expiry(pending)})


def _metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: comma-separated pairs of a key and its Base64 value, if it has one."""
    # Stored, and sent back by HEAD: no more than the protocol's own letters.
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


def _expiry(pending: Pending) -> dict[str, str]:
    return {"Upload-Expires": http_date(pending.expires)}


def _answer(status: int, headers: dict[str, str] | None = None, text: str = "") -> HttpResponse:
    return HttpResponse(text, status=status, headers=headers, content_type="text/plain")


def _refuse(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> HttpResponse:
    body = {"errors": [{"code": code, "message": message}]}
    return JsonResponse(body, status=status, headers=headers)


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Disk work beside the loop; no ORM, so any thread will do."""
    return await sync_to_async(function, thread_sensitive=False)(*args)
