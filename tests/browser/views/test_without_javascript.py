"""Without JavaScript, uploads, progress, cancel and players work as plain forms and pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.files import NOTES, audio_file
from tests.browser.site_page import WITHIN_MS, SitePage
from tests.upstreams import SteppedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def submit(plain_page: SitePage) -> None:
    await plain_page.button("Remove the noise").click()


async def test_from_the_sample_to_the_players(
    plain_page: SitePage, upstream: SteppedUpstream
) -> None:
    upstream.limit = 45
    await plain_page.goto()
    await plain_page.button("Try a noisy sample").click()
    await plain_page.wait_for_job_page()
    # The page refreshes itself: it shows the progress, and then the end.
    bar = plain_page.tab.get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuenow", "45", timeout=WITHIN_MS)
    upstream.limit = 100
    players = plain_page.tab.locator("audio[controls]")
    await expect(players).to_have_count(2, timeout=WITHIN_MS)
    for player in await players.all():
        await expect(player).to_be_visible()
    await expect(plain_page.tab.locator('meta[http-equiv="refresh"]')).to_have_count(0)
    await expect(
        plain_page.tab.get_by_role("link", name="Download clean recording")
    ).to_be_visible()
    await expect(plain_page.part("deck")).to_be_hidden()


async def test_several_files_lead_to_the_list(plain_page: SitePage, recording: Path) -> None:
    await plain_page.goto()
    await plain_page.choose(audio_file("first.wav", recording), audio_file("second.wav", recording))
    await submit(plain_page)
    await expect(plain_page.rows).to_have_count(2)
    # Newest first.
    await expect(plain_page.rows.first).to_contain_text("second.wav")
    assert plain_page.tab.url == f"{plain_page.base}/"


async def test_refusals_are_shown_at_the_field_and_good_files_are_kept(
    plain_page: SitePage, recording: Path
) -> None:
    plain_page.errors_expected = True  # the browser logs the 400
    await plain_page.goto()
    await plain_page.choose(audio_file("good.wav", recording), NOTES)
    await submit(plain_page)
    await expect(plain_page.field_error).to_contain_text("notes.txt")
    await plain_page.expect_refusal_at_field()
    await expect(plain_page.rows).to_have_count(1)
    await expect(plain_page.rows.first).to_contain_text("good.wav")


async def test_no_file_is_chosen(plain_page: SitePage) -> None:
    plain_page.errors_expected = True
    await plain_page.goto()
    await submit(plain_page)
    await expect(plain_page.field_error).to_have_text("Choose a recording first.")


async def test_cancel_and_retry_are_forms(
    plain_page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 20
    await plain_page.goto()
    await plain_page.choose(recording)
    await submit(plain_page)
    first = await plain_page.wait_for_job_page()
    await plain_page.button("Cancel").click()
    await expect(plain_page.heading("Canceled")).to_be_visible()
    upstream.limit = 100
    await plain_page.button("Try again").click()
    await plain_page.wait_for_job_page(other_than=first)
    await expect(plain_page.tab.locator("audio[controls]")).to_have_count(2, timeout=WITHIN_MS)
