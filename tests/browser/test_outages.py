"""What a person sees when the line breaks, and which ways are left."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.browser.upstream import PacedUpstream
from tests.browser.visitor import Visitor
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_SOCKETS = "window.WebSocket = class { constructor() { throw new Error('forbidden') } };"
NO_STREAMS = "window.EventSource = class { constructor() { throw new Error('forbidden') } };"


async def test_offline_says_reconnecting_and_recovers(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    visitor.noise_expected = True
    await visitor.bring(recording)
    await visitor.reaches(30)
    await visitor.context.set_offline(True)
    note = visitor.page.get_by_text("Reconnecting…")
    await expect(note).to_be_visible()
    upstream.limit = 60  # what happens meanwhile is caught up
    await visitor.context.set_offline(False)
    await expect(note).to_be_hidden()
    await visitor.reaches(60)
    upstream.limit = 100
    await visitor.ends()
    seen = await visitor.seen()
    assert list(seen) == sorted(seen)
    assert len(visitor.sockets) >= 2


async def test_a_cut_socket_resumes_where_it_was(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    lines: list[WebSocketRoute] = []

    def relay(line: WebSocketRoute) -> None:
        line.connect_to_server()
        lines.append(line)

    upstream.limit = 30
    await visitor.page.route_web_socket("**/ws/denoise/**", relay)
    await visitor.bring(recording)
    await visitor.reaches(30)
    seq = int(await visitor.job.get_attribute("data-seq") or 0)
    await lines[0].close(code=4012, reason="going away")
    await eventually(lambda: len(lines) > 1, within=20)
    assert int(lines[1].url.rpartition("after=")[2]) == seq
    upstream.limit = 100
    await visitor.ends()


async def test_without_sockets_sse_brings_it(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    await visitor.context.add_init_script(NO_SOCKETS)
    async with visitor.page.expect_request("**/events/?after=*", timeout=20_000):
        await visitor.bring(recording)
    upstream.limit = 100
    await visitor.ends()
    seen = await visitor.seen()
    assert all(before < after for before, after in pairwise(seen))
    assert len({pct for pct in seen if 30 < pct < 100}) >= 3, "it was not live"
    assert visitor.sockets == []


async def test_without_streams_either_polling_brings_it(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    await visitor.context.add_init_script(NO_SOCKETS + NO_STREAMS)
    async with visitor.page.expect_request("**/status/", timeout=40_000):
        await visitor.bring(recording)
    upstream.limit = 100
    await visitor.ends()
    await expect(visitor.page.locator("denoise-player")).to_be_visible()


async def test_coming_back_goes_on(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    path = await visitor.bring(recording)
    await visitor.reaches(30)
    await visitor.open()
    upstream.limit = 100
    await visitor.page.go_back()
    assert visitor.page.url.endswith(path)
    await visitor.ends()


async def test_a_job_that_has_gone_is_said_so(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    visitor.noise_expected = True
    await visitor.bring(recording)
    await visitor.reaches(30)
    await visitor.context.clear_cookies()
    # The next socket is a stranger's.
    await visitor.context.set_offline(True)
    await visitor.context.set_offline(False)
    await expect(visitor.page.get_by_text("no longer available")).to_be_visible()
