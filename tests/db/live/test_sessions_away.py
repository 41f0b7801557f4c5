"""Sockets with a session cookie while the database is away, through the application of a site."""

from __future__ import annotations

from uuid import UUID

import pytest
from pytest_django import Settings

from denoise_relay.asgi import relay_application
from tests.db.live import away_sessions
from tests.db.live.sockets import opened

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]


@pytest.mark.parametrize("path", ["/ws/denoise/", f"/ws/denoise/{UUID(int=1)}/"])
async def test_a_socket_with_a_cookie_is_sent_away_to_come_back(
    path: str, settings: Settings
) -> None:
    settings.SESSION_ENGINE = away_sessions.__name__
    cookie = (b"cookie", f"sessionid={'a' * 32}".encode())

    async with opened(path, [cookie], app=relay_application(None)) as client:
        assert await client.closed() == 4012
