"""Cross-site WebSocket hijacking: which pages may open a socket here."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from denoise_relay.live.origin import same_origin


def scope(origin: str | None, host: str = "testserver") -> dict[str, Any]:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode("latin-1")))
    return {"type": "websocket", "path": "/ws/denoise/", "headers": headers, "query_string": b""}


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        (None, "testserver", True),
        ("http://testserver", "testserver", True),
        ("https://testserver", "testserver", True),
        ("http://testserver:8000", "testserver:8000", True),
        ("https://testserver:443", "testserver", True),
        ("http://TESTSERVER", "testserver", True),
        ("http://testserver:8001", "testserver:8000", False),
        ("http://testserver", "testserver:8000", False),
        ("https://evil.example", "testserver", False),
        ("http://testserver.evil.example", "testserver", False),
        ("http://evil.example#testserver", "testserver", False),
        ("http://testserver@evil.example", "testserver", False),
        ("null", "testserver", False),
        ("file://", "testserver", False),
        ("ftp://testserver", "testserver", False),
        ("http://[::1", "testserver", False),
        ("http://testserver:x", "testserver", False),
        ("\xff\xfe", "testserver", False),
        # A host of the attacker's that resolves to us (DNS rebinding).
        ("http://evil.example", "evil.example", False),
    ],
)
def test_same_origin(origin: str | None, host: str, welcome: bool) -> None:
    assert same_origin(scope(origin, host)) is welcome


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("https://pages.example", True),
        ("http://pages.example", False),
        ("https://a.wild.example", True),
        ("https://b.a.wild.example", True),
        ("https://wild.example.evil", False),
        ("https://notwild.example", False),
        ("https://pages.example:8443", False),
        ("https://port.example:8443", True),
    ],
)
def test_trusted_origins(settings: Settings, origin: str, welcome: bool) -> None:
    settings.CSRF_TRUSTED_ORIGINS = [
        "https://pages.example",
        "https://*.wild.example",
        "https://port.example:8443",
    ]

    assert same_origin(scope(origin)) is welcome


def test_behind_a_proxy_the_forwarded_host_counts(settings: Settings) -> None:
    settings.USE_X_FORWARDED_HOST = True
    settings.ALLOWED_HOSTS = ["public.example"]
    forwarded = scope("https://public.example", "127.0.0.1:8000")
    forwarded["headers"].append((b"x-forwarded-host", b"public.example"))

    assert same_origin(forwarded)
