"""What tests of viewers share: a policy that lets anybody watch, and a database that is away."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from pytest_django import Settings

from denoise_relay.journal import read
from denoise_relay.live.tails import Tails


@pytest.fixture
def open_to_all(settings: Settings) -> None:
    """Anybody may watch any job, and three jobs on one socket."""
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "ACCESS_POLICY": "tests.db.live.jobs.anybody",
        "MAX_WATCHES": 3,
    }


@pytest.fixture
def unreadable_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away after a viewer's access has been checked."""

    def gone(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(read, "latest", gone)
    monkeypatch.setattr(read, "newest", gone)


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each viewer reads the journal, as those do who need older events than are kept."""

    async def none(*_: object) -> None:
        return None

    monkeypatch.setattr(Tails, "of", none)
