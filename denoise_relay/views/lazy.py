"""Views that are loaded at their first request, or by `load` when a server starts.

A URLconf names them, so that a management command, which checks all URLs, loads none of them: they
bring the engine, the HTTP client, the journal and most other rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.module_loading import import_string

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def lazy(path: str, *, answer: str = "", csrf_exempt: bool = False) -> View:
    """The asynchronous view with this dotted path below `denoise_relay`.

    While the database is away, `answer` responds (`views.unavailable`). `csrf_exempt` must say what
    the view says.
    """
    loaded: View | None = None

    def load() -> View:
        nonlocal loaded
        if loaded is None:
            from denoise_relay.views import unavailable

            respond = import_string(f"denoise_relay.{answer}") if answer else None
            found = import_string(f"denoise_relay.{path}")
            loaded = unavailable.guarded(found, respond or unavailable.for_visitors)
        return loaded

    async def view(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return await load()(request, *args, **kwargs)

    module, _, view.__name__ = path.rpartition(".")
    view.__module__ = f"denoise_relay.{module}"
    view.__dict__.update(load=load)
    if csrf_exempt:
        view.__dict__.update(csrf_exempt=True)
    return view


def load(patterns: Sequence[URLPattern]) -> None:
    """Load all views of a URLconf."""
    for pattern in patterns:
        pattern.callback.load()  # type: ignore[attr-defined]  # made by `lazy`
