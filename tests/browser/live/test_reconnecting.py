"""A job's page without network, sockets or streams: it reconnects, or uses another transport."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.browser.site_page import SitePage
from tests.upstreams import SteppedUpstream
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_SOCKETS = "window.WebSocket = class { constructor() { throw new Error('forbidden') } };"
NO_STREAMS = "window.EventSource = class { constructor() { throw new Error('forbidden') } };"


async def reach_30(page: SitePage, upstream: SteppedUpstream, recording: Path) -> None:
    """A job that stands at 30%, on a page that may log errors."""
    upstream.limit = 30
    page.errors_expected = True
    await page.upload_and_reach(recording, 30)


async def test_offline_says_reconnecting_and_recovers(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    await reach_30(page, upstream, recording)
    await page.context.set_offline(True)
    note = page.tab.get_by_text("Reconnecting…")
    await expect(note).to_be_visible()
    upstream.limit = 60  # events during the outage are caught up
    await page.context.set_offline(False)
    await expect(note).to_be_hidden()
    await page.wait_for_percent(60)
    upstream.limit = 100
    await page.wait_for_stage()
    seen = await page.shown_percentages()
    assert list(seen) == sorted(seen)
    assert len(page.sockets) >= 2


async def test_a_cut_socket_resumes_where_it_was(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    connections: list[WebSocketRoute] = []

    def relay(connection: WebSocketRoute) -> None:
        connection.connect_to_server()
        connections.append(connection)

    upstream.limit = 30
    await page.tab.route_web_socket("**/ws/denoise/**", relay)
    await page.upload_and_reach(recording, 30)
    seq = int(await page.job.get_attribute("data-seq") or 0)
    await connections[0].close(code=4012, reason="going away")
    await eventually(lambda: len(connections) > 1, within=20)
    assert int(connections[1].url.rpartition("after=")[2]) == seq
    upstream.limit = 100
    await page.wait_for_stage()


async def test_without_sockets_the_page_uses_sse(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    await page.context.add_init_script(NO_SOCKETS)
    async with page.tab.expect_request("**/events/?after=*", timeout=20_000):
        await page.upload(recording)
    upstream.limit = 100
    await page.wait_for_stage()
    seen = await page.shown_percentages()
    assert all(before < after for before, after in pairwise(seen))
    assert len({pct for pct in seen if 30 < pct < 100}) >= 3, "it was not live"
    assert page.sockets == []


async def test_without_sockets_and_streams_the_page_polls(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    await page.context.add_init_script(NO_SOCKETS + NO_STREAMS)
    async with page.tab.expect_request("**/status/", timeout=40_000):
        await page.upload(recording)
    upstream.limit = 100
    await page.wait_for_stage()
    await expect(page.tab.locator("denoise-player")).to_be_visible()


async def test_going_back_to_the_page_goes_on(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    path = await page.upload_and_reach(recording, 30)
    await page.goto()
    upstream.limit = 100
    await page.tab.go_back()
    assert page.tab.url.endswith(path)
    await page.wait_for_stage()


async def test_a_job_that_is_no_longer_available_is_reported(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    await reach_30(page, upstream, recording)
    await page.context.clear_cookies()
    # The next socket is that of another person.
    await page.context.set_offline(True)
    await page.context.set_offline(False)
    await expect(page.tab.get_by_text("no longer available")).to_be_visible()
