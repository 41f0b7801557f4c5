"""Page widths, text direction, accessibility rules and the content security policy."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.site_page import SitePage
from tests.processes import WebProcess
from tests.upstreams import SteppedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_view(new_page: NewPage, done_job: DoneJob, view: str, **options: object) -> SitePage:
    """Open the page to `upload`, or that of a `job` that is done."""
    page = await new_page(owner_of=done_job, **options)
    await page.goto("/" if view == "upload" else done_job.path)
    return page


async def expect_accessible(page: SitePage) -> None:
    found = await Axe().run(page.tab)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("view", ["upload", "job"])
async def test_page_is_not_wider_than_the_window(
    new_page: NewPage, done_job: DoneJob, view: str, width: int, locale: str
) -> None:
    size = {"width": width, "height": 800}
    page = await open_view(new_page, done_job, view, locale=locale, viewport=size)
    inside, whole = await page.tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert whole <= inside
    direction = await page.tab.locator("html").get_attribute("dir")
    assert direction == ("rtl" if locale == "ar" else "ltr")


async def test_times_run_left_to_right_in_arabic(new_page: NewPage, done_job: DoneJob) -> None:
    page = await open_view(new_page, done_job, "job", locale="ar")
    now = await page.part("now").bounding_box()
    total = await page.part("total").bounding_box()
    assert now is not None
    assert total is not None
    assert now["x"] < total["x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["upload", "job"])
async def test_accessible(new_page: NewPage, done_job: DoneJob, view: str, scheme: str) -> None:
    page = await open_view(new_page, done_job, view, color_scheme=scheme)
    await expect_accessible(page)


async def test_accessible_while_a_job_runs(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    await page.upload_and_reach(recording, 30)
    await expect_accessible(page)


async def test_the_content_security_policy_is_strict(web: WebProcess) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(f"{web.url}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    for inline in (" style=", "<style", "<script>", "onclick="):
        assert inline not in answer.text
