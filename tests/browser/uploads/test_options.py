"""Strength and loudness: chosen in the form, shown on the job's page, in every way of sending."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from denoise_relay import engine
from tests.browser.conftest import NewPage
from tests.browser.site_page import SitePage
from tests.live.recordings import tone_in_noise

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than one part of a resumable upload."""
    path = tmp_path_factory.mktemp("recordings") / "long.wav"
    path.write_bytes(tone_in_noise(12, rate=48_000))
    assert path.stat().st_size > 1024 * 1024
    return path


async def choose_options(page: SitePage) -> None:
    await page.goto()
    await page.tab.get_by_text("Options", exact=True).click()
    await page.tab.get_by_label("Noise removal").select_option("Gentle (12 dB)")
    await page.tab.get_by_label("Loudness").select_option("Podcast (-16 LUFS)")


async def expect_options(page: SitePage) -> None:
    await page.wait_for_job_page()
    facts = page.tab.locator(".denoise-facts")
    await expect(facts).to_contain_text("Noise removal: at most 12 dB")
    await expect(facts).to_contain_text("Loudness: -16 LUFS")


@pytest.mark.parametrize("whole", [True, False], ids=["one request", "in parts"])
async def test_options_are_sent_with_the_file(
    page: SitePage, recording: Path, long_recording: Path, *, whole: bool
) -> None:
    await choose_options(page)
    await page.choose(recording if whole else long_recording)
    await expect_options(page)


async def test_without_javascript(plain_page: SitePage, recording: Path) -> None:
    await choose_options(plain_page)
    await plain_page.choose(recording)
    await plain_page.button("Remove the noise").click()
    await expect_options(plain_page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "locale"), [(320, "ar"), (1280, "en-GB")])
async def test_the_open_options_fit_and_are_accessible(
    new_page: NewPage, width: int, locale: str, scheme: str
) -> None:
    size = {"width": width, "height": 800}
    page = await new_page(viewport=size, locale=locale, color_scheme=scheme)
    await choose_options(page)
    inside, whole = await page.tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert whole <= inside
    found = await Axe().run(page.tab)
    assert found.violations_count == 0, found.generate_report()
