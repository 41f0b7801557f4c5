"""What the API answers when it must refuse: the contract's error objects and codes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse

from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import UploadRejected
from denoise_relay.views.unavailable import HEADERS

MIB = 1024 * 1024
REQUIRED, TOO_LARGE, TOO_LONG, BAD_PAGE, UNUSABLE = "40001", "40002", "40003", "40004", "40005"
UNAUTHORIZED, NOT_FOUND, BAD_METHOD = "40101", "40401", "40501"
UNAVAILABLE = "50301"

# The engine's sentence begins with the contract's, and ends with advice for people.
_TOO_LONG = re.compile(
    r"Duration exceeds the maximum limit of [\d.]+ minutes\. Duration: [\d.]+ minutes"
)


def error_response(
    code: str, message: str, *, headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """The contract's error object; the HTTP status is the first three digits of `code`."""
    body = {"errorCode": code, "errorMessage": message}
    return JsonResponse(body, status=int(code[:3]), headers=headers)


def audio_required() -> JsonResponse:
    return error_response(REQUIRED, "audio is required and must be a file")


def rejected(refusal: UploadRejected, size_bytes: int) -> JsonResponse:
    """Word a refusal as the contract does, where it has words for it."""
    match refusal.code:
        case "required":
            return audio_required()
        case "too_large":
            limit = relay_settings().MAX_UPLOAD_BYTES / MIB
            # Rounded up, so that a file just over the limit does not read as the limit.
            size = -(-size_bytes * 100 // MIB) / 100
            return error_response(
                TOO_LARGE,
                f"File size exceeds the maximum limit of {limit:g}MB. File size: {size:g}MB",
            )
        case "too_long":
            found = _TOO_LONG.search(str(refusal))
            return error_response(TOO_LONG, found[0] if found else str(refusal))
        case _:
            return error_response(UNUSABLE, str(refusal))


def unavailable(request: HttpRequest) -> HttpResponse:
    """For `views.unavailable`: the database is away."""
    return error_response(UNAVAILABLE, "Service unavailable", headers=HEADERS)
