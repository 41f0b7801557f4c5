"""Fixtures of the tests beside."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.db.comparison.listening import LISTENER, client_of, person


@pytest.fixture(autouse=True)
def _media(media: Path, db: None) -> None:
    """Every test has an empty storage."""


@pytest.fixture
def ann() -> User:
    """Staff who may listen."""
    return person(*LISTENER)


@pytest.fixture
def listener(ann: User) -> Client:
    return client_of(ann)
