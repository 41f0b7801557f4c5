"""Answers 503 with `Retry-After` while the database cannot be reached: pages, JSON and the API.

Django would answer 500, after which programs and proxies do not retry. No job is lost in the
meantime: running jobs continue, and open sockets stay open.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from denoise_relay.runtime import logs
from denoise_relay.runtime.database import LOST

RETRY_AFTER_SECONDS = 5
HEADERS = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}

Answer = Callable[[HttpRequest], HttpResponse]


def for_visitors(request: HttpRequest) -> HttpResponse:
    """For browsers a page that reloads itself; JSON for all other clients."""
    if "text/html" not in request.headers.get("Accept", ""):
        message = _("The service is not available. Try again in a moment.")
        body = {"error": "unavailable", "message": message}
        return JsonResponse(body, status=503, headers=HEADERS)
    # Without the request: a site's context processors may query the database.
    context = {"refresh_seconds": RETRY_AFTER_SECONDS if request.method == "GET" else None}
    page = render_to_string("denoise_relay/unavailable.html", context)
    return HttpResponse(page, status=503, headers=HEADERS)


def guarded(view: Callable[..., Any], answer: Answer) -> Callable[..., Any]:
    """Wrap one view, sync or async; its attributes, such as `csrf_exempt`, are kept."""
    if inspect.iscoroutinefunction(view):

        @functools.wraps(view)
        async def asynchronous(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
            try:
                return await view(request, *args, **kwargs)
            except LOST as error:
                _note(request, error)
                return answer(request)

        return asynchronous

    @functools.wraps(view)
    def synchronous(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(request, *args, **kwargs)
        except LOST as error:
            _note(request, error)
            return answer(request)

    return synchronous


def _note(request: HttpRequest, error: Exception) -> None:
    logs.logger.warning(
        "%s: the database is away: %s",
        request.path,
        type(error).__name__,
        extra=logs.fields("unavailable", path=request.path, error=repr(error)),
    )
