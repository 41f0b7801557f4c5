"""The first uploads of an anonymous visitor: several at once belong to one visitor."""

from __future__ import annotations

import asyncio
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as site
from django.http.cookie import SimpleCookie
from django.test import AsyncClient
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.testing import tone_wav

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]
NAMES = ("one.wav", "two.wav", "three.wav")
#: Where a session is a row, a file or a cache entry, its key is in the cookie.
KEPT_HERE = ("db", "cache", "cached_db", "file")


@pytest.fixture(params=[*KEPT_HERE, "signed_cookies"])
def engine(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> str:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    return str(request.param)


async def upload(name: str, cookies: SimpleCookie) -> SimpleCookie:
    """Send one file as a program does, with the cookies that it has now; returns new ones."""
    client = AsyncClient()
    client.cookies.update(cookies)
    file = BytesIO(tone_wav(0.2))
    file.name = name
    answer = await client.post("/", {"audio": file}, headers={"Accept": "application/json"})
    assert answer.status_code == 201
    return client.cookies


async def all_at_once(browser: AsyncClient) -> None:
    """Send the files before the answer to any of them has come; the last answer's cookies stay."""
    for cookies in await asyncio.gather(*(upload(name, browser.cookies) for name in NAMES)):
        browser.cookies.update(cookies)


async def listed(browser: AsyncClient) -> set[str]:
    page = (await browser.get("/")).content.decode()
    return {name for name in NAMES if name in page}


async def session_with(**entries: Any) -> Any:
    """A session of the site, of a person who has uploaded nothing."""
    session = import_module(site.SESSION_ENGINE).SessionStore()
    for name, value in entries.items():
        await session.aset(name, value)
    await session.asave()
    return session


@pytest.mark.usefixtures("engine")
async def test_files_sent_at_once_from_the_page_are_all_kept() -> None:
    browser = AsyncClient()
    await browser.get("/")

    await all_at_once(browser)

    assert await listed(browser) == set(NAMES)


async def test_files_sent_at_once_without_the_page_are_all_kept(engine: str) -> None:
    if engine not in KEPT_HERE:
        return  # its cookie has the whole session, so the last answer's replaces the others
    browser = AsyncClient()
    session = await session_with(basket=[1])
    browser.cookies["sessionid"] = session.session_key

    await all_at_once(browser)

    assert await listed(browser) == set(NAMES)


@pytest.mark.parametrize("kept_by", KEPT_HERE)
async def test_another_request_that_saves_an_older_session_loses_nothing(
    kept_by: str, settings: Settings, tmp_path: Path
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{kept_by}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    browser = AsyncClient()
    slow = await session_with(basket=[1])
    browser.cookies["sessionid"] = slow.session_key

    await upload(NAMES[0], browser.cookies)
    await slow.aset("basket", [1, 2])
    await slow.asave()

    assert await listed(browser) == {NAMES[0]}
    await upload(NAMES[1], browser.cookies)
    assert await listed(browser) == set(NAMES[:2])


async def test_a_lone_first_upload_needs_no_page() -> None:
    browser = AsyncClient()

    browser.cookies.update(await upload(NAMES[0], browser.cookies))

    assert await listed(browser) == {NAMES[0]}


async def test_people_whose_session_has_the_same_content_are_two_visitors(engine: str) -> None:
    tokens = set()
    for _ in range(2):
        browser = AsyncClient()
        session = await session_with(language="ar")
        browser.cookies["sessionid"] = session.session_key
        await browser.get("/")
        kept = import_module(site.SESSION_ENGINE).SessionStore(browser.cookies["sessionid"].value)
        tokens.add(await kept.aget(access.SESSION_KEY))

    assert len(tokens) == 2
    assert None not in tokens


async def test_a_session_that_does_not_exist_is_nobodys(engine: str) -> None:
    for cookie in ("x" * 32, "nonsense"):
        browser = AsyncClient()
        browser.cookies["sessionid"] = cookie

        await browser.get("/")
        assert browser.cookies["sessionid"].value != cookie


async def test_a_login_after_a_lost_save_keeps_the_visitors_jobs(django_user_model: Any) -> None:
    browser = AsyncClient()
    slow = await session_with(basket=[1])
    browser.cookies["sessionid"] = slow.session_key
    await upload(NAMES[0], browser.cookies)
    await slow.asave()
    await browser.get("/")  # which keeps the token again

    user = await sync_to_async(django_user_model.objects.create_user)("late")
    await browser.aforce_login(user)

    assert await listed(browser) == {NAMES[0]}
