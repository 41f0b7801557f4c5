"""What can be said about looks without looking: widths, directions, contrast, policy."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe

from tests.browser.conftest import Finished, Visit
from tests.browser.site import SiteProcess
from tests.browser.upstream import PacedUpstream
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def see(visit: Visit, finished: Finished, path: str, **options: object) -> Visitor:
    visitor = await visit(**options)
    await visitor.context.add_cookies(finished.cookies)
    await visitor.open(path)
    return visitor


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("page", ["upload", "job"])
async def test_nothing_sticks_out(
    visit: Visit, finished: Finished, page: str, width: int, locale: str
) -> None:
    path = "/" if page == "upload" else finished.path
    size = {"width": width, "height": 800}
    visitor = await see(visit, finished, path, locale=locale, viewport=size)
    inside, whole = await visitor.page.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert whole <= inside
    direction = await visitor.page.locator("html").get_attribute("dir")
    assert direction == ("rtl" if locale == "ar" else "ltr")


async def test_times_run_left_to_right_in_arabic(visit: Visit, finished: Finished) -> None:
    visitor = await see(visit, finished, finished.path, locale="ar")
    now = await visitor.page.locator('[data-part="now"]').bounding_box()
    total = await visitor.page.locator('[data-part="total"]').bounding_box()
    assert now is not None
    assert total is not None
    assert now["x"] < total["x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["upload", "job"])
async def test_accessible(visit: Visit, finished: Finished, page: str, scheme: str) -> None:
    path = "/" if page == "upload" else finished.path
    visitor = await see(visit, finished, path, color_scheme=scheme)
    found = await Axe().run(visitor.page)
    assert found.violations_count == 0, found.generate_report()


async def test_accessible_at_work(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    await visitor.bring(recording)
    await visitor.reaches(30)
    found = await Axe().run(visitor.page)
    assert found.violations_count == 0, found.generate_report()


async def test_the_policy_is_strict(site: SiteProcess) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(f"{site.url}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    for inline in (" style=", "<style", "<script>", "onclick="):
        assert inline not in answer.text
