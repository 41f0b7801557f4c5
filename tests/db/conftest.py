"""What the database tier shares: connections of other threads are closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from asgiref.sync import SyncToAsync
from django.db import connections
from pytest_django import Settings

from denoise_relay.live.feed import Feed, feed
from denoise_relay.runtime import database


@pytest.fixture(autouse=True)
def _no_connection_left() -> Iterator[None]:
    """PostgreSQL drops no database that somebody is still connected to."""
    yield
    database.close()
    # The one thread that async code without a request shares for the ORM.
    SyncToAsync.single_thread_executor.submit(connections.close_all).result(timeout=10)


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
