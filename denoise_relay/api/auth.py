"""Authenticates API requests by their key and finds the jobs that a key may see."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from denoise_relay import access
from denoise_relay.access import Action, Viewer
from denoise_relay.api import errors
from denoise_relay.conf import relay_settings
from denoise_relay.models import ApiKey, Job

#: Says to another relay what it may use beyond the contract (`backends.upstream.client`).
EXTENSIONS_HEADER, EXTENSIONS = "Denoise-Relay-Extensions", "idempotency-key, cancel"
#: Added where there is something to show (`api.previews`).
PREVIEW = "preview"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], Coroutine[Any, Any, HttpResponseBase]]
KeyView = Callable[Concatenate[HttpRequest, ApiKey, P], Coroutine[Any, Any, HttpResponseBase]]


def require_api_key(*methods: str) -> Callable[[KeyView[P]], View[P]]:
    """Make an API view that gets the request's key: 405 for other methods, 401 without a valid
    key in `x-api-key`, 404 for `Http404`, all as JSON.

    The session is not used, so no CSRF token is needed: no browser sends a key by itself.
    """

    def decorate(view: KeyView[P]) -> View[P]:
        @functools.wraps(view)
        async def checked(
            request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            if request.method not in methods:
                allow = {"Allow": ", ".join(methods)}
                return errors.error_response(errors.BAD_METHOD, "Method not allowed", headers=allow)
            key = await access.aget_api_key(request.headers.get(access.API_KEY_HEADER, ""))
            if key is None:
                return errors.error_response(errors.UNAUTHORIZED, "Invalid or missing API key")
            try:
                response = await view(request, key, *args, **kwargs)
            except Http404:
                response = errors.error_response(errors.NOT_FOUND, "No such record")
            shows = relay_settings().PREVIEW
            response[EXTENSIONS_HEADER] = f"{EXTENSIONS}, {PREVIEW}" if shows else EXTENSIONS
            return response

        return csrf_exempt(checked)

    return decorate


def viewer_of_key(key: ApiKey) -> Viewer:
    """A viewer who has only this key: it opens its user's own jobs, but does not give that user's
    rights as staff."""
    return Viewer(user=AnonymousUser(), api_key=key)


async def job_of_key(key: ApiKey, job_id: str, action: Action = "view") -> Job:
    """A job that this key may see, or else change or delete; the same `Http404` for other, unknown
    and malformed ids."""
    try:
        found = UUID(job_id)
    except ValueError:
        raise Http404("No such job.") from None
    return await access.aget_job(viewer_of_key(key), found, action)
