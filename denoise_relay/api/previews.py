"""An extension for other relays: the clean recording while it is made (docs/between-relays.md).

Only for who asks for it by name: to anybody else these are unknown paths.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from denoise_relay.api.auth import EXTENSIONS_HEADER, job_of_key, require_api_key
from denoise_relay.media import derived
from denoise_relay.media.analysis_views import preview_response, waveform_response
from denoise_relay.models import ApiKey, Job

NAME = "preview"


@require_api_key("GET")
async def waveform(request: HttpRequest, key: ApiKey, job_id: str, side: str) -> HttpResponseBase:
    """A waveform as for pages, `?from=` included."""
    job = await _job(request, key, job_id)
    if side not in derived.SIDES:
        raise Http404("No such job.")
    return await waveform_response(request, job, side)


@require_api_key("GET")
async def preview(request: HttpRequest, key: ApiKey, job_id: str, number: str) -> HttpResponseBase:
    """A segment, as FLAC."""
    return await preview_response(request, await _job(request, key, job_id), number)


async def _job(request: HttpRequest, key: ApiKey, job_id: str) -> Job:
    named = request.headers.get(EXTENSIONS_HEADER, "")[:200].split(",")
    if NAME not in {name.strip() for name in named}:
        raise Http404("No such job.")
    return await job_of_key(key, job_id)
