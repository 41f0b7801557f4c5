"""Which pages may open a socket: those of this site, and of the origins that it trusts."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.utils.http import is_same_domain

_DEFAULT_PORTS = {"http": 80, "https": 443}


def same_origin(scope: Mapping[str, Any]) -> bool:
    """True when the `Origin` header names this host and port, or one of `CSRF_TRUSTED_ORIGINS`.

    A client without the header is no browser, so no page can have made it send a cookie.
    Channels' own validator ignores the port and refuses clients without the header.
    """
    headers = dict(scope.get("headers", ()))
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return True
    try:
        # Django's request respects ALLOWED_HOSTS and USE_X_FORWARDED_HOST.
        host = ASGIRequest({**scope, "method": "GET"}, BytesIO()).get_host()
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        here = urlsplit(f"//{host}")
        if parts.hostname == here.hostname and port == (
            here.port or _DEFAULT_PORTS.get(parts.scheme)
        ):
            return parts.scheme in _DEFAULT_PORTS
    except (DisallowedHost, ValueError):
        return False
    return any(
        _trusts(pattern, parts.scheme, parts.netloc) for pattern in settings.CSRF_TRUSTED_ORIGINS
    )


def _trusts(pattern: str, scheme: str, netloc: str) -> bool:
    trusted = urlsplit(pattern.replace("*", "", 1))
    return trusted.scheme == scheme and is_same_domain(netloc, trusted.netloc)
