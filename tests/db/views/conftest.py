"""Fixtures of the tests beside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from denoise_relay.runtime import metrics
from denoise_relay.views import metrics as view
from tests.db.views.visitors import visitor_of


@pytest.fixture(autouse=True)
def _count_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(view, "_counted_at", float("-inf"))
    yield
    metrics.JOBS.clear()


@pytest.fixture
def mine(client: Client) -> dict[str, Any]:
    """Columns that make a job the client's."""
    return {"visitor": visitor_of(client)}
