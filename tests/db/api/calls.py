"""Requests to the API with a key."""

from __future__ import annotations

from typing import Any

from tests.db.requests import Response, fetch

ROOT = "/api/v1/denoise"
#: An id that no job has.
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def call(path: str, secret: str, **kwargs: Any) -> Response:
    """`fetch` with the key's secret in the header."""
    return fetch(path, headers={"x-api-key": secret, **kwargs.pop("headers", {})}, **kwargs)
