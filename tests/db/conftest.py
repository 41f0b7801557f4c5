"""What the database tier shares: no thread keeps a database connection after a test."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import SyncToAsync
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from pytest_django import Settings

from denoise_relay.live.feed import Feed, feed
from denoise_relay.runtime import database


@pytest.fixture(autouse=True)
def _no_connection_left() -> Iterator[None]:
    """Close the connections of the shared threads, and fail a test that leaves another one open.

    PostgreSQL drops no database that somebody is still connected to, and the garbage collector
    reports an open connection of an ended thread in whatever test it happens to run.
    """
    opened: list[tuple[str, BaseDatabaseWrapper]] = []

    def note(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            opened.append((threading.current_thread().name, connection))

    connection_created.connect(note)
    yield
    connection_created.disconnect(note)
    database.close()
    # The one thread that async code without a request shares for the ORM.
    SyncToAsync.single_thread_executor.submit(connections.close_all).result(timeout=10)
    left = []
    for thread, connection in opened:
        if connection.connection is not None:
            left.append(thread)
            connection.inc_thread_sharing()  # allows `close` in this thread
            connection.close()
    assert not left, f"threads that left a database connection open: {left}"


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """An empty storage of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest_asyncio.fixture
async def the_feed() -> AsyncIterator[Feed]:
    """This loop's feed, stopped afterwards."""
    found = feed()
    yield found
    await found.stop()
