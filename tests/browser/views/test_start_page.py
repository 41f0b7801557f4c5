"""From the start page to hearing the difference: two clicks, the first without scrolling."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("width", "height"), [(1280, 640), (390, 664), (320, 568)])
async def test_the_difference_is_two_clicks_away(
    new_page: NewPage, width: int, height: int
) -> None:
    page = await new_page(viewport={"width": width, "height": height})
    await page.goto()
    sample = page.button("Try a noisy sample")
    await expect(sample).to_be_in_viewport(ratio=1)
    await sample.click()
    await page.wait_for_job_page()
    await page.wait_for_stage("done")
    await page.tab.get_by_role("button", name="Play", exact=True).click()
    await page.wait_for_playback(0.2)
