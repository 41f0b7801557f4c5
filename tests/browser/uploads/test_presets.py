"""Presets of the local engine: chosen in the form, shown on the job's page, kept and changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from denoise_relay import engine
from tests.browser.conftest import NewPage
from tests.browser.site_page import SitePage
from tests.live.recordings import tone_in_noise
from tests.processes import WebProcess
from tests.sites import Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not engine.available("fast"), reason="needs both models of the engine"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def local_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebProcess]:
    """A site that does its jobs itself."""
    folder = tmp_path_factory.mktemp("local-site")
    with Site(folder, DEBUG="1", DENOISE_RELAY_BACKEND="local") as site:
        yield site.serve().wait_until_ready()


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than one part of a resumable upload."""
    path = tmp_path_factory.mktemp("recordings") / "long.wav"
    path.write_bytes(tone_in_noise(12, rate=48_000))
    assert path.stat().st_size > 1024 * 1024
    return path


async def expect_quality(page: SitePage, label: str) -> None:
    await expect(page.tab.locator(".denoise-facts")).to_contain_text(f"Quality: {label}")


@pytest.mark.parametrize("whole", [True, False], ids=["one request", "in parts"])
async def test_a_preset_is_chosen_shown_kept_and_changed(
    new_page: NewPage,
    local_site: WebProcess,
    recording: Path,
    long_recording: Path,
    *,
    whole: bool,
) -> None:
    page = await new_page(base=local_site.url)
    await page.goto()
    await expect(page.tab.get_by_role("radio", name="Best")).to_be_checked()
    await page.tab.get_by_role("radio", name="Fast").check()
    await page.choose(recording if whole else long_recording)
    first = await page.wait_for_job_page()
    await expect_quality(page, "Fast")
    await page.wait_for_stage(within_ms=40_000)
    await page.button("Try again with “Best”").click()
    await page.wait_for_job_page(other_than=first)
    await expect_quality(page, "Best")


async def test_without_javascript_and_after_a_cancel(
    new_page: NewPage, local_site: WebProcess, long_recording: Path
) -> None:
    page = await new_page(base=local_site.url, java_script_enabled=False)
    await page.goto()
    await page.tab.get_by_role("radio", name="Fast").check()
    await page.choose(long_recording)
    await page.button("Remove the noise").click()
    first = await page.wait_for_job_page()
    await page.button("Cancel").click()
    await page.tab.get_by_role("button", name="Try again", exact=True).click()
    await page.wait_for_job_page(other_than=first)
    await expect_quality(page, "Fast")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "ar"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_the_choice_fits_and_is_accessible(
    new_page: NewPage, local_site: WebProcess, width: int, locale: str, scheme: str
) -> None:
    size = {"width": width, "height": 800}
    page = await new_page(base=local_site.url, viewport=size, locale=locale, color_scheme=scheme)
    await page.goto()
    inside, whole = await page.tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert whole <= inside
    found = await Axe().run(page.tab)
    assert found.violations_count == 0, found.generate_report()
