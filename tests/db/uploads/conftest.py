"""What the tests of uploads share."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.db.uploads.tus_requests import HALF


@pytest.fixture
def small_parts(settings: Settings) -> None:
    """The server takes parts of little more than half the file."""
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "UPLOAD_PART_BYTES": HALF + 1}
