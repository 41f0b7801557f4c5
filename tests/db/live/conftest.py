"""What tests of viewers share: an access policy that lets anybody watch."""

from __future__ import annotations

import pytest
from pytest_django import Settings


@pytest.fixture
def open_to_all(settings: Settings) -> None:
    """Anybody may watch any job, and three jobs on one socket."""
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "ACCESS_POLICY": "tests.db.live.jobs.anybody",
        "MAX_WATCHES": 3,
    }
