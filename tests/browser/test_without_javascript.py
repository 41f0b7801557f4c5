"""Everything that matters works as plain forms and pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.test_upload import NOTES, upload
from tests.browser.upstream import PacedUpstream
from tests.browser.visitor import WITHIN_MS, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def post(plain: Visitor) -> None:
    await plain.page.get_by_role("button", name="Remove the noise").click()


async def test_from_the_sample_to_the_players(plain: Visitor, upstream: PacedUpstream) -> None:
    upstream.limit = 45
    await plain.open()
    await plain.page.get_by_role("button", name="Try a noisy sample").click()
    await plain.on_job_page()
    # The page refreshes itself, first to the progress, then to the end.
    bar = plain.page.get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuenow", "45", timeout=WITHIN_MS)
    upstream.limit = 100
    players = plain.page.locator("audio[controls]")
    await expect(players).to_have_count(2, timeout=WITHIN_MS)
    for player in await players.all():
        await expect(player).to_be_visible()
    await expect(plain.page.locator('meta[http-equiv="refresh"]')).to_have_count(0)
    await expect(plain.page.get_by_role("link", name="Download clean recording")).to_be_visible()
    await expect(plain.page.locator('[data-part="deck"]')).to_be_hidden()


async def test_several_files_lead_to_the_list(plain: Visitor, recording: Path) -> None:
    await plain.open()
    await plain.choose(upload("first.wav", recording), upload("second.wav", recording))
    await post(plain)
    await expect(plain.rows).to_have_count(2)
    # Newest first.
    await expect(plain.rows.first).to_contain_text("second.wav")
    assert plain.page.url == f"{plain.base}/"


async def test_refusals_stand_at_the_field_and_good_files_are_kept(
    plain: Visitor, recording: Path
) -> None:
    plain.noise_expected = True  # the browser logs the 400
    await plain.open()
    await plain.choose(upload("good.wav", recording), NOTES)
    await post(plain)
    error = plain.page.locator("#denoise-error")
    await expect(error).to_contain_text("notes.txt")
    field = plain.page.locator('input[type="file"]')
    await expect(field).to_have_attribute("aria-invalid", "true")
    assert "denoise-error" in (await field.get_attribute("aria-describedby") or "").split()
    await expect(plain.rows).to_have_count(1)
    await expect(plain.rows.first).to_contain_text("good.wav")


async def test_nothing_chosen(plain: Visitor) -> None:
    plain.noise_expected = True
    await plain.open()
    await post(plain)
    await expect(plain.page.locator("#denoise-error")).to_have_text("Choose a recording first.")


async def test_cancel_and_retry_are_forms(
    plain: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 20
    await plain.open()
    await plain.choose(recording)
    await post(plain)
    first = await plain.on_job_page()
    await plain.page.get_by_role("button", name="Cancel").click()
    await expect(plain.page.get_by_role("heading", name="Canceled")).to_be_visible()
    upstream.limit = 100
    await plain.page.get_by_role("button", name="Try again").click()
    await plain.page.wait_for_url(lambda url: "/jobs/" in url and first not in url)
    await expect(plain.page.locator("audio[controls]")).to_have_count(2, timeout=WITHIN_MS)
