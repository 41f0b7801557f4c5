"""What a page loads of scripts and styles: a phone on a slow line waits for it."""

from __future__ import annotations

import gzip

import pytest
from playwright.async_api import Response

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.site_page import SitePage

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: All of a page's scripts and styles, compressed together.
LIMIT_BYTES = 45_000


async def loaded(page: SitePage, path: str) -> dict[str, bytes]:
    """The scripts and styles of the app that a page loads, by path."""
    responses: list[Response] = []
    # A lambda: Playwright marks the functions that it calls, and cannot mark a built-in one.
    page.tab.on("response", lambda response: responses.append(response))
    await page.tab.goto(f"{page.base}{path}")
    await page.tab.wait_for_load_state("networkidle")
    return {
        response.url.partition("/static/denoise_relay/")[2]: await response.body()
        for response in responses
        if "/static/denoise_relay/" in response.url and response.url.endswith((".js", ".css"))
    }


async def test_the_page_of_a_job_that_is_done(new_page: NewPage, done_job: DoneJob) -> None:
    found = await loaded(await new_page(owner_of=done_job), done_job.path)
    assert "denoise-player.js" in found
    assert not [name for name in found if name.startswith("upload/")]
    size = len(gzip.compress(b"".join(found.values())))
    assert size < LIMIT_BYTES


async def test_the_start_page_loads_no_player(new_page: NewPage) -> None:
    found = await loaded(await new_page(), "/")
    assert "denoise-upload.js" in found
    assert not [name for name in found if name.startswith("player/")]
    size = len(gzip.compress(b"".join(found.values())))
    assert size < LIMIT_BYTES
