"""What every tier shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

TIERS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the folder they are in, so that `-m 'not live'` means what it says."""
    for item in items:
        tier = item.path.relative_to(TIERS).parts[0]
        if tier in ("live", "browser"):
            item.add_marker(getattr(pytest.mark, tier))


@pytest.fixture(autouse=True)
def _postgres_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("postgres") and connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: run it through scripts/with-postgres")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests talk to this machine only, whatever proxy the environment names."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
