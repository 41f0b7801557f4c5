"""Large files are uploaded in parts, over network failures and reloads, if the site allows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Request, Route, expect

from tests.browser.site_page import SitePage
from tests.live.recordings import tone_in_noise
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PART = 1024 * 1024
#: The address of an upload in parts.
UPLOAD_URL = "**/uploads/*/"


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "a long talk.wav"
    path.write_bytes(tone_in_noise(100, rate=48_000))
    assert path.stat().st_size > 8 * PART
    return path


class PartRequests:
    """The requests of an upload in parts; fails those after the first `limit`."""

    def __init__(self, page: SitePage, limit: int | None = None) -> None:
        #: The offset of each part that was sent.
        self.offsets: list[int] = []
        #: How often the page asked for the offset, and how often it created an upload.
        self.offset_requests = 0
        self.created = 0
        #: Parts that succeed before the network fails; None: all.
        self.limit = limit
        page.tab.on("request", self._on_request)
        self._page = page

    def _on_request(self, request: Request) -> None:
        if request.url.endswith("/uploads/") and request.method == "POST":
            self.created += 1
        if request.method == "HEAD":
            self.offset_requests += 1

    async def intercept(self) -> None:
        await self._page.tab.route(UPLOAD_URL, self._handle)

    async def _handle(self, route: Route) -> None:
        if route.request.method == "PATCH":
            if self.limit is not None and len(self.offsets) >= self.limit:
                await route.abort("connectionreset")
                return
            self.offsets.append(int(route.request.headers["upload-offset"]))
        await route.continue_()


async def interrupted_upload(page: SitePage, recording: Path, *, limit: int) -> PartRequests:
    """Upload a recording; the network fails after some parts, and the page shows that."""
    page.errors_expected = True
    requests = PartRequests(page, limit)
    await requests.intercept()
    await page.goto()
    await page.choose(recording)
    await expect(page.tab.get_by_text("Reconnecting…")).to_be_visible()
    return requests


async def test_a_large_file_becomes_a_job(page: SitePage, long_recording: Path) -> None:
    requests = PartRequests(page)
    await requests.intercept()
    await page.goto()
    await page.choose(long_recording)
    await page.wait_for_job_page()
    await expect(page.title).to_have_text("a long talk.wav")
    assert requests.offsets[:2] == [0, PART]
    assert requests.created == 1
    await page.wait_for_stage()


async def test_an_upload_resumes_when_the_network_is_back(
    page: SitePage, long_recording: Path
) -> None:
    requests = await interrupted_upload(page, long_recording, limit=2)
    stopped = list(requests.offsets)
    await page.context.set_offline(True)
    requests.limit = None
    await page.context.set_offline(False)
    await page.wait_for_job_page()
    assert requests.created == 1
    assert requests.offset_requests >= 1
    assert requests.offsets[: len(stopped)] == stopped
    assert requests.offsets[len(stopped)] > stopped[-1] > 0, "it started from the beginning"
    await page.wait_for_stage()


async def test_an_upload_resumes_after_a_reload(page: SitePage, long_recording: Path) -> None:
    requests = await interrupted_upload(page, long_recording, limit=2)
    stopped = requests.offsets[-1]
    await page.tab.reload()
    requests.limit = None
    requests.offsets.clear()
    await page.choose(long_recording)
    await page.wait_for_job_page()
    assert requests.offsets[0] > stopped
    assert requests.created == 1
    kept = await page.tab.evaluate("localStorage.getItem('denoise-relay-uploads')")
    assert kept == "{}"


async def test_cancel_deletes_what_was_uploaded(page: SitePage, long_recording: Path) -> None:
    deleted: list[int] = []
    page.tab.on(
        "requestfinished",
        lambda request: deleted.append(1) if request.method == "DELETE" else None,
    )
    await interrupted_upload(page, long_recording, limit=1)
    await page.button("Remove a long talk.wav").click()
    await expect(page.tab.get_by_text("a long talk.wav")).to_have_count(0)
    await eventually(lambda: deleted)


async def test_the_form_is_used_where_parts_are_forbidden(
    page: SitePage, long_recording: Path
) -> None:
    page.errors_expected = True

    async def forbid(route: Route) -> None:
        await route.fulfill(status=405)

    await page.tab.route("**/uploads/", forbid)
    await page.goto()
    await page.choose(long_recording)
    await page.wait_for_job_page()
    await page.wait_for_stage()
