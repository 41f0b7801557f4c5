"""The extension `preview`: another relay shows its people a recording while we still clean it.

Only for clients that ask for it in `Denoise-Relay-Extensions`: to all others these URLs do not
exist, as in the contract.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from denoise_relay.api.auth import EXTENSIONS_HEADER, PREVIEW, job_of_key, require_api_key
from denoise_relay.conf import relay_settings
from denoise_relay.media import analysis_views, derived
from denoise_relay.models import ApiKey


@require_api_key(*analysis_views.METHODS)
async def waveform(request: HttpRequest, key: ApiKey, job_id: str, side: str) -> HttpResponseBase:
    """GET /denoise/<id>/waveform/<side>?from=<pixel>: JSON, as pages get it."""
    _require_asked(request)
    job = await job_of_key(key, job_id)
    if side not in derived.SIDES:
        raise Http404("No such side.")
    return await analysis_views.waveform_response(request, job, side)


@require_api_key(*analysis_views.METHODS)
async def preview(request: HttpRequest, key: ApiKey, job_id: str, number: str) -> HttpResponseBase:
    """GET /denoise/<id>/preview/<number>: a segment of the clean recording, FLAC."""
    _require_asked(request)
    job = await job_of_key(key, job_id)
    return await analysis_views.preview_response(request, job, number)


def _require_asked(request: HttpRequest) -> None:
    """Raises `Http404` for a client that does not ask for this extension, or where it is off."""
    asked = request.headers.get(EXTENSIONS_HEADER, "").split(",")
    if PREVIEW not in (name.strip() for name in asked) or not relay_settings().PREVIEW:
        raise Http404("No such URL.")
