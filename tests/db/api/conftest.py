"""An empty storage for each test, and an API key."""

from __future__ import annotations

from pathlib import Path

import pytest

from denoise_relay import access
from denoise_relay.models import ApiKey


@pytest.fixture(autouse=True)
def _media(media: Path) -> None:
    """Every test has an empty storage."""


@pytest.fixture
def secret(db: None) -> str:
    """The secret of `key`."""
    return access.create_api_key("client")


@pytest.fixture
def key(secret: str) -> ApiKey:
    return ApiKey.objects.get(digest=access.digest(secret))
