"""*Try 30 seconds first*, as a person does it: tick the box, listen, clean all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from denoise_relay import engine
from tests.browser.conftest import NewPage
from tests.db.interviews import interview
from tests.sites import Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


async def test_thirty_seconds_first_and_then_all_of_it(new_page: NewPage, tmp_path: Path) -> None:
    recording = tmp_path / "interview.wav"
    recording.write_bytes(interview())
    with Site(tmp_path / "site", DEBUG="1", DENOISE_RELAY_BACKEND="local") as site:
        page = await new_page(base=site.serve().wait_until_ready().url)
        await page.goto()
        await page.tab.get_by_role("checkbox", name="Try 30 seconds first").check()
        await page.choose(recording)
        first = await page.wait_for_job_page()
        await expect(page.tab.locator(".denoise-facts")).to_contain_text("Excerpt, from 0:3")
        await page.wait_for_stage(within_ms=40_000)
        await expect(page.tab.locator("[data-part=total]")).to_have_text("0:30")
        await page.button("Clean all of it").click()
        await page.wait_for_job_page(other_than=first)
        await expect(page.tab.get_by_role("heading", level=1)).to_have_text("interview.wav")
        await expect(page.tab.get_by_role("link", name="The excerpt")).to_be_visible()
