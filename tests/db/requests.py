"""Requests to async views from synchronous tests.

`async_to_sync` runs the database work of views in the test's own thread, so they see the test's
transaction, and the tables need not be flushed afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.test import AsyncClient


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response, read to its end and closed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __getitem__(self, header: str) -> str:
        return self.headers[header]

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    path: str, *, client: AsyncClient | None = None, method: str = "GET", **kwargs: Any
) -> Response:
    """Send one request; `kwargs` are those of Django's test client (`headers`, `data`…)."""
    return async_to_sync(afetch)(path, client=client, method=method, **kwargs)


async def afetch(
    path: str, *, client: AsyncClient | None = None, method: str = "GET", **kwargs: Any
) -> Response:
    """`fetch` for async tests."""
    client = client or AsyncClient()
    response = await getattr(client, method.lower())(path, **kwargs)
    chunks = [chunk async for chunk in response] if response.streaming else [response.content]
    response.close()
    return Response(status=response.status_code, headers=response.headers, body=b"".join(chunks))
