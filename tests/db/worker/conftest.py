"""What tests of the worker share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from denoise_relay import engine
from tests.db.worker.gates import Gate


@pytest_asyncio.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    """Analyses end when the test says so, and leave no workspace."""
    found = Gate()
    monkeypatch.setattr(engine, "analyse", found)
    yield found
    assert [folder for folder in found.begun if folder.parent.exists()] == []
