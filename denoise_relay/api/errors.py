"""Error answers of the API: the contract's error objects, codes and texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse

from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import UploadDeferred, UploadRejected
from denoise_relay.views.unavailable import HEADERS

MIB = 1024 * 1024
REQUIRED, TOO_LARGE, TOO_LONG, BAD_PAGE, UNUSABLE = "40001", "40002", "40003", "40004", "40005"
#: Ours: the contract has neither presets nor excerpts nor options.
UNKNOWN_PRESET, NO_EXCERPT, BAD_OPTION = "40006", "40007", "40009"
#: Ours, too: the key of another submission.
KEY_REUSED, BAD_KEY = "42201", "40008"
UNAUTHORIZED, NOT_FOUND, BAD_METHOD = "40101", "40401", "40501"
UNAVAILABLE = "50301"

# The engine's message begins with the contract's text and ends with advice for people.
_TOO_LONG = re.compile(
    r"Duration exceeds the maximum limit of [\d.]+ minutes\. Duration: [\d.]+ minutes"
)


def error_response(
    code: str, message: str, *, headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """The contract's error object. The HTTP status is the first three digits of `code`."""
    body = {"errorCode": code, "errorMessage": message}
    return JsonResponse(body, status=int(code[:3]), headers=headers)


def audio_required() -> JsonResponse:
    return error_response(REQUIRED, "audio is required and must be a file")


def rejected(error: UploadRejected, size_bytes: int) -> JsonResponse:
    """The contract's text for a rejected file, or ours where the contract has none."""
    if isinstance(error, UploadDeferred):
        headers = {"Retry-After": str(error.retry_seconds)}
        return error_response(f"{error.status}02", str(error), headers=headers)
    match error.code:
        case "required":
            return audio_required()
        case "too_large":
            limit = relay_settings().MAX_UPLOAD_BYTES / MIB
            # Rounded up, so that a file slightly over the limit does not show the limit itself.
            size = -(-size_bytes * 100 // MIB) / 100
            return error_response(
                TOO_LARGE,
                f"File size exceeds the maximum limit of {limit:g}MB. File size: {size:g}MB",
            )
        case "too_long":
            found = _TOO_LONG.search(str(error))
            return error_response(TOO_LONG, found[0] if found else str(error))
        case "unknown_preset":
            return error_response(UNKNOWN_PRESET, str(error))
        case "no_excerpt":
            return error_response(NO_EXCERPT, str(error))
        case "bad_option":
            return error_response(BAD_OPTION, str(error))
        case _:
            return error_response(UNUSABLE, str(error))


def unavailable(request: HttpRequest) -> HttpResponse:
    """For `views.unavailable`: the database cannot be reached."""
    return error_response(UNAVAILABLE, "Service unavailable", headers=HEADERS)
