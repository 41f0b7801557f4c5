"""Requests to async views from plain tests.

Run by `async_to_sync`, views do their database work in the test's own thread, and so see
the test's transaction: nothing has to be flushed afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.test import AsyncClient


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response, read to its end and closed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __getitem__(self, header: str) -> str:
        return self.headers[header]

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    path: str, *, client: AsyncClient | None = None, method: str = "GET", **kwargs: Any
) -> Answer:
    """Send one request; `kwargs` are those of Django's test client (`headers`, `data`…)."""
    return async_to_sync(aask)(path, client=client, method=method, **kwargs)


async def aask(
    path: str, *, client: AsyncClient | None = None, method: str = "GET", **kwargs: Any
) -> Answer:
    """`ask` for async tests."""
    client = client or AsyncClient()
    response = await getattr(client, method.lower())(path, **kwargs)
    chunks = [chunk async for chunk in response] if response.streaming else [response.content]
    response.close()
    return Answer(status=response.status_code, headers=response.headers, body=b"".join(chunks))
