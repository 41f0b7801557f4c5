"""A job's page follows the job over one socket, up to the player."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from denoise_relay.testing import answers
from tests.browser.conftest import NewPage
from tests.browser.site_page import SitePage
from tests.upstreams import SteppedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_progress_arrives_live(page: SitePage, recording: Path) -> None:
    await page.upload(recording)
    loads = page.loads
    await page.wait_for_stage()
    await expect(page.tab.locator("denoise-player")).to_be_visible()
    await page.expect_rising_percentages()
    assert page.loads == loads, "the page was loaded again"
    assert len(page.sockets) == 1


async def test_progress_is_in_the_bar_the_title_and_the_announcement(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 60
    await page.upload_and_reach(recording, 60)
    bar = page.tab.get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuenow", "60")
    await expect(bar).to_have_attribute("aria-valuetext", "60%: Running step 12")
    await expect(page.tab).to_have_title("60% · a talk.wav")
    announced = page.part("announce")
    # Announced when it passed 50; a frame in between may have been skipped.
    await expect(announced).to_have_text(re.compile(r"^5\d%: Running step 1\d$"))
    upstream.limit = 100
    await page.wait_for_stage()
    await expect(announced).to_have_text("Done")
    await expect(page.tab).to_have_title("Done · a talk.wav")


async def test_reload_keeps_progress(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 40
    await page.upload_and_reach(recording, 40)
    # What the server renders, before scripts and sockets change it.
    html = await (await page.tab.request.get(page.tab.url)).text()
    assert 'data-pct="40.0"' in html
    assert 'aria-valuenow="40"' in html
    await page.tab.reload()
    upstream.limit = 100
    await page.wait_for_stage()
    seen = await page.shown_percentages()
    assert list(seen) == sorted(seen), "it fell back at the reload"


async def test_two_pages_show_the_same(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    other = await page.open_in_new_tab(await page.upload(recording))
    await other.wait_for_percent(30)
    upstream.limit = 100
    await other.wait_for_stage()
    await page.wait_for_stage()
    assert other.problems == []


async def test_another_person_sees_nothing(
    page: SitePage, new_page: NewPage, recording: Path
) -> None:
    path = await page.upload(recording)
    other = await new_page()
    other.errors_expected = True  # the browser logs the 404
    await other.goto(path)
    await expect(other.tab.locator("denoise-job")).to_have_count(0)


async def test_cancel_and_try_again(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 20
    first = await page.upload_and_reach(recording, 5)
    await page.button("Cancel").click()
    await expect(page.heading("Canceled")).to_be_visible()
    upstream.limit = 100
    await page.button("Try again").click()
    await page.wait_for_job_page(other_than=first)
    await page.wait_for_stage()


async def test_a_cancel_reaches_the_other_page(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 20
    other = await page.open_in_new_tab(await page.upload(recording))
    await other.button("Cancel").click()
    await page.wait_for_stage("error")
    await expect(page.heading("Canceled")).to_be_visible()
    await expect(page.job).to_have_attribute("data-status", "canceled")
    assert other.problems == []


async def test_a_failure_says_why(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.on_progress(
        answers.stream(answers.processing(10))
        + answers.silence(2)
        + answers.raw(answers.failed("No <b>voice</b> found"))
    )
    await page.upload_and_reach(recording, 10)
    await page.wait_for_stage("error")
    heading = page.heading("This recording could not be cleaned")
    await expect(heading).to_be_visible()
    await expect(page.part("reason")).to_have_text("No <b>voice</b> found")
    await expect(page.button("Try again")).to_be_visible()
