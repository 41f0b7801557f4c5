"""Who a viewer is now, asked of the session, the user and the key, or of nobody who answers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError

from denoise_relay.access import Viewer
from denoise_relay.live import rights, viewers
from denoise_relay.live.feed import Feed
from denoise_relay.live.recheck import recheck
from denoise_relay.runtime import database
from tests.db.live.sockets import job_path, opened
from tests.db.live.test_rights import _settings, a_key, a_user, job_of  # noqa: F401

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("the_feed", "_settings"),
]


async def test_sockets_stay_while_nobody_can_be_asked(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, header = await a_key()
    job = await job_of(api_key=key)

    def gone(*_: object) -> None:
        raise OperationalError("gone")

    def broken(*_: object) -> None:
        raise ConnectionError("the session store")

    async with opened(job_path(job), [header]) as client:
        await client.frame()
        for failure in (gone, broken):
            with monkeypatch.context() as patch:
                patch.setattr(rights, "refreshed", failure)
                await recheck().check_now()
        assert caplog.text.count("could not be checked") == 2
        await client.say({"ping": 1})
        assert await client.frame() == {"pong": 1}


async def test_a_user_whom_the_site_knows_without_a_session() -> None:
    """`scope["user"]` of a middleware of the site's own, such as a token's."""
    user = await User.objects.acreate_user("token's")
    viewer = Viewer(user=user)
    assert await database.call(viewers.refreshed, viewer) == viewer

    await User.objects.aupdate(is_active=False)

    now = await database.call(viewers.refreshed, viewer)
    assert now is not None
    assert now.logged_in_user is None


async def test_a_new_password_ends_the_rights_of_older_sessions() -> None:
    user, browser, _ = await a_user()
    viewer = Viewer(user=user, session_key=browser.cookies["sessionid"].value)
    assert await database.call(viewers.refreshed, viewer) == viewer

    user.set_password("new")
    await user.asave()

    now = await database.call(viewers.refreshed, viewer)
    assert now is not None
    assert now.logged_in_user is None
    # The session is not ended here, where no browser would be told of it.
    assert await database.call(SessionStore(viewer.session_key).exists, viewer.session_key)
