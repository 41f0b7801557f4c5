"""Delete: a dialog for people with and without a mouse, a page without JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.site_page import WITHIN_MS, SitePage
from tests.upstreams import SteppedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")
QUESTION = "Delete this recording?"


async def test_with_the_keyboard(page: SitePage, recording: Path) -> None:
    await page.upload(recording)
    await page.wait_for_stage()
    ask = page.button("Delete")
    dialog = page.tab.get_by_role("dialog", name=QUESTION)
    await ask.focus()
    await page.tab.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
    await expect(dialog).to_contain_text(recording.name)
    # The answer that changes nothing has the focus, and Escape gives it back.
    await expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    report = await Axe().run(page.tab)
    assert report.response["violations"] == []
    await page.tab.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(ask).to_be_focused()
    await page.tab.keyboard.press("Enter")
    await page.tab.keyboard.press("Enter")  # Keep it
    await expect(dialog).to_be_hidden()
    await page.tab.keyboard.press("Enter")
    await page.tab.keyboard.press("Tab")
    await page.tab.keyboard.press("Enter")
    await page.tab.wait_for_url(f"{page.base}/")
    await expect(page.rows).to_have_count(0)


async def test_while_it_runs_and_somebody_watches(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 45
    path = await page.upload_and_reach(recording, 45)
    other = await page.open_in_new_tab(path)
    # Each may still ask how the job ended: 404.
    page.errors_expected = other.errors_expected = True
    await other.wait_for_percent(45)
    await page.button("Delete").click()
    await page.button("Delete for good").click()
    await page.tab.wait_for_url(f"{page.base}/")
    await expect(page.rows).to_have_count(0)
    await other.wait_for_stage("error")
    await expect(other.tab.locator("[data-part=reason]")).to_have_text("Canceled.")


async def test_without_javascript(plain_page: SitePage) -> None:
    await plain_page.goto()
    await plain_page.button("Try a noisy sample").click()
    path = await plain_page.wait_for_job_page()
    await plain_page.button("Delete").click()
    await expect(plain_page.heading(QUESTION)).to_be_visible(timeout=WITHIN_MS)
    await plain_page.button("Keep it").click()
    await plain_page.tab.wait_for_url(f"{plain_page.base}{path}*")
    await plain_page.button("Delete").click()
    await plain_page.button("Delete for good").click()
    await plain_page.tab.wait_for_url(f"{plain_page.base}/")
    await expect(plain_page.rows).to_have_count(0)
