"""A middleware that says in a header how many queries an answer took. One request at a time."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from django.db.backends.signals import connection_created
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

HEADER = "X-Queries"
_counts = itertools.count()


def _count(execute: Callable[..., Any], *args: Any) -> Any:
    next(_counts)
    return execute(*args)


def _watch(connection: Any, **_: Any) -> None:
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


connection_created.connect(_watch, dispatch_uid="bench.pages.queries")


@async_only_middleware
def count_queries(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """Each thread of the server has a connection of its own, so all of them are counted."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        before = next(_counts)
        response = await get_response(request)
        response[HEADER] = str(next(_counts) - before - 1)
        return response

    return middleware
