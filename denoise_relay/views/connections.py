"""Database connections of requests that go on for long."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.db import connections


async def release() -> None:
    """Give the request's database connections back before a long stream begins.

    Django closes them when the response has been sent, and a stream may take 15 minutes:
    without this, each listener would hold a connection all that time.
    """
    await sync_to_async(_release)()


def _release() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
