"""The Content-Security-Policy of the demo site, where it depends on other settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from denoise_relay.media.sources import media_sources


class ContentPolicyMiddleware(CSPMiddleware):
    """Sends `CONTENT_SECURITY_POLICY`, and lets players load recordings from where they are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        # Once, when the server starts: neither the storage nor the settings change after that.
        self._media_sources = media_sources()

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        update: dict[str, Any] = parts.update or {}
        parts.update = {**update, "media-src": [*update.get("media-src", []), *self._media_sources]}
        return parts
