"""A finished job with two stored recordings, and its owner's client."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from denoise_relay.models import Job
from tests.db.factories import finish, stored_job
from tests.db.media.recordings import CONTENT


@pytest.fixture(autouse=True)
def _media(media: Path) -> None:
    """Every test has an empty storage."""


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def job(owner: User) -> Job:
    """Its original is `CONTENT`, its result the same bytes backwards."""
    return finish(stored_job(CONTENT, owner=owner), CONTENT[::-1])


@pytest.fixture
def client(owner: User) -> AsyncClient:
    client = AsyncClient()
    client.force_login(owner)
    return client
